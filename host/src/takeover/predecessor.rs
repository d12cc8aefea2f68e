//! The new process's side of a takeover.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use introd_liveness::Pulse;
use introd_policy::registry::RegistryState;
use introd_udp::UdpSocket;
use rtmfp::crypto::CookieJar;

use super::channel::{Channel, ChannelError};
use super::message::{GREETING, ListenerRecord, Message, OfferRecord, VERSIONS, WITH_SERVICES};
use super::state::ServerState;
use super::{monotonic, standstill};
use crate::network::Listener;
use crate::relay::OfferedPorts;
use crate::serve::Listening;

/// How long the old process may take for an answer before its workers stand still.
const ANSWER: Duration = Duration::from_secs(10);

/// The process that serves, and is to be replaced.
pub struct Predecessor {
    channel: Channel,
    program: String,
    process: u32,
}

/// What the old process shares before its sessions.
pub struct Offer {
    /// The sockets of each worker.
    pub listening: Listening,
    /// The certificates of its identities.
    pub certificates: Vec<Vec<u8>>,
    /// What recognises the cookies that it has given out.
    pub cookies: CookieJar,
    /// What its services share.
    pub services: OfferedServices,
}

/// What the services of the old process share before its sessions. A program of an older version shares nothing.
#[derive(Default)]
pub struct OfferedServices {
    /// What its registry hands over.
    pub registry: Option<RegistryState>,
    /// The ports of its relay: none, if it has no relay.
    pub relay: OfferedPorts,
}

impl Predecessor {
    /// Looks for a server that listens at that path, and asks for its sockets. `None`: there is none.
    ///
    /// # Errors
    /// If there is one, and it cannot be taken over. It goes on serving.
    pub fn find(path: &Path) -> anyhow::Result<Option<(Self, Offer)>> {
        let mut version = *VERSIONS.end();
        let (mut channel, offer) = loop {
            let stream = match UnixStream::connect(path) {
                Ok(stream) => stream,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                    return Ok(None);
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot use the Unix socket {}", path.display()));
                }
            };
            let mut channel = Channel::new(stream, Pulse::unwatched())?;
            let hello = Message::Hello {
                greeting: GREETING.to_owned(),
                version,
                program: env!("CARGO_PKG_VERSION").to_owned(),
            };
            channel.send(&hello, ANSWER)?;
            match channel.receive(Some(ANSWER))? {
                Message::Offer(offer) => break (channel, offer),
                // An older program may speak an older version.
                Message::Refused(_) if version > *VERSIONS.start() => version -= 1,
                other => return Err(unexpected(other)),
            }
        };
        let OfferRecord { program, process, listeners, certificates, cookies, at } = offer;
        let count = listeners.iter().map(Vec::len).sum();
        let descriptors = channel.receive_descriptors(count, ANSWER)?;
        let listening =
            listening(&listeners, descriptors).context("the sockets of the server that runs cannot be used")?;
        let cookies = CookieJar::take_over(monotonic::read(at), &cookies)?;
        let services =
            if version >= WITH_SERVICES { offered_services(&mut channel)? } else { OfferedServices::default() };
        Ok(Some((Self { channel, program, process }, Offer { listening, certificates, cookies, services })))
    }

    /// The version of the program that serves, and its process id.
    pub fn who(&self) -> (&str, u32) {
        (&self.program, self.process)
    }

    /// Prepares sessions that the old process copies, by `prepare`; then has it stand still, and goes on with its sessions by `import`, which
    /// gives their number. When they are its own, it calls `decide`, tells the old process, and begins to serve by `serve`, with what the registry of
    /// the old process hands over at last.
    ///
    /// # Errors
    /// If that fails. The old process goes on serving, and this one must not.
    pub fn replace<H>(
        mut self,
        heir: &mut H,
        mut prepare: impl FnMut(&mut H, ServerState) -> anyhow::Result<()>,
        import: impl FnOnce(&mut H, ServerState) -> anyhow::Result<usize>,
        decide: impl FnOnce(),
        serve: impl FnOnce(&mut H, Option<RegistryState>),
    ) -> anyhow::Result<usize> {
        self.channel.send(&Message::Ready, ANSWER)?;
        let mut registry = None;
        let bytes = loop {
            match self.channel.receive(Some(ANSWER + standstill::STANDSTILL))? {
                Message::Copies { length } => {
                    let bytes = self.channel.receive_bytes(length, ANSWER)?;
                    prepare(heir, ServerState::from_bytes(&bytes)?)?;
                }
                Message::Copied => self.channel.send(&Message::Copied, ANSWER)?,
                Message::Registry(record) => registry = record.map(RegistryState::from),
                Message::State { length } => break self.channel.receive_bytes(length, ANSWER)?,
                other => return Err(unexpected(other)),
            }
        };
        let began = Instant::now();
        let state = ServerState::from_bytes(&bytes)?;
        let sessions = import(heir, state)?;
        self.channel.send(&Message::Imported { sessions: sessions as u64 }, ANSWER)?;
        match self.channel.receive(Some(ANSWER + standstill::STANDSTILL))? {
            Message::Yours => (),
            other => return Err(unexpected(other)),
        }
        decide();
        // Before this process serves: if it ends before it has said so, the old one goes on, for which nothing must have changed.
        match self.channel.send(&Message::Serving, ANSWER) {
            // It has ended by itself: nothing is left for it to do.
            Err(error @ ChannelError::Closed) => tracing::warn!(%error, "the server that was replaced was not told"),
            said => said?,
        }
        // From here on nobody else serves the sessions.
        serve(heir, registry);
        tracing::info!(sessions, bytes = bytes.len(), took = ?began.elapsed(), "the sessions are taken over");
        Ok(sessions)
    }
}

/// What the services of the old process share.
fn offered_services(channel: &mut Channel) -> anyhow::Result<OfferedServices> {
    let registry = match channel.receive(Some(ANSWER))? {
        Message::Registry(record) => record.map(RegistryState::from),
        other => return Err(unexpected(other)),
    };
    let ports = match channel.receive(Some(ANSWER))? {
        Message::Relay { ports } => ports,
        other => return Err(unexpected(other)),
    };
    let count = ports.iter().map(Vec::len).sum();
    let mut descriptors = channel.receive_descriptors(count, ANSWER)?.into_iter();
    let mut adopt = |local: &SocketAddr| {
        let socket = UdpSocket::adopt(descriptors.next().context("there are too few sockets of the relay")?)?;
        ensure!(socket.local_address() == *local, "{} instead of {local}", socket.local_address());
        Ok(socket)
    };
    let relay = ports.iter().map(|port| port.iter().map(&mut adopt).collect()).collect::<anyhow::Result<_>>();
    let relay = relay.context("the sockets of the relay of the server that runs cannot be used")?;
    Ok(OfferedServices { registry, relay })
}

fn unexpected(message: Message) -> anyhow::Error {
    match message {
        Message::Refused(why) => anyhow::anyhow!("the server that runs refuses: {why}"),
        other => {
            let text = format!("{other:?}");
            ChannelError::Unreadable(text.chars().take(40).collect()).into()
        }
    }
}

/// The sockets of each worker, made of their descriptors in order.
fn listening(listeners: &[Vec<ListenerRecord>], descriptors: Vec<OwnedFd>) -> anyhow::Result<Listening> {
    ensure!((1..=usize::from(rtmfp::MAX_PREFIXES)).contains(&listeners.len()), "{} workers", listeners.len());
    let mut descriptors = descriptors.into_iter();
    let mut worker = |records: &Vec<ListenerRecord>| {
        let mut sockets = Vec::with_capacity(records.len());
        for record in records {
            let Some(descriptor) = descriptors.next() else { bail!("there are too few") };
            let socket = UdpSocket::adopt(descriptor)?;
            ensure!(socket.local_address() == record.local, "{} instead of {}", socket.local_address(), record.local);
            let adaptor = usize::try_from(record.adaptor).unwrap_or_default();
            sockets.push((Listener { adaptor, local: record.local, public: record.public }, socket));
        }
        Ok(sockets)
    };
    listeners.iter().map(&mut worker).collect()
}

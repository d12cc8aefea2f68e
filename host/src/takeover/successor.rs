//! The side of the process that serves: it waits for a successor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use introd_liveness::{AtStandstill, Pulse};
use tokio::sync::oneshot;

use super::channel::{Channel, ChannelError};
use super::ending::Ending;
use super::estate::{Estate, refuse};
use super::message::{
    GREETING, ListenerRecord, Message, OfferRecord, RegistryRecord, VERSIONS, WITH_COPIES, WITH_SERVICES,
};
use super::reserved_socket::ReservedSocket;
use super::standstill::Standstill;
use super::{copying, monotonic};
use crate::network::Listener;

/// How long a new process may take until it is ready: it loads plugins and makes keys.
const START: Duration = Duration::from_secs(120);
/// How long it may take for an answer otherwise.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the end of a takeover is waited for that is given up.
const GIVEN_UP: Duration = Duration::from_secs(10);
/// How long to wait after an error of the Unix socket.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for successors at a Unix socket, on a thread of its own. Dropping it removes the socket.
pub struct Successors {
    path: PathBuf,
    /// Tells the socket from another one at the same path, which a successor has put there.
    inode: u64,
    ending: Arc<Ending>,
    is_under_way: Arc<AtomicBool>,
    replaced: Option<oneshot::Receiver<u32>>,
    /// Another process has taken over: the path is its own.
    is_replaced: bool,
}

impl Successors {
    /// Begins to wait. A socket that a process has left there is replaced.
    ///
    /// # Errors
    /// If the socket cannot be put at its path, or the thread not be started.
    pub fn wait_at(socket: ReservedSocket, estate: Estate) -> anyhow::Result<Self> {
        let path = socket.path().to_owned();
        let (listener, inode) = socket.open()?;
        let (ending, is_under_way) = (Arc::new(Ending::default()), Arc::new(AtomicBool::new(false)));
        let (tell, replaced) = oneshot::channel();
        let (its_ending, under_way, mut tell) = (Arc::clone(&ending), Arc::clone(&is_under_way), Some(tell));
        // It waits for other processes, and nothing waits for it.
        let work = move |pulse: &Pulse| {
            if let Some(process) = wait(&listener, &estate, &its_ending, &under_way, pulse)
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(process);
            }
            Ok(())
        };
        introd_liveness::spawn("takeover", AtStandstill::Say, work).context("no thread can be started")?;
        tracing::info!(path = %path.display(), "another process may take over here");
        Ok(Self { path, inode, ending, is_under_way, replaced: Some(replaced), is_replaced: false })
    }

    /// Waits until another process has taken over, and gives its number: then this one ends, and tells nobody.
    pub async fn replaced(&mut self) -> u32 {
        let process = match &mut self.replaced {
            Some(replaced) => replaced.await.ok(),
            None => None,
        };
        self.replaced = None;
        match process {
            Some(process) => {
                self.is_replaced = true;
                process
            }
            None => std::future::pending().await,
        }
    }

    /// Whether another process is taking over at this moment, or has taken over.
    pub fn is_under_way(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_under_way)
    }

    /// Waits no longer, as this process is told to stop: a takeover that is under way is given up. If another process has the sessions already,
    /// gives its number: then this one ends, and tells nobody.
    pub async fn end(mut self) -> Option<u32> {
        self.give_up();
        let replaced = tokio::time::timeout(GIVEN_UP, self.replaced.as_mut()?).await;
        let process = replaced.ok()?.ok();
        self.is_replaced = process.is_some();
        process
    }

    fn give_up(&self) {
        self.ending.set();
        // Wakes the thread, if it waits for another process to connect.
        let _ = UnixStream::connect(&self.path);
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        if self.is_replaced {
            return;
        }
        self.give_up();
        if std::fs::symlink_metadata(&self.path).is_ok_and(|known| known.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The number of the process that has taken over. `None`: this one ends for another reason.
fn wait(
    listener: &UnixListener,
    estate: &Estate,
    ending: &Arc<Ending>,
    is_under_way: &AtomicBool,
    pulse: &Pulse,
) -> Option<u32> {
    loop {
        is_under_way.store(false, Ordering::Release);
        pulse.beat();
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => {
                tracing::warn!(%error, "a process that wants to take over cannot be heard");
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        if ending.is_set() {
            return None;
        }
        is_under_way.store(true, Ordering::Release);
        match serve(stream, estate, ending, pulse) {
            Ok(Some(process)) => return Some(process),
            Ok(None) => (),
            Err(ChannelError::Stops) => tracing::warn!("the takeover is given up: this process is told to stop"),
            Err(error) => tracing::error!(%error, "the takeover has failed: this process goes on serving"),
        }
    }
}

/// Speaks with a process that has connected. Gives its number if it has taken over. `ending`: this process may be told to stop.
pub(super) fn serve(
    stream: UnixStream,
    estate: &Estate,
    ending: &Arc<Ending>,
    pulse: &Pulse,
) -> Result<Option<u32>, ChannelError> {
    let watch = ending.watch(&stream)?;
    let mut channel = Channel::new(stream, pulse.clone())?;
    let given = match give_state(&mut channel, estate, ending, pulse) {
        // The socket is shut down then, which may show as any error.
        Err(_) if ending.is_set() => return Err(ChannelError::Stops),
        given => given?,
    };
    let Some(Given { standstill, began, sessions, bytes }) = given else { return Ok(None) };
    if !watch.commit() {
        return Err(ChannelError::Stops);
    }
    channel.send(&Message::Yours, ANSWER)?;
    // Now the new process serves, or ends: its end of the socket tells which. There is no time limit, since two must never serve.
    match channel.receive(None) {
        Ok(Message::Serving) => (),
        Ok(other) => return Err(ChannelError::Unreadable(format!("{other:?} instead of Serving"))),
        Err(error) => return Err(error),
    }
    // The workers stood still a little less than that.
    tracing::info!(sessions, bytes, stood_still = ?began.elapsed(), "another process has taken over");
    standstill.end();
    Ok(Some(channel.process()))
}

/// A state that the new process could go on with, while the workers stand still.
struct Given {
    standstill: Standstill,
    began: Instant,
    sessions: u64,
    bytes: usize,
}

/// Gives the state to a process that has connected. `None` if that wants no takeover, or cannot be replaced by it.
fn give_state(
    channel: &mut Channel,
    estate: &Estate,
    ending: &Arc<Ending>,
    pulse: &Pulse,
) -> Result<Option<Given>, ChannelError> {
    let (program, version) = match channel.receive(Some(ANSWER)) {
        Ok(Message::Hello { greeting, version, program }) if greeting == GREETING => {
            if !VERSIONS.contains(&version) {
                let (own, oldest, newest) = (env!("CARGO_PKG_VERSION"), VERSIONS.start(), VERSIONS.end());
                let why = format!(
                    "introd {own} is taken over by programs that speak version {oldest} to {newest}, and introd {program} speaks version \
                     {version}: restart the server without a takeover"
                );
                refuse(channel, &why)?;
                return Ok(None);
            }
            (program, version)
        }
        // It looked whether anybody listens.
        Err(ChannelError::Closed) => return Ok(None),
        Ok(_) => return Err(ChannelError::Unreadable("no greeting".to_owned())),
        Err(error) => return Err(error),
    };
    if estate.refuses(channel)? {
        return Ok(None);
    }
    tracing::info!(%program, "a new process prepares to take over");
    offer(channel, estate)?;
    let hand_registry_over = |channel: &mut Channel, within| {
        if version < WITH_SERVICES {
            return Ok(());
        }
        let state = estate.registry.as_ref().and_then(|registry| registry.hand_over());
        channel.send(&Message::Registry(state.map(RegistryRecord::from)), within)
    };
    hand_registry_over(channel, ANSWER)?;
    if version >= WITH_SERVICES {
        offer_relay(channel, estate)?;
    }
    match channel.receive(Some(START))? {
        Message::Ready => (),
        other => return Err(ChannelError::Unreadable(format!("{other:?} instead of Ready"))),
    }
    let copies =
        if version >= WITH_COPIES { copying::copy(channel, &estate.mailboxes, ending, pulse)? } else { Vec::new() };
    // A drain may have begun meanwhile.
    if estate.refuses(channel)? || estate.is_ending(channel, ending, pulse)? {
        return Ok(None);
    }
    let began = Instant::now();
    let standstill = Standstill::begin(estate, copies, began, ending, pulse)?;
    let bytes = standstill.collect(&estate.applications, &estate.directory);
    let bytes = bytes.inspect_err(|error| drop(channel.send(&Message::Refused(error.to_string()), ANSWER)))?;
    hand_registry_over(channel, standstill.left())?;
    channel.send_bytes(|length| Message::State { length }, &bytes, standstill.left())?;
    let sessions = match channel.receive(Some(standstill.left()))? {
        Message::Imported { sessions } => sessions,
        other => return Err(ChannelError::Unreadable(format!("{other:?} instead of Imported"))),
    };
    if standstill.left().is_zero() {
        return Err(ChannelError::Late);
    }
    Ok(Some(Given { standstill, began, sessions, bytes: bytes.len() }))
}

fn offer(channel: &mut Channel, estate: &Estate) -> Result<(), ChannelError> {
    let now = Instant::now();
    let record = |(listener, _): &(Listener, OwnedFd)| ListenerRecord {
        adaptor: u32::try_from(listener.adaptor).unwrap_or(u32::MAX),
        local: listener.local,
        public: listener.public,
    };
    let offer = OfferRecord {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        listeners: estate.sockets.iter().map(|of_worker| of_worker.iter().map(record).collect()).collect(),
        certificates: estate.certificates.clone(),
        cookies: estate.cookies.hand_over(now),
        at: monotonic::write(now),
    };
    channel.send(&Message::Offer(offer), ANSWER)?;
    let sockets: Vec<_> = estate.sockets.iter().flatten().map(|(_, socket)| socket.as_fd()).collect();
    channel.send_descriptors(&sockets, ANSWER)
}

fn offer_relay(channel: &mut Channel, estate: &Estate) -> Result<(), ChannelError> {
    let sockets = estate.relay.as_ref().map_or(&[][..], |relay| relay.shared_sockets());
    let ports = sockets.iter().map(|port| port.iter().map(|(local, _)| *local).collect()).collect();
    channel.send(&Message::Relay { ports }, ANSWER)?;
    let sockets: Vec<_> = sockets.iter().flatten().map(|(_, socket)| socket.as_fd()).collect();
    channel.send_descriptors(&sockets, ANSWER)
}

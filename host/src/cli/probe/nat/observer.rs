//! A second client of the probe, which a server introduces to a socket of the probe: so the probe learns where the server sees the socket,
//! even if the server does not say it, and whether the NAT passes packets from inside to its own outside address (hairpin).

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::crypto::Opener;
use rtmfp::{Origin, PeerId};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::startup_packet::{Content, StartupPacket, Tag, hello, new_tag, watch};
use crate::cli::probe::failure::local_failure;
use introd_client::{Client, ClientFailure};

/// How often a hello is sent until something comes of it, and how long each is waited for.
const TRIES: usize = 6;
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest startup packet.
const MAX_DATAGRAM: usize = 2048;

/// A client that is driven by a task of its own.
pub(super) struct Observer {
    id: PeerId,
    /// The address at which its server sees it, if the server says so.
    seen: Option<SocketAddr>,
    packets: mpsc::Receiver<StartupPacket>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Observer {
    /// Lets a client, which is connected, be found.
    pub(super) fn start(mut client: Client) -> Self {
        let (id, seen) = (client.id(), client.connect_info().seen);
        let packets = watch(&mut client.peer().ports);
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = client.stay() => (),
                _ = &mut stopped => client.close().await,
            }
        });
        Self { id, seen, packets, stop, task }
    }

    /// Disconnects.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }

    /// Waits for a packet of the observer that `wanted` makes something of.
    async fn packet<T>(&mut self, until: Instant, mut wanted: impl FnMut(&StartupPacket) -> Option<T>) -> Option<T> {
        while let Ok(Some(packet)) = timeout_at(until, self.packets.recv()).await {
            if let Some(found) = wanted(&packet) {
                return Some(found);
            }
        }
        None
    }
}

/// A socket that sends hellos, and has no session.
pub(super) struct HelloSocket {
    socket: UdpSocket,
    local: SocketAddr,
}

/// What came of a hello that a server passed on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Introduced {
    /// The address at which the server sees the socket.
    pub(super) seen: Option<SocketAddr>,
    /// The address at which the server sees the observer.
    pub(super) observer: Option<SocketAddr>,
}

impl HelloSocket {
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, ClientFailure> {
        let socket = UdpSocket::bind(address).await.map_err(local_failure)?;
        let local = socket.local_addr().map_err(local_failure)?;
        Ok(Self { socket, local })
    }

    /// Its own address; unspecified if it is bound to all.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    async fn send_hello(&self, to: SocketAddr, peer: PeerId, tag: Tag) {
        // A machine that cannot send there now may do so the next time.
        if let Err(error) = self.socket.send_to(&hello(peer, tag), to).await {
            tracing::debug!(%to, %error, "hello not sent");
        }
    }

    /// Takes the addresses of a redirect that has come.
    fn redirected(&self, tags: &[Tag]) -> Vec<rtmfp::TaggedAddress> {
        let (mut buffer, mut opener) = ([0; MAX_DATAGRAM], Opener::startup());
        let mut found = Vec::new();
        while let Ok((length, from)) = self.socket.try_recv_from(&mut buffer) {
            let packet = StartupPacket::read(&mut opener, from, self.local, &buffer[..length]);
            if let Some(StartupPacket { tag, content: Content::Redirect(addresses), .. }) = packet
                && tags.iter().any(|own| own[..] == tag[..])
            {
                found.extend(addresses);
            }
        }
        found
    }

    /// Asks a server for the observer, which is its client. The server passes the hello on, and the observer answers to where it came from.
    pub(super) async fn ask(&self, server: SocketAddr, observer: &mut Observer) -> Result<Introduced, ClientFailure> {
        let (mut tags, mut introduced) = (Vec::new(), Introduced { seen: None, observer: observer.seen });
        for _ in 0..TRIES {
            // Each hello has a tag of its own: to a server that relays, one that is repeated would mean that the two cannot meet.
            let tag = new_tag()?;
            tags.push(tag);
            self.send_hello(server, observer.id, tag).await;
            let until = Instant::now() + INTERVAL;
            let is_answer = |packet: &StartupPacket| {
                let is_own = tags.iter().any(|own| own[..] == packet.tag[..]);
                (is_own && packet.content != Content::Hello).then_some(packet.to)
            };
            if let Some(seen) = observer.packet(until, is_answer).await {
                introduced.seen = Some(seen);
            }
            if introduced.observer.is_none() {
                // The redirect comes at the same time as the answer of the observer, or a little later.
                let _ = timeout_at(until, self.socket.readable()).await;
                let observed = |named: &&rtmfp::TaggedAddress| named.origin == Origin::Observed;
                introduced.observer = self.redirected(&tags).iter().find(observed).map(|named| named.address);
            }
            if introduced.seen.is_some() && introduced.observer.is_some() {
                break;
            }
        }
        Ok(introduced)
    }

    /// Whether hellos that are sent to the outside address of the observer reach it.
    pub(super) async fn reaches(&self, outside: SocketAddr, observer: &mut Observer) -> Result<bool, ClientFailure> {
        for _ in 0..TRIES {
            let tag = new_tag()?;
            self.send_hello(outside, observer.id, tag).await;
            let is_it =
                |packet: &StartupPacket| (packet.content == Content::Hello && packet.tag[..] == tag[..]).then_some(());
            if observer.packet(Instant::now() + INTERVAL, is_it).await.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

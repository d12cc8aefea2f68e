//! What workers send each other, and what others send them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtmfp::{KeyingDone, PeerId, SessionId};
use tokio::sync::mpsc;

use introd_netgroup::GroupDigest;
use introd_policy::message::ClientCommand;
use introd_udp::Interface;

/// A message to a worker.
#[allow(
    clippy::large_enum_variant,
    reason = "what is boxed is freed by another thread than made it, and that takes longer than to copy it"
)]
pub enum Mail {
    /// A datagram for a session of this worker that the kernel gave to another one: the client's address has changed.
    Datagram {
        /// Where it came in: the workers' sockets are twins, in the same order.
        interface: Interface,
        /// Where it came from.
        from: SocketAddr,
        /// The datagram.
        bytes: Box<[u8]>,
    },
    /// A lookup that another worker received for a peer of this one (RFC 7016 §3.5.1.5).
    Forward {
        /// The session of the peer.
        session: SessionId,
        /// The endpoint discriminator of the hello.
        epd: Box<[u8]>,
        /// Where the hello came from.
        initiator: SocketAddr,
        /// The hello's tag.
        tag: Box<[u8]>,
    },
    /// A member of a group is to be told of another.
    Hint {
        /// The session of the one to be told.
        session: SessionId,
        /// The group.
        group: GroupDigest,
        /// The other.
        about: PeerId,
    },
    /// A plugin wants a client's connection closed, if it is still that peer's.
    Disconnect {
        /// The session of the client.
        session: SessionId,
        /// The peer.
        peer: PeerId,
    },
    /// Another session shows the id of a client: the client is asked for a sign of life.
    Contest {
        /// The session of the client.
        session: SessionId,
        /// Its id.
        peer: PeerId,
    },
    /// A client holds its id now, which another session held.
    Holds {
        /// The session of the client.
        session: SessionId,
        /// Its id.
        peer: PeerId,
        /// Whether others wait for the id: the client is asked for a sign of life.
        is_contested: bool,
    },
    /// A reply has come.
    Wake,
    /// A script commands something.
    Command(ClientCommand, Option<Weight>),
    /// Public-key work is done.
    Keyed(Box<KeyingDone>),
}

/// What a large command adds to the bytes that wait for its worker, until it is dropped.
pub struct Weight {
    pub(super) bytes: usize,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How many messages may wait for a worker. A message that finds no room is lost as a packet is, and counted.
const MAILBOX: usize = 4096;

/// Leads to a worker's mailbox.
pub type MailSender = mpsc::Sender<Mail>;

/// Makes a mailbox.
pub fn mailbox() -> (MailSender, mpsc::Receiver<Mail>) {
    mpsc::channel(MAILBOX)
}

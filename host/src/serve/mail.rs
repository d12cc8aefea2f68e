//! The messages that workers receive from each other and from other threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtmfp::{KeyingDone, PeerId, SessionId};
use tokio::sync::mpsc;

use super::datagram::SessionDatagram;
use super::handover::{CopyOrder, HandOver};
use super::inquiry::Inquiry;
use introd_flash::amf::Value;
use introd_netgroup::GroupDigest;
use introd_policy::message::ClientCommand;
use introd_udp::Interface;

/// A message to a worker.
#[allow(
    clippy::large_enum_variant,
    reason = "a box would be freed by another thread than the one that made it, which takes longer than copying"
)]
pub enum Mail {
    /// A datagram for a session of this worker that the kernel gave to another worker: the client's address has changed.
    /// The interface says by which socket it came: the workers have the same sockets, in the same order.
    Datagram(SessionDatagram<Interface>),
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
        /// Whether the initiator has proven its address, by a session.
        is_proven: bool,
        /// The place of the relay's port at which the peer may answer as well, if the two were given a pair of the relay.
        relay_port: Option<u16>,
    },
    /// A member of a group is to be told of another.
    Hint {
        /// The session of the member that is told.
        session: SessionId,
        /// The group.
        group: GroupDigest,
        /// The member that is named.
        about: PeerId,
    },
    /// A client's connection is to be closed, if it is still that peer's.
    Disconnect {
        /// The session of the client.
        session: SessionId,
        /// The peer.
        peer: PeerId,
        /// Who wants that, for the log: `a plugin`.
        by: &'static str,
    },
    /// The administration asks the worker something.
    Inquiry(Inquiry),
    /// Another session shows the id of a client: the client is pinged.
    Contest {
        /// The session of the client.
        session: SessionId,
        /// Its id.
        peer: PeerId,
    },
    /// A client holds its id now, which another session held before.
    Holds {
        /// The session of the client.
        session: SessionId,
        /// Its id.
        peer: PeerId,
        /// Whether other sessions wait for the id: then the client is pinged.
        is_contested: bool,
    },
    /// A client of this worker is to be called on behalf of another client.
    Relay(Box<RelayedCall>),
    /// What has come of a call that a client of this worker made of another.
    Relayed {
        /// The session of the client that made the call.
        session: SessionId,
        /// The number of the call.
        transaction: f64,
        /// Whether the other client was called.
        outcome: Result<(), RelayError>,
    },
    /// A reply is in this worker's queue of replies.
    Wake,
    /// A command of a script.
    Command(ClientCommand, Option<Weight>),
    /// The result of public-key work.
    Keyed(Box<KeyingDone>),
    /// Another process wants to know some of the sessions before it takes the worker's place.
    Copy(Box<CopyOrder>),
    /// Another process may take the worker's place.
    HandOver(Box<HandOver>),
}

/// A call of one client by another.
#[derive(Debug)]
pub struct RelayedCall {
    /// The session of the client that is called.
    pub session: SessionId,
    /// Its peer id.
    pub peer: PeerId,
    /// The peer id of the client that calls.
    pub sender: PeerId,
    /// The session of the client that calls and the number of the call, if it waits for an answer.
    pub caller: Option<(SessionId, f64)>,
    /// The arguments after the sender's id.
    pub arguments: Vec<Value>,
}

/// Why a client was not called by another. The client that calls receives the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The first argument is no peer ID.
    #[error("The first argument of relay is the peer ID of a client, which has 64 hexadecimal digits.")]
    NoPeerId,
    /// The arguments are too large.
    #[error("The arguments of relay take more than 16 kB.")]
    TooLarge,
    /// The client calls too often.
    #[error("Too many calls of relay in a second.")]
    TooMany,
    /// There is no such client within reach. Whether there is one out of reach is not told.
    #[error("No client of this application has that peer ID.")]
    NotConnected,
    /// Others call the client too often, or it does not take what it is sent.
    #[error("The client takes no more calls now.")]
    Busy,
    /// The client uses AMF0, in which an argument cannot be written.
    #[error("An argument cannot be written in AMF0, which the client uses.")]
    Unwritable,
    /// The mailbox of the other worker is full.
    #[error("The server is busy.")]
    ServerBusy,
}

/// The size of a large command, counted among the bytes that wait for its worker until this is dropped.
pub struct Weight {
    pub(super) bytes: usize,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How many messages may wait for a worker, which is the capacity of a [`MailSender`]. A message that finds no room is lost as a packet is, and counted.
const MAILBOX: usize = 4096;

/// The sending end of a worker's mailbox.
pub type MailSender = mpsc::Sender<Mail>;

/// Creates a mailbox.
pub fn mailbox() -> (MailSender, mpsc::Receiver<Mail>) {
    mpsc::channel(MAILBOX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_of_messages_waits_in_a_mailbox() {
        let (sender, mut receiver) = mailbox();
        let sent = (0..2 * MAILBOX).take_while(|_| sender.try_send(Mail::Wake).is_ok()).count();
        assert_eq!(sent, 4096);
        assert!(
            receiver.try_recv().is_ok() && sender.try_send(Mail::Wake).is_ok() && sender.try_send(Mail::Wake).is_err()
        );
    }
}

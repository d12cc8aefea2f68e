//! What workers send each other, and what others send them.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::{KeyingDone, PeerId, SessionId};
use tokio::sync::mpsc;

use super::interface::Interface;
use crate::apps::message::{AppCommand, Commands};
use crate::groups::GroupDigest;

/// A message to a worker.
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
    /// An application's policy wants something done.
    Policy(Box<AppCommand>),
    /// Public-key work is done.
    Keyed(Box<KeyingDone>),
}

/// How many messages may wait for a worker. A message that finds no room is lost as a packet is, and counted.
const MAILBOX: usize = 4096;

/// Leads to a worker's mailbox.
pub type MailSender = mpsc::Sender<Mail>;

/// Leads to all workers' mailboxes.
#[derive(Clone)]
pub struct Switchboard(pub Arc<[MailSender]>);

impl Commands for Switchboard {
    fn send(&self, command: AppCommand) -> bool {
        let Some(mailbox) = self.0.get(usize::from(command.worker())) else { return false };
        mailbox.try_send(Mail::Policy(Box::new(command))).is_ok()
    }
}

/// Makes a mailbox.
pub fn mailbox() -> (MailSender, mpsc::Receiver<Mail>) {
    mpsc::channel(MAILBOX)
}

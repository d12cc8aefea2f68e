//! What workers send each other, and what others send them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rtmfp::{KeyingDone, PeerId, SessionId};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::introducer::{Counter, Counters};
use crate::registry::Resolved;
use introd_netgroup::GroupDigest;
use introd_policy::message::{AppCommand, Commands};
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
    /// A plugin's verdict has come.
    Wake,
    /// An application's policy wants something done.
    Policy(AppCommand, Option<Weight>),
    /// The registry has answered about a peer.
    Resolved(Box<Resolved>),
    /// Public-key work is done.
    Keyed(Box<KeyingDone>),
}

/// What a large command adds to the bytes that wait for its worker, until it is dropped.
pub struct Weight {
    bytes: usize,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How many bytes of large commands may wait for a worker. One is 1 MiB at most, and scripts make them faster than they are sent.
const WAITING_BYTES: usize = 16 << 20;
/// Up to so many bytes a command is small, and not counted: [`MAILBOX`] bounds these.
const SMALL: usize = 4096;

/// How many messages may wait for a worker. A message that finds no room is lost as a packet is, and counted.
const MAILBOX: usize = 4096;

/// Leads to a worker's mailbox.
pub type MailSender = mpsc::Sender<Mail>;

/// How long a policy waits for room in a mailbox. A worker never waits for a policy, so that room comes.
const ROOM_PATIENCE: Duration = Duration::from_millis(200);
/// How long it sleeps between two looks.
const ROOM_POLL: Duration = Duration::from_micros(50);

/// Leads from policies to all workers' mailboxes.
pub struct Switchboard {
    mailboxes: Arc<[MailSender]>,
    /// Bytes of large commands that wait for each worker.
    waiting: Box<[Arc<AtomicUsize>]>,
    counters: Arc<Counters>,
}

impl Switchboard {
    /// Leads to these mailboxes, in the order of their workers. What is lost is counted.
    pub fn new(mailboxes: Arc<[MailSender]>, counters: Arc<Counters>) -> Self {
        let waiting = mailboxes.iter().map(|_| Arc::default()).collect();
        Self { mailboxes, waiting, counters }
    }
}

impl Switchboard {
    /// Takes an answer of the registry to the worker that has the lookup, if there is room: the registry's thread waits for
    /// nobody, and whoever looks a peer up repeats it.
    pub fn resolved(&self, resolved: Resolved) {
        let worker = resolved.worker;
        let Some(mailbox) = self.mailboxes.get(usize::from(worker)) else { return };
        if let Err(TrySendError::Full(_)) = mailbox.try_send(Mail::Resolved(Box::new(resolved))) {
            self.counters.worker(worker).add(Counter::MailboxFull);
        }
    }
}

impl Commands for Switchboard {
    /// Waits for room: a policy that is faster than a worker is slowed down, until its own queue is full and what more would
    /// come is refused at the door.
    fn send(&self, command: AppCommand) -> bool {
        let worker = command.worker();
        let Some(mailbox) = self.mailboxes.get(usize::from(worker)) else { return false };
        let Some(waiting) = self.waiting.get(usize::from(worker)) else { return false };
        let bytes = command.bytes();
        let weight = (bytes > SMALL).then(|| {
            waiting.fetch_add(bytes, Ordering::Relaxed);
            Weight { bytes, waiting: Arc::clone(waiting) }
        });
        let mut mail = Mail::Policy(command, weight);
        let mut deadline = None;
        loop {
            if bytes <= SMALL || waiting.load(Ordering::Relaxed) <= WAITING_BYTES {
                match mailbox.try_send(mail) {
                    Ok(()) => return true,
                    // The worker has stopped.
                    Err(TrySendError::Closed(_)) => return false,
                    Err(TrySendError::Full(back)) => mail = back,
                }
            }
            if Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + ROOM_PATIENCE) {
                self.counters.worker(worker).add(Counter::MailboxFull);
                return false;
            }
            std::thread::sleep(ROOM_POLL);
        }
    }
}

/// Makes a mailbox.
pub fn mailbox() -> (MailSender, mpsc::Receiver<Mail>) {
    mpsc::channel(MAILBOX)
}

#[cfg(test)]
mod tests {
    use rtmfp::SessionId;

    use super::*;
    use introd_flash::amf::Value;
    use introd_policy::message::ClientId;

    fn command(worker: u8) -> AppCommand {
        AppCommand::Accept { client: ClientId { worker, session: SessionId::from_wire(1) } }
    }

    #[test]
    fn a_policy_waits_for_room_and_what_is_lost_is_counted() {
        let (sender, mut receiver) = mpsc::channel(1);
        let counters = Arc::new(Counters::new(1));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters));
        assert!(switchboard.send(command(0)));
        assert!(!switchboard.send(command(0)), "nobody makes room");
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 1);
        let reader = std::thread::spawn(move || {
            let mut taken = 0;
            while receiver.blocking_recv().is_some() {
                taken += 1;
                if taken == 4 {
                    break;
                }
            }
            taken
        });
        for _ in 0..3 {
            assert!(switchboard.send(command(0)));
        }
        assert_eq!(reader.join().unwrap(), 4);
        assert!(!switchboard.send(command(0)), "the worker has stopped");
        assert!(!switchboard.send(command(7)), "there is no such worker");
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 1);
    }

    #[test]
    fn large_commands_wait_until_those_before_them_are_done() {
        let (sender, mut receiver) = mailbox();
        let counters = Arc::new(Counters::new(1));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters));
        let client = ClientId { worker: 0, session: SessionId::from_wire(1) };
        let large = || AppCommand::Call {
            client,
            method: "x".to_owned(),
            arguments: vec![Value::ByteArray(vec![0; 1 << 20])],
            token: None,
        };
        let sent = (0..30).take_while(|_| switchboard.send(large())).count();
        assert!((14..=16).contains(&sent), "{sent} MiB");
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 1);
        assert!(switchboard.send(command(0)), "small ones go on");
        for _ in 0..2 {
            drop(receiver.try_recv());
        }
        assert!(switchboard.send(large()));
    }
}

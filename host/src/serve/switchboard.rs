//! From the scripts to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use introd_policy::message::{ClientCommand, Commands};
use introd_policy::{Replies, Reply, RequestId, Verdict};
use tokio::sync::mpsc::error::TrySendError;

use super::mail::{Mail, MailSender, Weight};
use crate::introducer::{Counter, Counters};

/// How many bytes of large commands may wait for a worker. One is 1 MiB at most, and scripts make them faster than they are sent.
const WAITING_BYTES: usize = 16 << 20;
/// Up to so many bytes a command is small, and not counted: [`MAILBOX`] bounds these.
const SMALL: usize = 4096;

/// How long a policy waits for room in a mailbox. A worker never waits for a policy, so that room comes.
const ROOM_TIMEOUT: Duration = Duration::from_millis(200);
/// How long it sleeps between two looks.
const ROOM_POLL: Duration = Duration::from_micros(50);

/// Leads from policies to all workers' mailboxes.
pub struct Switchboard {
    mailboxes: Arc<[MailSender]>,
    /// Bytes of large commands that wait for each worker.
    waiting: Box<[Arc<AtomicUsize>]>,
    counters: Arc<Counters>,
    replies: Arc<Replies>,
}

impl Switchboard {
    /// Leads to these mailboxes, in the order of their workers. What is lost is counted.
    pub fn new(mailboxes: Arc<[MailSender]>, counters: Arc<Counters>, replies: Arc<Replies>) -> Self {
        let waiting = mailboxes.iter().map(|_| Arc::default()).collect();
        Self { mailboxes, waiting, counters, replies }
    }
}

impl Commands for Switchboard {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        self.replies.push(request, Reply::Verdict(verdict));
    }

    /// Waits for room: a policy that is faster than a worker is slowed down, until its own queue is full and what more would
    /// come is refused at the door.
    fn send(&self, command: ClientCommand) -> bool {
        let worker = command.client().worker;
        let Some(mailbox) = self.mailboxes.get(usize::from(worker)) else { return false };
        let Some(waiting) = self.waiting.get(usize::from(worker)) else { return false };
        let bytes = command.bytes();
        let weight = (bytes > SMALL).then(|| {
            waiting.fetch_add(bytes, Ordering::Relaxed);
            Weight { bytes, waiting: Arc::clone(waiting) }
        });
        let mut mail = Mail::Command(command, weight);
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
            if Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + ROOM_TIMEOUT) {
                self.counters.worker(worker).add(Counter::MailboxFull);
                return false;
            }
            std::thread::sleep(ROOM_POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use introd_flash::amf::Value;
    use introd_policy::message::ClientId;
    use rtmfp::SessionId;
    use tokio::sync::mpsc;

    use super::*;
    fn no_replies() -> Arc<Replies> {
        Arc::new(Replies::new(1, |_| ()))
    }

    fn command(worker: u8) -> ClientCommand {
        ClientCommand::Ping { client: ClientId { worker, session: SessionId::from_wire(1) } }
    }

    #[test]
    fn a_policy_waits_for_room_and_what_is_lost_is_counted() {
        let (sender, mut receiver) = mpsc::channel(1);
        let counters = Arc::new(Counters::new(1));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters), no_replies());
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
        let (sender, mut receiver) = crate::serve::mailbox();
        let counters = Arc::new(Counters::new(1));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters), no_replies());
        let client = ClientId { worker: 0, session: SessionId::from_wire(1) };
        let large = || ClientCommand::Call {
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

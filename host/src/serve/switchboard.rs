//! Carries verdicts and commands from the scripts to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use introd_policy::message::{ClientCommand, Commands, SendError};
use introd_policy::{Replies, Reply, RequestId, Verdict};
use tokio::sync::mpsc::error::TrySendError;

use super::mail::{Mail, MailSender, Weight};
use crate::introducer::{Counter, Counters};

/// How many bytes of large commands may wait for a worker. One has at most 1 MiB, and scripts make them faster than they are sent.
const WAITING_BYTES: usize = 16 << 20;
/// A command of up to this many bytes is small and not counted: the length of the mailbox bounds small commands.
const SMALL: usize = 4096;

/// Sends the verdicts and commands of scripts to all workers.
pub struct Switchboard {
    mailboxes: Arc<[MailSender]>,
    /// Bytes of large commands that wait for each worker.
    waiting: Box<[Arc<AtomicUsize>]>,
    counters: Arc<Counters>,
    replies: Arc<Replies>,
}

impl Switchboard {
    /// `mailboxes` are in the order of their workers. Lost commands are counted.
    pub fn new(mailboxes: Arc<[MailSender]>, counters: Arc<Counters>, replies: Arc<Replies>) -> Self {
        let waiting = mailboxes.iter().map(|_| Arc::default()).collect();
        Self { mailboxes, waiting, counters, replies }
    }
}

impl Commands for Switchboard {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        self.replies.push(request, Reply::Verdict(verdict));
    }

    /// Tries once. A script whose worker has no room keeps the command and is not run again until it is sent, so that its own queue
    /// fills and further events are refused.
    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        let worker = usize::from(command.client().worker);
        let (Some(mailbox), Some(waiting)) = (self.mailboxes.get(worker), self.waiting.get(worker)) else {
            return Err(SendError::Stopped);
        };
        let bytes = command.bytes();
        let mut weight = None;
        if bytes > SMALL {
            let before = waiting.fetch_add(bytes, Ordering::Relaxed);
            weight = Some(Weight { bytes, waiting: Arc::clone(waiting) });
            // A command that is alone always fits.
            if before > 0 && before + bytes > WAITING_BYTES {
                return Err(SendError::Full(Box::new(command)));
            }
        }
        match mailbox.try_send(Mail::Command(command, weight)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Mail::Command(command, _))) => Err(SendError::Full(Box::new(command))),
            Err(_) => Err(SendError::Stopped),
        }
    }

    fn count_lost(&self, worker: u8) {
        if usize::from(worker) < self.mailboxes.len() {
            self.counters.worker(worker).add(Counter::MailboxFull);
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
    fn a_command_without_room_comes_back_at_once() {
        let (sender, mut receiver) = mpsc::channel(1);
        let counters = Arc::new(Counters::new(1));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters), no_replies());
        assert!(switchboard.send(command(0)).is_ok());
        let Err(SendError::Full(back)) = switchboard.send(command(0)) else { panic!() };
        assert!(matches!(*back, ClientCommand::Ping { client } if client.worker == 0));
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 0, "it is not lost");
        receiver.try_recv().unwrap();
        assert!(switchboard.send(*back).is_ok());
        switchboard.count_lost(0);
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 1);
        drop(receiver);
        assert!(matches!(switchboard.send(command(0)), Err(SendError::Stopped)), "the worker has stopped");
        assert!(matches!(switchboard.send(command(7)), Err(SendError::Stopped)), "there is no such worker");
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
        let sent = (0..30).take_while(|_| switchboard.send(large()).is_ok()).count();
        assert!((14..=16).contains(&sent), "{sent} MiB");
        assert!(switchboard.send(command(0)).is_ok(), "small commands are still sent");
        for _ in 0..2 {
            drop(receiver.try_recv());
        }
        assert!(switchboard.send(large()).is_ok());
    }

    #[test]
    fn a_large_command_is_counted_while_it_waits_and_not_when_it_comes_back() {
        let (sender, mut receiver) = mpsc::channel(2);
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::new(Counters::new(1)), no_replies());
        let waiting = || switchboard.waiting[0].load(Ordering::Relaxed);
        let call = |bytes: usize| ClientCommand::Call {
            client: ClientId { worker: 0, session: SessionId::from_wire(1) },
            method: "x".to_owned(),
            arguments: vec![Value::ByteArray(vec![0; bytes])],
            token: None,
        };
        assert!(switchboard.send(call(SMALL / 2)).is_ok());
        assert_eq!(waiting(), 0, "a small command is not counted");
        let large = call(2 * WAITING_BYTES);
        let bytes = large.bytes();
        assert!(switchboard.send(large).is_ok(), "a command that is alone always fits");
        assert_eq!(waiting(), bytes);
        for refused in [call(2 * SMALL), call(1 << 20)] {
            assert!(matches!(switchboard.send(refused), Err(SendError::Full(_))));
            assert_eq!(waiting(), bytes, "what comes back does not wait");
        }
        drop((receiver.try_recv(), receiver.try_recv()));
        assert_eq!(waiting(), 0);
        // Where the mailbox is full, too.
        assert!((0..2).all(|_| switchboard.send(command(0)).is_ok()));
        assert!(matches!(switchboard.send(call(2 * SMALL)), Err(SendError::Full(_))));
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn the_bounds_on_large_commands_are_exact() {
        let (sender, _receiver) = mpsc::channel(10);
        let counters = Arc::new(Counters::new(2));
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::clone(&counters), no_replies());
        let waiting = || switchboard.waiting[0].load(Ordering::Relaxed);
        let call = |bytes: usize| {
            let make = |length: usize| ClientCommand::Call {
                client: ClientId { worker: 0, session: SessionId::from_wire(1) },
                method: "x".repeat(length),
                arguments: Vec::new(),
                token: None,
            };
            let command = make(bytes - make(0).bytes());
            assert_eq!(command.bytes(), bytes);
            command
        };
        assert!(switchboard.send(call(SMALL)).is_ok() && waiting() == 0, "as small as a small one may be");
        assert!(switchboard.send(call(SMALL + 1)).is_ok() && waiting() == SMALL + 1);
        let rest = WAITING_BYTES - waiting();
        assert!(matches!(switchboard.send(call(rest + 1)), Err(SendError::Full(_))));
        assert!(switchboard.send(call(rest)).is_ok() && waiting() == WAITING_BYTES);
        // Of a worker that there is not, nothing is counted.
        switchboard.count_lost(1);
        assert_eq!(counters.snapshot().get(Counter::MailboxFull), 0);
    }

    #[test]
    fn a_verdict_reaches_the_worker_at_which_the_request_waits() {
        let (sender, _receiver) = mpsc::channel(1);
        let replies = no_replies();
        let switchboard = Switchboard::new(Arc::from([sender]), Arc::new(Counters::new(1)), Arc::clone(&replies));
        let request = RequestId::from_number(5);
        switchboard.decide(request, Verdict::Deny(None));
        assert_eq!(replies.take(0), [(request, Reply::Verdict(Verdict::Deny(None)))]);
    }
}

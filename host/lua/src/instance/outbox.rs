//! The commands of a script that their workers have no room for yet.
//!
//! No thread waits here: a command for which there is no room is kept, and the thread of the scripts tries it again later. Until then
//! the instance gets no further turn, so that a script which is faster than a worker is slowed, and its inbox fills.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use introd_policy::message::{ClientCommand, Commands, SendError};

use crate::engine::memory::Meter;

/// How many commands an outbox keeps, and how many bytes of them: one handler may call all of many clients. A command that exceeds
/// this is lost, and counted.
const MAX_COMMANDS: usize = 131_072;
const MAX_BYTES: usize = 32 << 20;

/// Sends the commands of an instance, each worker's in their order.
pub(crate) struct Outbox {
    commands: Arc<dyn Commands>,
    unsent: RefCell<Unsent>,
    /// Tells how much memory the kept commands use.
    meter: Meter,
}

#[derive(Default)]
struct Unsent {
    by_worker: BTreeMap<u8, VecDeque<ClientCommand>>,
    commands: usize,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new(commands: Arc<dyn Commands>, meter: Meter) -> Self {
        Self { commands, unsent: RefCell::default(), meter }
    }

    /// Sends a command, or keeps it until its worker has room. False if it is lost: the outbox is full, or the worker has stopped.
    pub(crate) fn send(&self, command: ClientCommand) -> bool {
        let worker = command.client().worker;
        let mut unsent = self.unsent.borrow_mut();
        // It does not overtake those before it.
        let command = if unsent.commands > 0 && unsent.by_worker.contains_key(&worker) {
            command
        } else {
            match self.commands.send(command) {
                Ok(()) => return true,
                Err(SendError::Stopped) => return false,
                Err(SendError::Full(command)) => *command,
            }
        };
        let bytes = bytes_of(&command);
        if unsent.commands >= MAX_COMMANDS || unsent.bytes + bytes > MAX_BYTES {
            self.commands.count_lost(worker);
            return false;
        }
        unsent.commands += 1;
        unsent.bytes += bytes;
        unsent.by_worker.entry(worker).or_default().push_back(command);
        self.meter.say(unsent.bytes);
        true
    }

    /// Whether all commands are sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.unsent.borrow().commands == 0
    }

    /// Sends what there is room for by now. Whether all commands are sent.
    pub(crate) fn flush(&self) -> bool {
        let Unsent { by_worker, commands, bytes } = &mut *self.unsent.borrow_mut();
        by_worker.retain(|_, queue| {
            while let Some(command) = queue.pop_front() {
                let size = bytes_of(&command);
                if let Err(SendError::Full(command)) = self.commands.send(command) {
                    queue.push_front(*command);
                    break;
                }
                *commands -= 1;
                *bytes -= size;
            }
            !queue.is_empty()
        });
        self.meter.say(*bytes);
        *commands == 0
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        for (worker, queue) in &self.unsent.get_mut().by_worker {
            queue.iter().for_each(|_| self.commands.count_lost(*worker));
        }
    }
}

fn bytes_of(command: &ClientCommand) -> usize {
    size_of::<ClientCommand>() + command.bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    use introd_flash::amf::Value;
    use introd_policy::message::ClientId;
    use introd_policy::{RequestId, Verdict};
    use rtmfp::SessionId;

    use super::*;
    use crate::engine::memory::Memory;

    /// Workers with room for so many commands each; worker 9 has stopped.
    struct Workers {
        room: [AtomicUsize; 2],
        sent: Mutex<Vec<ClientCommand>>,
        lost: AtomicUsize,
    }

    impl Workers {
        fn with_room(first: usize, second: usize) -> Arc<Self> {
            let room = [AtomicUsize::new(first), AtomicUsize::new(second)];
            Arc::new(Self { room, sent: Mutex::default(), lost: AtomicUsize::new(0) })
        }

        /// What was sent: workers and sessions.
        fn sent(&self) -> Vec<(u8, u32)> {
            let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
            sent.iter().map(|command| (command.client().worker, command.client().session.get())).collect()
        }

        fn lost(&self) -> usize {
            self.lost.load(Ordering::Relaxed)
        }
    }

    impl Commands for Workers {
        fn decide(&self, _: RequestId, _: Verdict) {}

        fn send(&self, command: ClientCommand) -> Result<(), SendError> {
            let Some(room) = self.room.get(usize::from(command.client().worker)) else {
                return Err(SendError::Stopped);
            };
            if room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_err() {
                return Err(SendError::Full(Box::new(command)));
            }
            self.sent.lock().unwrap().push(command);
            Ok(())
        }

        fn count_lost(&self, _: u8) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ping(worker: u8, number: u32) -> ClientCommand {
        ClientCommand::Ping { client: ClientId { worker, session: SessionId::from_wire(number) } }
    }

    fn large(worker: u8) -> ClientCommand {
        let client = ClientId { worker, session: SessionId::from_wire(1) };
        let arguments = vec![Value::ByteArray(vec![0; 1 << 20])];
        ClientCommand::Call { client, method: "x".to_owned(), arguments, token: None }
    }

    fn outbox(workers: &Arc<Workers>) -> Outbox {
        Outbox::new(workers.clone(), Memory::default().meter())
    }

    #[test]
    fn what_finds_no_room_is_sent_later_in_its_order_and_holds_up_no_other_worker() {
        let workers = Workers::with_room(1, 9);
        let outbox = outbox(&workers);
        for number in 1..=4 {
            assert!(outbox.send(ping(0, number)));
        }
        assert!(outbox.send(ping(1, 1)));
        assert_eq!(workers.sent(), [(0, 1), (1, 1)]);
        assert!(!outbox.is_empty() && !outbox.flush() && workers.sent().is_empty());
        workers.room[0].store(2, Ordering::Relaxed);
        assert!(!outbox.flush());
        assert_eq!(workers.sent(), [(0, 2), (0, 3)]);
        workers.room[0].store(9, Ordering::Relaxed);
        assert!(outbox.send(ping(0, 5)), "it does not overtake the one that is left");
        assert!(workers.sent().is_empty() && outbox.flush() && outbox.is_empty());
        assert_eq!(workers.sent(), [(0, 4), (0, 5)]);
        assert_eq!(workers.lost(), 0);
    }

    #[test]
    fn it_keeps_a_bounded_number_of_commands_and_bytes_and_the_rest_is_lost_and_counted() {
        let workers = Workers::with_room(0, 0);
        let small = outbox(&workers);
        assert_eq!((0..MAX_COMMANDS + 5).filter(|number| small.send(ping(0, *number as u32))).count(), MAX_COMMANDS);
        assert_eq!(workers.lost(), 5);
        let memory = Memory::default();
        let big = Outbox::new(workers.clone(), memory.meter());
        let kept = (0..40).filter(|_| big.send(large(0))).count();
        assert!((30..=32).contains(&kept), "{kept} MiB");
        assert!((kept << 20..MAX_BYTES + 1).contains(&memory.own.get()), "they count as the script's memory");
        assert_eq!(workers.lost(), 5 + 40 - kept);
        workers.room[0].store(kept - 1, Ordering::Relaxed);
        assert!(!big.flush());
        assert!((1 << 20..2 << 20).contains(&memory.own.get()), "what is sent does not count any more");
        big.send(large(0));
        drop(big);
        assert_eq!((workers.lost(), memory.own.get()), (5 + 40 - kept + 2, 0), "what was never sent is lost");
    }

    #[test]
    fn nothing_is_kept_for_a_worker_that_has_stopped() {
        let workers = Workers::with_room(0, 0);
        let outbox = outbox(&workers);
        assert!(!outbox.send(ping(9, 1)) && outbox.is_empty());
        assert_eq!(workers.lost(), 0);
    }
}

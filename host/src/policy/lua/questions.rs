//! What waits for an instance's answer: connects, lookups, and calls of clients.
//!
//! Each question is taken out exactly once, by whoever answers it: the script, its deadline, its failure, or the watchdog when
//! the script hangs. The table is therefore shared between the policy thread and the watchdog.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rtmfp::PeerId;
use slab::Slab;

use crate::apps::message::{AppCommand, ClientId, Commands, PendingLookup};
use crate::config::Fallback;
use crate::flash::amf::Value;
use crate::flash::command::{Level, info};
use crate::flash::server::Rejection;

/// The most questions that wait at a time.
pub(super) const MOST: usize = 65_536;

/// The status that a client gets when it is turned away.
pub(super) const REJECTED: &str = "NetConnection.Connect.Rejected";

/// Something that waits for an answer.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(super) enum Question {
    /// May this client connect?
    Connect(ClientId),
    /// Where is this peer?
    Lookup(PendingLookup),
    /// What does the method return?
    Call { client: ClientId, transaction: f64 },
}

impl Question {
    /// Answers in place of the script.
    pub(super) fn fall_back(self, to: Fallback, why: &str, commands: &dyn Commands) {
        let command = match self {
            Self::Connect(client) => {
                let rejection = Rejection::new(REJECTED, format!("[ Server.Reject ] : {why}"));
                AppCommand::Reject { client, rejection }
            }
            Self::Call { client, transaction } => {
                AppCommand::Answer { client, transaction, outcome: Err(call_failed(why)) }
            }
            Self::Lookup(lookup) => match to {
                Fallback::Deny => AppCommand::Deny { lookup },
                Fallback::Continue => AppCommand::BuiltIn { lookup },
                Fallback::Ignore => return,
            },
        };
        commands.send(command);
    }
}

/// The information object of a call that failed.
pub(super) fn call_failed(description: &str) -> Value {
    info(Level::Error, "NetConnection.Call.Failed", description)
}

/// The questions of an instance. A number says where a question is and, above that, how many there have been before it.
#[derive(Default)]
pub(super) struct Questions {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: Slab<Open>,
    /// When answers are due, the earliest first. What has been answered stays until nothing before it waits.
    deadlines: VecDeque<(Instant, u64)>,
    /// How many there have been.
    asked: u64,
}

struct Open {
    number: u64,
    question: Question,
}

/// Bits of a number for [`MOST`] places.
const PLACE_BITS: u32 = 16;

fn place_of(number: u64) -> usize {
    (number & ((1 << PLACE_BITS) - 1)) as usize
}

fn is_open(open: &Slab<Open>, number: u64) -> bool {
    open.get(place_of(number)).is_some_and(|open| open.number == number)
}

impl Table {
    fn take(&mut self, number: u64) -> Option<Question> {
        if !is_open(&self.open, number) {
            return None;
        }
        let question = self.open.try_remove(place_of(number))?.question;
        while let Some((_, first)) = self.deadlines.front()
            && !is_open(&self.open, *first)
        {
            self.deadlines.pop_front();
        }
        // Behind one that waits there may be many that do not.
        if self.deadlines.len() > 2 * self.open.len() + 1024 {
            let open = &self.open;
            self.deadlines.retain(|(_, number)| is_open(open, *number));
        }
        Some(question)
    }
}

impl Questions {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question. `Err` gives it back when there are too many.
    pub(super) fn ask(&self, question: Question, deadline: Option<Instant>) -> Result<u64, Box<Question>> {
        let mut table = self.table();
        if table.open.len() >= MOST {
            return Err(Box::new(question));
        }
        table.asked += 1;
        let asked = table.asked;
        let entry = table.open.vacant_entry();
        let number = asked << PLACE_BITS | entry.key() as u64;
        entry.insert(Open { number, question });
        if let Some(deadline) = deadline {
            // All have the same time, as a rule, unless the settings have changed meanwhile.
            let at = if table.deadlines.back().is_none_or(|(last, _)| *last <= deadline) {
                table.deadlines.len()
            } else {
                table.deadlines.partition_point(|(other, _)| *other <= deadline)
            };
            table.deadlines.insert(at, (deadline, number));
        }
        Ok(number)
    }

    /// The peer that an open lookup is for.
    pub(super) fn target(&self, number: u64) -> Option<PeerId> {
        let table = self.table();
        match table.open.get(place_of(number)) {
            Some(Open { number: of, question: Question::Lookup(lookup) }) if *of == number => lookup.lookup.target,
            _ => None,
        }
    }

    /// Takes a question out, to answer it. `None` if that has happened.
    pub(super) fn take(&self, number: u64) -> Option<Question> {
        self.table().take(number)
    }

    /// Takes a lookup out, to answer it. `None` if that has happened, or it is none.
    pub(super) fn take_lookup(&self, number: u64) -> Option<PendingLookup> {
        let mut table = self.table();
        if !matches!(table.open.get(place_of(number)), Some(Open { question: Question::Lookup(_), .. })) {
            return None;
        }
        match table.take(number) {
            Some(Question::Lookup(lookup)) => Some(lookup),
            _ => None,
        }
    }

    /// Takes out what should have been answered by now.
    pub(super) fn take_late(&self, now: Instant) -> Option<(u64, Question)> {
        let mut table = self.table();
        while let Some((deadline, number)) = table.deadlines.front().copied()
            && deadline <= now
        {
            table.deadlines.pop_front();
            if let Some(question) = table.take(number) {
                return Some((number, question));
            }
        }
        None
    }

    /// Takes out everything, the oldest first.
    pub(super) fn take_all(&self) -> Vec<Question> {
        let mut table = self.table();
        table.deadlines.clear();
        let mut all: Vec<Open> = table.open.drain().collect();
        all.sort_by_key(|open| open.number);
        all.into_iter().map(|open| open.question).collect()
    }

    /// The questions that wait, the oldest first.
    pub(super) fn open(&self) -> Vec<(u64, Question)> {
        let table = self.table();
        let mut all: Vec<_> = table.open.iter().map(|(_, open)| (open.number, open.question.clone())).collect();
        all.sort_by_key(|(number, _)| *number);
        all
    }

    /// When the next one is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.table().deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.table().open.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rtmfp::SessionId;

    use super::*;

    fn question(client: u32) -> Question {
        Question::Connect(ClientId { worker: 0, session: SessionId::from_wire(client) })
    }

    fn client(question: Option<Question>) -> Option<u32> {
        match question {
            Some(Question::Connect(client)) => Some(client.session.get()),
            _ => None,
        }
    }

    #[test]
    fn each_is_taken_once_and_a_place_is_used_again_under_another_number() {
        let questions = Questions::default();
        let first = questions.ask(question(1), None).unwrap();
        assert_eq!(client(questions.take(first)), Some(1));
        let second = questions.ask(question(2), None).unwrap();
        assert_eq!(place_of(first), place_of(second));
        assert_eq!(client(questions.take(first)), None);
        assert_eq!(questions.take_lookup(second), None);
        assert_eq!(client(questions.take(second)), Some(2));
        assert_eq!(questions.len(), 0);
    }

    #[test]
    fn what_is_late_comes_in_the_order_of_its_deadlines() {
        let questions = Questions::default();
        let now = Instant::now();
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        let mut numbers = Vec::new();
        for (number, deadline) in [(1, after(3)), (2, None), (3, after(3)), (4, after(1)), (5, after(2)), (6, after(5))]
        {
            numbers.push(questions.ask(question(number), deadline).unwrap());
        }
        assert_eq!(questions.next_deadline(), after(1));
        assert_eq!(client(questions.take(numbers[4])), Some(5));
        assert_eq!(client(questions.take(numbers[3])), Some(4));
        assert_eq!(questions.next_deadline(), after(3));
        let late = || questions.take_late(now + Duration::from_secs(4)).map(|(_, question)| question);
        assert_eq!([client(late()), client(late()), client(late())], [Some(1), Some(3), None]);
        assert_eq!(questions.next_deadline(), after(5));
        let left: Vec<_> = questions.take_all().into_iter().map(|question| client(Some(question))).collect();
        assert_eq!(left, [Some(2), Some(6)]);
        assert_eq!(questions.next_deadline(), None);
    }

    #[test]
    fn one_that_waits_for_long_does_not_pile_up_those_behind_it() {
        let questions = Questions::default();
        let deadline = Some(Instant::now());
        let waits = questions.ask(question(1), deadline).unwrap();
        for _ in 0..100_000 {
            let number = questions.ask(question(2), deadline).unwrap();
            questions.take(number).unwrap();
        }
        let table = questions.table();
        assert!(table.deadlines.len() < 2000 && table.open.capacity() < 16);
        drop(table);
        assert_eq!(client(questions.take(waits)), Some(1));
        assert_eq!(questions.next_deadline(), None);
    }

    #[test]
    fn there_is_a_bound() {
        let questions = Questions::default();
        let numbers: Vec<u64> = (0..MOST as u32).map(|number| questions.ask(question(number), None).unwrap()).collect();
        assert!(questions.ask(question(0), None).is_err());
        assert_eq!(client(questions.take(numbers[MOST - 1])), Some(MOST as u32 - 1));
        assert!(questions.ask(question(0), None).is_ok());
    }
}

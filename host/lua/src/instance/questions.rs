//! What waits for an instance's answer: connects, lookups, and calls of clients.
//!
//! Each is a pending request from the moment it arrives, before the script hears of it, and has its deadline from then on. It is
//! taken out exactly once, by what answers it: the script, its deadline, its failure, or the watchdog when the script hangs. The
//! table is therefore shared between the workers, the scripts' thread and the watchdog.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rtmfp::PeerId;
use slab::Slab;

use super::item::Item;
use introd_config::{Fallback, Policy};
use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::Rejection;
use introd_policy::InstanceName;
use introd_policy::message::{AppCommand, AppEvent, ClientId, Commands, PendingLookup};

/// The most questions that wait at a time.
pub(crate) const MOST: usize = 65_536;

/// The status that a client gets when it is turned away.
pub(crate) const REJECTED: &str = "NetConnection.Connect.Rejected";

/// Something that waits for an answer.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(crate) enum Question {
    /// May this client connect?
    Connect(ClientId),
    /// Where is this peer?
    Lookup(PendingLookup),
    /// What does the method return?
    Call { client: ClientId, transaction: f64 },
}

impl Question {
    /// What an event asks, if somebody waits for an answer.
    pub(crate) fn of(event: AppEvent) -> Option<Self> {
        match event {
            AppEvent::Connect { client, .. } => Some(Self::Connect(client)),
            AppEvent::PeerLookup(lookup) => Some(Self::Lookup(lookup)),
            AppEvent::Call { client, call } if call.wants_answer() => {
                Some(Self::Call { client, transaction: call.transaction })
            }
            _ => None,
        }
    }

    /// Answers in place of the script.
    pub(crate) fn fall_back(self, to: Fallback, why: &str, commands: &dyn Commands) {
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

/// Answers a request whose deadline has passed.
pub(crate) fn too_late(question: Question, app: &InstanceName, policy: &Policy, commands: &dyn Commands) {
    let deadline = policy.deadline;
    match &question {
        Question::Connect(client) => {
            tracing::warn!(%app, session = %client.session, ?deadline, "the script did not decide on a connect in time");
        }
        Question::Lookup(_) | Question::Call { .. } => {
            tracing::debug!(%app, ?question, ?deadline, "not answered in time");
        }
    }
    question.fall_back(policy.on_deadline, "the application did not decide in time", commands);
}

/// The information object of a call that failed.
pub(crate) fn call_failed(description: &str) -> Value {
    info(Level::Error, "NetConnection.Call.Failed", description)
}

/// The questions of an instance. A number says where a question is and, above that, how many there have been before it.
#[derive(Default)]
pub(crate) struct Questions {
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
    /// Whether the script has been told of it.
    is_begun: bool,
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
    pub(crate) fn ask(&self, question: Question, deadline: Option<Instant>) -> Result<u64, Box<Question>> {
        let mut table = self.table();
        if table.open.len() >= MOST {
            return Err(Box::new(question));
        }
        table.asked += 1;
        let asked = table.asked;
        let entry = table.open.vacant_entry();
        let number = asked << PLACE_BITS | entry.key() as u64;
        entry.insert(Open { number, question, is_begun: false });
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

    /// Takes an event in: what waits for an answer becomes a pending request.
    ///
    /// # Errors
    /// Gives the event back when there are too many.
    pub(crate) fn admit(&self, event: AppEvent, deadline: Option<Instant>) -> Result<Item, Box<AppEvent>> {
        Ok(match event {
            AppEvent::Connect { client, info } => match self.ask(Question::Connect(client), deadline) {
                Ok(number) => Item::Connect { number, client, info },
                Err(_) => return Err(Box::new(AppEvent::Connect { client, info })),
            },
            AppEvent::PeerLookup(lookup) => {
                match self.ask(Question::Lookup(lookup), deadline).map_err(|question| *question) {
                    Ok(number) => Item::Lookup { number },
                    Err(Question::Lookup(lookup)) => return Err(Box::new(AppEvent::PeerLookup(lookup))),
                    // It gives back what it got.
                    Err(_) => Item::Lookup { number: 0 },
                }
            }
            AppEvent::Call { client, call } if call.wants_answer() => {
                let question = Question::Call { client, transaction: call.transaction };
                match self.ask(question, None) {
                    Ok(number) => Item::Call { number: Some(number), client, call },
                    Err(_) => return Err(Box::new(AppEvent::Call { client, call })),
                }
            }
            AppEvent::Call { client, call } => Item::Call { number: None, client, call },
            event => Item::Event(event),
        })
    }

    /// The script is told of a request. `None` if it has been answered, by its deadline or for want of a script that runs.
    pub(crate) fn begin<T>(&self, number: u64, about: impl FnOnce(&Question) -> T) -> Option<T> {
        let mut table = self.table();
        let open = table.open.get_mut(place_of(number)).filter(|open| open.number == number)?;
        open.is_begun = true;
        Some(about(&open.question))
    }

    /// The peer that an open lookup is for.
    pub(crate) fn target(&self, number: u64) -> Option<PeerId> {
        let table = self.table();
        match table.open.get(place_of(number)) {
            Some(Open { number: of, question: Question::Lookup(lookup), .. }) if *of == number => lookup.lookup.target,
            _ => None,
        }
    }

    /// Takes a question out, to answer it. `None` if that has happened.
    pub(crate) fn take(&self, number: u64) -> Option<Question> {
        self.table().take(number)
    }

    /// Takes a lookup out, to answer it. `None` if that has happened, or it is none.
    pub(crate) fn take_lookup(&self, number: u64) -> Option<PendingLookup> {
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
    pub(crate) fn take_late(&self, now: Instant) -> Option<(u64, Question)> {
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
    pub(crate) fn take_all(&self) -> Vec<Question> {
        let mut table = self.table();
        table.deadlines.clear();
        let mut all: Vec<Open> = table.open.drain().collect();
        all.sort_by_key(|open| open.number);
        all.into_iter().map(|open| open.question).collect()
    }

    /// The requests that the script has been told of and that wait, the oldest first.
    pub(crate) fn begun(&self) -> Vec<(u64, Question)> {
        let table = self.table();
        let begun = table.open.iter().filter(|(_, open)| open.is_begun);
        let mut all: Vec<_> = begun.map(|(_, open)| (open.number, open.question.clone())).collect();
        all.sort_by_key(|(number, _)| *number);
        all
    }

    /// When the next one is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.table().deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
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

    fn lookup() -> PendingLookup {
        let lookup = rtmfp::Lookup {
            target: None,
            epd: Default::default(),
            initiator: "192.0.2.1:1".parse().unwrap(),
            tag: Default::default(),
            received: 68,
            interface: rtmfp::InterfaceId(0),
            asker: None,
        };
        PendingLookup::new(0, lookup, None, introd_policy::InstanceId(0))
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
    fn a_request_waits_from_its_arrival_and_a_new_script_is_told_of_those_that_the_old_one_knew() {
        let questions = Questions::default();
        let now = Instant::now();
        let event = || AppEvent::PeerLookup(lookup());
        let numbers: Vec<u64> = (0..2)
            .map(|_| match questions.admit(event(), Some(now)) {
                Ok(Item::Lookup { number }) => number,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(questions.begun().is_empty() && questions.len() == 2);
        assert!(questions.begin(numbers[1], |_| ()).is_some());
        assert!(matches!(questions.begun()[..], [(number, _)] if number == numbers[1]));
        while questions.take_late(now).is_some() {}
        assert!(questions.begin(numbers[0], |_| ()).is_none());
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

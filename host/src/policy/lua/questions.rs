//! What waits for an instance's answer: connects, lookups, and calls of clients.
//!
//! Each question is taken out exactly once, by whoever answers it: the script, its deadline, its failure, or the watchdog when
//! the script hangs. The table is therefore shared between the policy thread and the watchdog.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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

/// The questions of an instance, by number.
#[derive(Default)]
pub(super) struct Questions {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    open: HashMap<u64, (Question, Option<Instant>)>,
    deadlines: BTreeSet<(Instant, u64)>,
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
        table.last += 1;
        let number = table.last;
        table.open.insert(number, (question, deadline));
        table.deadlines.extend(deadline.map(|deadline| (deadline, number)));
        Ok(number)
    }

    /// Takes a question out, to answer it. `None` if that has happened.
    pub(super) fn take(&self, number: u64) -> Option<Question> {
        let mut table = self.table();
        let (question, deadline) = table.open.remove(&number)?;
        if let Some(deadline) = deadline {
            table.deadlines.remove(&(deadline, number));
        }
        Some(question)
    }

    /// Takes out what should have been answered by now.
    pub(super) fn take_late(&self, now: Instant) -> Option<(u64, Question)> {
        let mut table = self.table();
        let (deadline, number) = table.deadlines.first().copied()?;
        if deadline > now {
            return None;
        }
        table.deadlines.pop_first();
        table.open.remove(&number).map(|(question, _)| (number, question))
    }

    /// Takes out everything, the oldest first.
    pub(super) fn take_all(&self) -> Vec<Question> {
        let mut table = self.table();
        table.deadlines.clear();
        let mut all: Vec<_> = table.open.drain().collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, (question, _))| question).collect()
    }

    /// The questions that wait, the oldest first.
    pub(super) fn open(&self) -> Vec<(u64, Question)> {
        let mut all: Vec<_> =
            self.table().open.iter().map(|(number, (question, _))| (*number, question.clone())).collect();
        all.sort_by_key(|(number, _)| *number);
        all
    }

    /// When the next one is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.table().deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.table().open.len()
    }
}

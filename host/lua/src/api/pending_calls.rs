//! Calls of clients, and of the servers of NetConnections, whose answers a script waits for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Result, Value};

use super::connection_objects::Connection;
use crate::instance::roster::RosterMember;

/// How many calls may wait for their answers.
const MAX_CALLS: usize = 65_536;
/// How long there is to answer a call. Its program answers at once; one that never does must not fill the tables.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Who is called.
pub(crate) enum Callee {
    Client(Rc<RosterMember>),
    /// The server that a NetConnection leads to.
    Connection(Rc<Connection>),
}

impl Callee {
    /// The tokens of the calls that it has not answered.
    fn asked(&self) -> &RefCell<Vec<u64>> {
        match self {
            Self::Client(member) => &member.asked,
            Self::Connection(connection) => &connection.asked,
        }
    }

    /// Who that is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Connection(_) => "server",
        }
    }
}

/// A call.
pub(crate) struct PendingCall {
    pub(crate) callee: Callee,
    until: Instant,
    /// The function or object that gets the answer; nil if a handler waits for it.
    pub(crate) handler: Value,
}

/// The calls that wait, by token. All have the same timeout, so that the first is due first.
#[derive(Default)]
pub(crate) struct PendingCalls {
    calls: BTreeMap<u64, PendingCall>,
}

impl PendingCalls {
    /// Somebody is called. `handler` gets the answer: nil if a handler waits for it.
    pub(crate) fn add(&mut self, token: u64, callee: Callee, handler: Value, now: Instant) -> Result<()> {
        if self.calls.len() >= MAX_CALLS {
            return Err(mlua::Error::runtime(format!(
                "too many calls wait for their results: there may be {MAX_CALLS}"
            )));
        }
        callee.asked().borrow_mut().push(token);
        self.calls.insert(token, PendingCall { callee, until: now + CALL_TIMEOUT, handler });
        Ok(())
    }

    /// Takes a call out. `None` if it has been answered, or was made by another VM.
    pub(crate) fn take(&mut self, token: u64) -> Option<PendingCall> {
        let call = self.calls.remove(&token)?;
        call.callee.asked().borrow_mut().retain(|other| *other != token);
        Some(call)
    }

    /// The call that is due next, and when.
    pub(crate) fn next(&self) -> Option<(u64, Instant)> {
        self.calls.first_key_value().map(|(token, call)| (*token, call.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::roster::Roster;

    #[test]
    fn calls_of_clients_are_bounded_and_leave_nothing_behind() {
        let ((id, info), now) = (crate::tests::a_client(), Instant::now());
        let (mut calls, member) = (PendingCalls::default(), Roster::default().insert(id, info));
        for token in 1..=MAX_CALLS as u64 {
            calls
                .add(token, Callee::Client(Rc::clone(&member)), Value::Nil, now + Duration::from_millis(token))
                .unwrap();
        }
        assert!(
            calls
                .add(0, Callee::Client(Rc::clone(&member)), Value::Nil, now)
                .unwrap_err()
                .to_string()
                .contains("too many calls")
        );
        assert_eq!(calls.next(), Some((1, now + Duration::from_millis(1) + CALL_TIMEOUT)));
        assert!(calls.take(1).is_some() && calls.take(1).is_none());
        assert_eq!((calls.next().map(|(token, _)| token), member.asked.borrow().len()), (Some(2), MAX_CALLS - 1));
        assert!(calls.add(0, Callee::Client(Rc::clone(&member)), Value::Nil, now).is_ok());
    }
}

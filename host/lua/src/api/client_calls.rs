//! Calls of clients whose answers a script waits for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Result, Value};

use crate::instance::roster::RosterMember;

/// How many calls of clients may wait for their answers.
const MAX_CALLS: usize = 65_536;
/// How long a client has to answer a call. Its program answers at once; one that never does must not fill the tables.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A call of a client.
pub(crate) struct ClientCall {
    member: Rc<RosterMember>,
    until: Instant,
    /// The function or object that gets the answer; nil if a handler waits for it.
    pub(crate) handler: Value,
}

/// The calls that wait, by token. All have the same timeout, so that the first is due first.
#[derive(Default)]
pub(crate) struct ClientCalls {
    calls: BTreeMap<u64, ClientCall>,
}

impl ClientCalls {
    /// A client is called. `handler` gets the answer: nil if a handler waits for it.
    pub(crate) fn add(&mut self, token: u64, member: &Rc<RosterMember>, handler: Value, now: Instant) -> Result<()> {
        if self.calls.len() >= MAX_CALLS {
            return Err(mlua::Error::runtime(format!(
                "too many calls wait for their results: there may be {MAX_CALLS}"
            )));
        }
        self.calls.insert(token, ClientCall { member: Rc::clone(member), until: now + CALL_TIMEOUT, handler });
        member.asked.borrow_mut().push(token);
        Ok(())
    }

    /// Takes a call out. `None` if it has been answered, or was made by another VM.
    pub(crate) fn take(&mut self, token: u64) -> Option<ClientCall> {
        let call = self.calls.remove(&token)?;
        call.member.asked.borrow_mut().retain(|other| *other != token);
        Some(call)
    }

    /// The call that is due next, and when.
    pub(crate) fn next(&self) -> Option<(u64, Instant)> {
        self.calls.first_key_value().map(|(token, call)| (*token, call.until))
    }
}

//! What follows from an event later: each turn of an instance runs a few handlers, and the rest has later turns.

use std::time::Instant;

use mlua::MultiValue;

use super::HANDLERS_AT_ONCE;
use super::Runtime;
use crate::api::script::Purpose;
use crate::engine::failure::Failure;
use crate::engine::timers::Fired;
use crate::engine::timers::unpacked;
use crate::engine::vm::Progress;
use crate::instance::open_requests::OpenRequest;
use crate::instance::open_requests::call_failed;

impl Runtime {
    /// Whether handlers are to run as soon as it is this instance's turn.
    pub(crate) fn is_behind(&self) -> bool {
        if self.is_over() {
            return false;
        }
        let queues = [self.unanswered.len(), self.untold.len(), self.catching_up.len()];
        let has_requests = !self.again.is_empty() && self.starting.is_over();
        queues.iter().any(|waiting| *waiting > 0)
            || has_requests
            || self.is_ending()
            || self.starting.is_behind()
            || self.script.state.connections.has_local()
    }

    /// Runs one handler that is due. False if none is.
    pub(super) fn do_next_due(&mut self, now: Instant) -> bool {
        if self.is_ending() {
            return self.do_next_at_end();
        }
        if let Some((token, _)) = self.script.state.next_asked().filter(|(_, until)| *until <= now) {
            self.give_up_answer(token, "did not answer in time");
        } else if let Some((number, event)) = self.script.state.connections.take_local() {
            self.on_connection(number, event);
        } else if let Some((handler, failure)) = self.untold.pop_front() {
            self.tell_of(&handler, &failure);
        } else if let Some(token) = self.unanswered.pop_front() {
            self.give_up_answer(token, "is gone");
        } else if self.starting.is_over()
            && let Some(number) = self.again.pop_front()
        {
            self.ask_again(number);
        } else if let Some(member) = self.catching_up.pop_front() {
            self.catch_up(&member, 1);
        } else if let Some(item) = self.starting.take() {
            self.dispatch(item);
        } else {
            let Some(token) = self.script.state.timers.borrow().due(now) else { return false };
            let fired = self.script.state.timers.borrow_mut().fire(token, now);
            match fired {
                Some(Fired::Wake) => self.wake(token, MultiValue::new()),
                Some(Fired::Call { function, arguments }) => {
                    let purpose = Purpose::Timer(token);
                    let progress = match unpacked(arguments) {
                        Ok(arguments) => self.script.start(purpose, &function, arguments),
                        Err(error) => Progress::Ended(purpose, Err(Failure::from(&error))),
                    };
                    self.go_on(progress);
                }
                None => (),
            }
        }
        true
    }

    /// The same for an instance that ends: nothing is due any more but what follows from that.
    fn do_next_at_end(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        if let Some((handler, failure)) = self.untold.pop_front() {
            self.tell_of(&handler, &failure);
        } else if let Some(token) = self.unanswered.pop_front() {
            self.give_up_answer(token, "is gone");
        } else if let Some(member) = self.catching_up.pop_front() {
            self.catch_up(&member, 1);
        } else {
            self.end_next();
        }
        true
    }

    /// A client has left, or a connection is closed, that has not answered these calls: the handlers that wait for the answers get an error, a few of them now, the rest
    /// in later turns.
    pub(super) fn leave_unanswered(&mut self, mut tokens: Vec<u64>) {
        let later = tokens.split_off(tokens.len().min(HANDLERS_AT_ONCE));
        self.unanswered.extend(later);
        tokens.into_iter().for_each(|token| self.give_up_answer(token, "is gone"));
    }

    /// There will be no answer to a call.
    fn give_up_answer(&mut self, token: u64, why: &str) {
        let Some(call) = self.script.state.take_asked(token) else { return };
        let failed = call_failed(&format!("The {} {why}.", call.callee.name()));
        self.call_answered(token, call, Err(vec![failed]));
    }

    /// Asks a script that was reloaded about an open request, unless that is answered by now.
    pub(super) fn ask_again(&mut self, number: u64) {
        match self.instance.requests.begin(number, OpenRequest::clone) {
            Some(OpenRequest::Lookup(_)) => self.look_up(number),
            Some(OpenRequest::Connect(client)) => {
                let member = self.instance.roster.borrow().get(client);
                if let Some(member) = member {
                    self.ask_connect(&member);
                }
            }
            Some(OpenRequest::Call { .. } | OpenRequest::Publish { .. }) => self.fail(number),
            None => (),
        }
    }
}

//! Clients that connect and leave.

use std::rc::Rc;
use std::sync::Arc;

use mlua::MultiValue;
use mlua::Value;

use super::HANDLERS_AT_ONCE;
use super::Runtime;
use crate::api::script::Purpose;
use crate::api::state::{CONNECT_ACCEPT, CONNECT_REJECT, plain_rejection};
use crate::engine::failure::Failure;
use crate::instance::item::InboxItem;
use crate::instance::roster::Phase;
use crate::instance::roster::RosterMember;
use introd_config::ConnectDefault;
use introd_policy::message::AppEvent;
use introd_policy::message::ClientId;
use introd_policy::message::ClientInfo;

impl Runtime {
    pub(super) fn connect(&mut self, number: u64, client: ClientId, info: Arc<ClientInfo>) {
        let is_open = self.instance.requests.begin(number, |_| ()).is_some();
        let before = self.instance.roster.borrow().get(client);
        // One that is not accepted has not left: it waited for the script of another process, which has ended, and is asked about again.
        let before = before.filter(|before| before.phase.get() != Phase::Refused);
        before.into_iter().for_each(|before| self.leave(&before));
        let member = self.instance.roster.borrow_mut().insert(client, info);
        if is_open {
            member.request.set(number);
            self.ask_connect(&member);
        } else {
            // The server has decided meanwhile. If it has accepted the client, the next event says so.
            member.phase.set(Phase::Refused);
        }
    }

    /// The server has accepted a client although the script has not decided so.
    pub(super) fn accepted(&mut self, client: ClientId) {
        let known = self.instance.roster.borrow().get(client);
        let Some(member) = known.or_else(|| self.instance.roster.borrow_mut().insert_from_ledger(client)) else {
            return;
        };
        if !matches!(member.phase.get(), Phase::Waiting | Phase::Refused) {
            return;
        }
        self.instance.roster.borrow().know(&member);
        self.script.state.let_in(&member);
    }

    /// Asks the script to decide on a connect.
    pub(super) fn ask_connect(&mut self, member: &Rc<RosterMember>) {
        self.instance.roster.borrow().know(member);
        let Some(handler) = self.script.handler("onConnect") else {
            self.script.state.accept(member);
            return;
        };
        let Some(mut arguments) = self.arguments(&member.info.request.arguments) else {
            self.script.state.reject(member, crate::api::state::plain_rejection());
            return;
        };
        if let Some(object) = self.object(member) {
            arguments.push_front(Value::Table(object));
        }
        member.is_connecting.set(true);
        let progress = self.script.start(Purpose::Connect(Rc::clone(member)), &handler, arguments);
        self.go_on(progress);
    }

    pub(super) fn connect_decided(&mut self, member: &Rc<RosterMember>, result: Result<MultiValue, Failure>) {
        member.is_connecting.set(false);
        let state = &self.script.state;
        match result {
            Ok(values) => match (values.len(), values.front()) {
                (_, Some(Value::Boolean(true))) => drop(state.accept(member)),
                (0, _) => self.decide_by_default(member),
                (_, Some(Value::Boolean(false))) => drop(state.reject(member, plain_rejection())),
                (_, Some(Value::Nil) | None) => (),
                (_, Some(other)) => {
                    let message = format!("onConnect must return true, false or nil, not a {}", other.type_name());
                    let failure = Failure { message, ..Failure::default() };
                    let failure = match self.script.handler("onConnect") {
                        Some(handler) => failure.or_at(&handler),
                        None => failure,
                    };
                    self.report("onConnect", &failure);
                    self.refuse(member);
                }
            },
            Err(failure) => {
                self.report("onConnect", &failure);
                self.refuse(member);
            }
        }
        self.release(member, HANDLERS_AT_ONCE);
    }

    /// `onConnect` has returned nothing: the settings say what that means. The examples of Adobe's documents expect that it accepts the
    /// client, while on AMS it leaves the client waiting.
    fn decide_by_default(&self, member: &Rc<RosterMember>) {
        if self.instance.settings().script.connect_default == ConnectDefault::Accept {
            let is_accepted = self.script.state.accept(member);
            member.is_accepted_by_default.set(is_accepted);
        }
    }

    /// Calls `onConnectAccept` or `onConnectReject`, with the arguments of `connect`.
    pub(super) fn tell_decided(&mut self, member: &Rc<RosterMember>, is_accepted: bool) {
        let name = if is_accepted { CONNECT_ACCEPT } else { CONNECT_REJECT };
        if self.script.handler(name).is_none() {
            return;
        }
        if let Some(mut arguments) = self.arguments(&member.info.request.arguments)
            && let Some(object) = self.object(member)
        {
            arguments.push_front(Value::Table(object));
            self.call(name, arguments);
        }
    }

    /// The script has failed at the connect of a client: the server decides by its fallback.
    pub(super) fn refuse(&self, member: &RosterMember) {
        if member.phase.get() == Phase::Waiting {
            member.phase.set(Phase::Refused);
            self.fail(member.request.get());
        }
    }

    /// Tells the script what has happened to a client while its `onConnect` ran: so many events now, the rest in later turns. Gives
    /// back how many now.
    pub(super) fn release(&mut self, member: &Rc<RosterMember>, at_once: usize) -> usize {
        if member.is_catching_up.get() { 0 } else { self.catch_up(member, at_once) }
    }

    /// Tells the script of up to so many events that have happened to a client. Gives back how many there were.
    pub(super) fn catch_up(&mut self, member: &Rc<RosterMember>, limit: usize) -> usize {
        member.is_catching_up.set(true);
        let mut happened = 0;
        while happened < limit {
            let Some(item) = member.deferred.borrow_mut().pop_front() else { break };
            self.happen(member, item);
            happened += 1;
        }
        let is_behind = !member.deferred.borrow().is_empty();
        member.is_catching_up.set(is_behind);
        self.catching_up.extend(is_behind.then(|| Rc::clone(member)));
        happened
    }

    pub(super) fn disconnect(&mut self, client: ClientId) {
        let Some(member) = self.instance.roster.borrow().get(client) else { return };
        self.depart(&member, Vec::new());
    }

    /// A client is gone: the script is told of these events, of the ends of what it publishes, and of its own end.
    pub(super) fn depart(&mut self, member: &Rc<RosterMember>, mut last: Vec<InboxItem>) {
        last.extend(self.last_publications(member));
        if last.is_empty() && !member.is_catching_up.get() {
            self.leave(member);
            return;
        }
        // The script is told of that after everything before it.
        member.deferred.borrow_mut().extend(last);
        member.deferred.borrow_mut().push_back(InboxItem::Event(AppEvent::Disconnect { client: member.id }));
        self.release(member, HANDLERS_AT_ONCE);
    }

    pub(super) fn leave(&mut self, member: &Rc<RosterMember>) {
        if member.phase.get() == Phase::Gone {
            return;
        }
        if member.is_connecting.replace(false) {
            // Its decision is not needed any more.
            self.script.cancel(|purpose| matches!(purpose, Purpose::Connect(other) if Rc::ptr_eq(other, member)));
        }
        // The script is told nothing else of a client that was never accepted.
        member.deferred.take().iter().for_each(|item| self.refuse_item(item, "Not connected."));
        self.instance.requests.take(member.request.get());
        self.instance.roster.borrow_mut().remove(member.id);
        self.script.state.objects.unfind(member);
        // It will not answer the calls that it has not answered.
        self.leave_unanswered(member.asked.take());
        if member.is_known()
            && self.script.handler("onDisconnect").is_some()
            && let Some(object) = self.object(member)
        {
            self.call("onDisconnect", MultiValue::from_iter([Value::Table(object)]));
        }
        self.script.state.objects.forget(member);
    }
}

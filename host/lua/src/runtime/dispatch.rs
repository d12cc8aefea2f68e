//! Which handler an event calls.

use std::rc::Rc;

use mlua::{Function, MultiValue, Table, Value};

use crate::api::client::is_reserved;
use crate::api::group_control;
use crate::api::lookup_event::Facts;
use crate::api::script::{Purpose, as_function};
use crate::engine::values;
use crate::instance::item::Item;
use crate::instance::open_requests::{OpenRequest, call_failed};
use crate::instance::roster::{Member, Phase};
use crate::runtime::Runtime;
use introd_flash::amf;
use introd_flash::server::Call;
use introd_policy::message::{AppEvent, ClientCommand, ClientId, ClientInfo, ClientStats};

/// The most events that wait for a client's `onConnect` to end.
const MAX_DEFERRED: usize = 64;

/// The name of a method that came from a client, fit for messages.
fn abridged(name: &str) -> String {
    name.chars().take(64).collect()
}

impl Runtime {
    pub(crate) fn connect(&mut self, number: u64, client: ClientId, info: ClientInfo) {
        let is_open = self.world.requests.begin(number, |_| ()).is_some();
        let before = self.world.roster.borrow().get(client);
        before.into_iter().for_each(|before| self.leave(&before));
        let member = self.world.roster.borrow_mut().insert(client, info);
        if is_open {
            member.request.set(number);
            self.ask_connect(&member);
        } else {
            // The server has decided by now. If it has accepted the client, it says so next.
            member.phase.set(Phase::Refused);
        }
    }

    /// The server has accepted a client although the script has not.
    pub(crate) fn accepted(&mut self, client: ClientId) {
        let known = self.world.roster.borrow().get(client);
        let Some(member) = known.or_else(|| self.world.roster.borrow_mut().insert_from_ledger(client)) else { return };
        if !matches!(member.phase.get(), Phase::Waiting | Phase::Refused) {
            return;
        }
        member.is_known.set(true);
        self.vm.state.let_in(&member);
    }

    /// Has the script decide on a connect.
    pub(crate) fn ask_connect(&mut self, member: &Rc<Member>) {
        member.is_known.set(true);
        let Some(handler) = self.vm.handler("onConnect") else {
            self.vm.state.accept(member);
            return;
        };
        let Some(mut arguments) = self.arguments(&member.info.request.arguments) else {
            self.vm.state.reject(member, crate::api::state::plain_rejection());
            return;
        };
        if let Some(object) = self.object(member) {
            arguments.push_front(Value::Table(object));
        }
        member.is_connecting.set(true);
        let progress = self.vm.start(Purpose::Connect(Rc::clone(member)), &handler, arguments);
        self.go_on(progress);
    }

    /// What happened to a client while its `onConnect` ran may happen now, so much of it at once; the rest has later turns. Gives
    /// back how much has happened.
    pub(crate) fn release(&mut self, member: &Rc<Member>, at_once: usize) -> usize {
        if member.is_catching_up.get() { 0 } else { self.catch_up(member, at_once) }
    }

    /// The script hears of so much that has happened to a client.
    pub(crate) fn catch_up(&mut self, member: &Rc<Member>, most: usize) -> usize {
        member.is_catching_up.set(true);
        let mut happened = 0;
        while happened < most {
            let Some(item) = member.deferred.borrow_mut().pop_front() else { break };
            self.happen(member, item);
            happened += 1;
        }
        let is_behind = !member.deferred.borrow().is_empty();
        member.is_catching_up.set(is_behind);
        self.catching_up.extend(is_behind.then(|| Rc::clone(member)));
        happened
    }

    pub(crate) fn disconnect(&mut self, client: ClientId) {
        let Some(member) = self.world.roster.borrow().get(client) else { return };
        if member.is_catching_up.get() {
            // It happens after all that.
            member.deferred.borrow_mut().push_back(Item::Event(AppEvent::Disconnect { client }));
        } else {
            self.leave(&member);
        }
    }

    fn leave(&mut self, member: &Rc<Member>) {
        if member.is_connecting.replace(false) {
            // It decides on nobody now.
            self.vm.cancel(|purpose| matches!(purpose, Purpose::Connect(other) if Rc::ptr_eq(other, member)));
        }
        // Of one that never got in nothing else is of interest.
        member.deferred.take().iter().for_each(|item| self.refuse_call(item, "Not connected."));
        self.world.requests.take(member.request.get());
        self.world.roster.borrow_mut().remove(member.id);
        self.vm.state.objects.unfind(member);
        // What it was asked it will not answer any more.
        self.leave_unanswered(member.asked.take());
        if member.is_known.get()
            && self.vm.handler("onDisconnect").is_some()
            && let Some(object) = self.object(member)
        {
            self.call("onDisconnect", MultiValue::from_iter([Value::Table(object)]));
        }
        self.vm.state.objects.forget(member);
    }

    pub(crate) fn look_up(&mut self, number: u64) {
        let facts = self.world.requests.begin(number, |request| match request {
            OpenRequest::Lookup(lookup) => Some(Facts::of(lookup)),
            _ => None,
        });
        // One that was answered by now concerns nobody.
        if let Some(facts) = facts.flatten() {
            self.ask_lookup(number, &facts);
        }
    }

    /// Has the script answer a lookup.
    pub(crate) fn ask_lookup(&mut self, number: u64, facts: &Facts) {
        let progress = self.vm.look_up(number, facts);
        self.go_on(progress);
    }

    /// Something that a client that is there does, or that happens to it.
    pub(crate) fn of_client(&mut self, client: ClientId, item: Item) {
        if let Item::Call { number: Some(number), .. } = &item
            && self.world.requests.begin(*number, |_| ()).is_none()
        {
            return;
        }
        let Some(member) = self.world.roster.borrow().get(client) else {
            self.refuse_call(&item, "Not connected.");
            return;
        };
        if let Item::Event(event) = &item {
            self.world.ledger.note(event);
            match event {
                AppEvent::FarAddressChange { address, .. } => {
                    member.far_address.set(*address);
                    self.vm.state.objects.client_changed(&member, &["farAddress", "ip"]);
                }
                AppEvent::ReportedAddressesChange { addresses, .. } => {
                    member.reported.borrow_mut().clone_from(addresses);
                    self.vm.state.objects.client_changed(&member, &["reportedAddresses"]);
                }
                AppEvent::GroupJoin { membership, groupspec_digest, .. } => {
                    member.groups.borrow_mut().push((*membership, *groupspec_digest));
                }
                _ => (),
            }
        }
        let is_waiting = member.is_connecting.get() && member.phase.get() == Phase::Waiting;
        if !is_waiting && !member.is_catching_up.get() {
            self.happen(&member, item);
            return;
        }
        let is_full = member.deferred.borrow().len() >= MAX_DEFERRED;
        if is_waiting && is_full {
            // A group that it has left is not to be told of later as one that it is in.
            if let Item::Event(AppEvent::GroupLeave { membership, .. }) = item {
                member.groups.borrow_mut().retain(|(other, _)| *other != membership);
            }
            self.refuse_call(&item, "Not connected.");
            return;
        }
        let earlier = if is_full { member.deferred.borrow_mut().pop_front() } else { None };
        member.deferred.borrow_mut().push_back(item);
        earlier.into_iter().for_each(|earlier| self.happen(&member, earlier));
    }

    /// Tells a client that its call will not be made, if it wants to know.
    fn refuse_call(&self, item: &Item, why: &str) {
        if let Item::Call { number: Some(number), client, call } = item
            && self.world.requests.take(*number).is_some()
        {
            let (transaction, outcome) = (call.transaction, Err(call_failed(why)));
            self.world.send(ClientCommand::Answer { client: *client, transaction, outcome });
        }
    }

    fn happen(&mut self, member: &Rc<Member>, item: Item) {
        let event = match item {
            Item::Call { number, call, .. } => return self.called(member, number, call),
            Item::Event(event) => event,
            Item::Connect { .. } | Item::Lookup { .. } => return,
        };
        match event {
            AppEvent::Disconnect { .. } => self.leave(member),
            AppEvent::FarAddressChange { .. } | AppEvent::ReportedAddressesChange { .. }
                if matches!(member.phase.get(), Phase::Refused | Phase::Gone) => {}
            AppEvent::FarAddressChange { .. } => {
                self.tell(member, &["onFarAddressChange"], MultiValue::new());
            }
            AppEvent::ReportedAddressesChange { .. } => {
                // The document that describes it spells it both ways.
                const NAMES: &[&str] = &["onReportedAddressesChange", "onReportedAddressChange"];
                self.tell(member, NAMES, MultiValue::new());
            }
            AppEvent::GroupJoin { membership, groupspec_digest, .. } => {
                self.joined(member, (membership, groupspec_digest));
            }
            AppEvent::GroupLeave { membership, groupspec_digest, .. } => {
                self.left(member, (membership, groupspec_digest));
            }
            _ => (),
        }
    }

    fn joined(&mut self, member: &Rc<Member>, group: (u64, [u8; 32])) {
        const NAME: &[&str] = &["onGroupJoin"];
        if self.client_handler(member, NAME).is_none() {
            return;
        }
        match group_control::object(&self.vm.state, self.vm.lua(), member, group) {
            Ok(control) => self.tell(member, NAME, MultiValue::from_iter([Value::UserData(control)])),
            Err(error) => self.report("onGroupJoin", &(&error).into()),
        }
    }

    fn left(&mut self, member: &Rc<Member>, group: (u64, [u8; 32])) {
        const NAME: &[&str] = &["onGroupLeave"];
        member.groups.borrow_mut().retain(|(other, _)| *other != group.0);
        if self.client_handler(member, NAME).is_some() {
            let digest = self.vm.lua().create_string(hex::encode(group.1));
            match digest
                .and_then(|digest| Ok((digest, group_control::object(&self.vm.state, self.vm.lua(), member, group)?)))
            {
                Ok((digest, control)) => {
                    let arguments = [Value::String(digest), Value::UserData(control)];
                    self.tell(member, NAME, arguments.into_iter().collect());
                }
                Err(error) => self.report("onGroupLeave", &(&error).into()),
            }
        }
        self.vm.state.objects.forget_membership(member.id, group.0);
    }

    /// Calls a handler of a client.
    fn tell(&mut self, member: &Rc<Member>, names: &'static [&'static str], mut arguments: MultiValue) {
        let Some((name, handler)) = self.client_handler(member, names) else { return };
        let Some(object) = self.object(member) else { return };
        arguments.push_front(Value::Table(object));
        let progress = self.vm.start(Purpose::Other(name), &handler, arguments);
        self.go_on(progress);
    }

    /// The first of these functions that the script has given to the client or to all clients.
    fn client_handler<'a>(&self, member: &Member, names: &[&'a str]) -> Option<(&'a str, Function)> {
        names.iter().find_map(|name| Some((*name, self.client_function(member, name)?)))
    }

    fn client_function(&self, member: &Member, name: &str) -> Option<Function> {
        let key = Value::String(self.vm.lua().create_string(name).ok()?);
        let own = self.vm.state.objects.known(member.id).and_then(|object| object.raw_get::<Value>(&key).ok());
        own.and_then(as_function).or_else(|| self.vm.state.prototype.raw_get::<Value>(key).ok().and_then(as_function))
    }

    fn called(&mut self, member: &Rc<Member>, number: Option<u64>, call: Call) {
        let name = abridged(&call.name);
        let handler = self.client_function(member, &call.name).filter(|_| !is_reserved(&call.name));
        let ready = match handler {
            _ if !member.is_accepted() => Err("Not connected"),
            None => Err("Method not found"),
            Some(handler) => match self.arguments(&call.arguments) {
                Some(arguments) => Ok((handler, arguments)),
                None => Err("Call failed"),
            },
        };
        match ready {
            Ok((handler, mut arguments)) => {
                arguments.push_front(self.object(member).map_or(Value::Nil, Value::Table));
                let progress = self.vm.start(Purpose::Call(name, number), &handler, arguments);
                self.go_on(progress);
            }
            Err(why) => {
                self.refuse_call(&Item::Call { number, client: member.id, call }, &format!("{why} ({name})."));
            }
        }
    }

    /// The client's object; `None`, with a report, when the script has no memory left for it.
    fn object(&mut self, member: &Rc<Member>) -> Option<Table> {
        let made = self.vm.state.objects.of(self.vm.lua(), member);
        made.map_err(|error| self.report("client", &(&error).into())).ok()
    }

    /// Arguments from a client, for the script.
    fn arguments(&mut self, values: &[amf::Value]) -> Option<MultiValue> {
        let (lua, marks) = (self.vm.lua(), &self.vm.state.marks);
        let made: mlua::Result<MultiValue> =
            values.iter().map(|value| values::to_lua(lua, marks, value.clone())).collect();
        made.map_err(|error| self.report("arguments", &(&error).into())).ok()
    }

    /// A client has answered a call.
    pub(crate) fn answered(&mut self, token: u64, outcome: Result<Vec<amf::Value>, Vec<amf::Value>>) {
        let Some(asked) = self.vm.state.take_asked(token) else { return };
        let is_ok = outcome.is_ok();
        let (Ok(given) | Err(given)) = outcome;
        let (lua, marks) = (self.vm.lua(), &self.vm.state.marks);
        let made: mlua::Result<MultiValue> = given.into_iter().map(|value| values::to_lua(lua, marks, value)).collect();
        let mut results = made.unwrap_or_default();
        if !is_ok {
            // Results are nil, and what follows says why.
            if results.is_empty() {
                let info = values::to_lua(lua, marks, call_failed("The call failed."));
                results.push_back(info.unwrap_or_default());
            }
            results.push_front(Value::Nil);
        }
        match asked.handler {
            Value::Nil => self.wake(token, results),
            Value::Function(handler) => self.run_result(&handler, results),
            // An object with onResult and onStatus, as in ActionScript.
            Value::Table(object) => {
                let name = if is_ok { "onResult" } else { "onStatus" };
                if !is_ok {
                    results.pop_front();
                }
                let progress = self.vm.call_result(object, name, results);
                self.go_on(progress);
            }
            _ => (),
        }
    }

    fn run_result(&mut self, handler: &Function, results: MultiValue) {
        let progress = self.vm.start(Purpose::Other("the result handler of a call"), handler, results);
        self.go_on(progress);
    }

    pub(crate) fn stats(&mut self, token: u64, stats: Option<ClientStats>) {
        if self.vm.state.take_asked(token).is_none() {
            return;
        }
        let table = stats.map(|stats| {
            self.vm.lua().create_table_from([
                ("bytes_in", stats.bytes_in),
                ("bytes_out", stats.bytes_out),
                ("msg_in", stats.msg_in),
                ("msg_out", stats.msg_out),
                ("msg_dropped", stats.msg_dropped),
                ("ping_rtt", stats.ping_rtt),
            ])
        });
        let value = table.and_then(Result::ok).map_or(Value::Nil, Value::Table);
        self.wake(token, MultiValue::from_iter([value]));
    }
}

//! An instance at work: what happens to its clients becomes calls of its script's handlers.
//!
//! It knows no thread, no socket and no clock: it is told of events and of the time, and asked when it wants to be woken. Tests
//! of scripts drive it with a clock of their own.

mod dispatch;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{MultiValue, Value};

use crate::api::address_list;
use crate::api::application::HANDLERS;
use crate::api::lookup_event::Facts;
use crate::api::script::{Purpose, Script};
use crate::api::state::plain_rejection;
use crate::engine::failure::Failure;
use crate::engine::timers::{Fired, unpacked};
use crate::engine::values;
use crate::engine::vm::Progress;
use crate::instance::item::Item;
use crate::instance::open_requests::{Answer, OpenRequest, call_failed};
use crate::instance::roster::{Member, Phase};
use crate::instance::world::World;
use introd_config::Application;
use introd_flash::server::Rejection;
use introd_policy::message::{AppEvent, ClientCommand};
use introd_policy::registry::LookupResult;
use introd_policy::{RequestId, Verdict};

/// So many handlers run for one event at most, one after the other; what else follows from it has later turns. As many as the calls
/// that a client has left unanswered and that fail before its `onDisconnect`.
pub(crate) const HANDLERS_AT_ONCE: usize = 4;
/// So many errors wait at most until the script is told of them; it is not told of more. The log has all.
const MAX_UNTOLD: usize = 64;

/// An instance with its script.
pub(crate) struct Runtime {
    pub(crate) world: Rc<World>,
    pub(crate) vm: Script,
    folder: PathBuf,
    is_over: bool,
    /// Requests that are to be put to a script that was loaded anew.
    again: VecDeque<u64>,
    /// Calls of clients that are gone, which will not be answered.
    unanswered: VecDeque<u64>,
    /// Errors that the script is yet to be told of, with their handlers.
    untold: VecDeque<(String, Failure)>,
    /// Clients to whom more has happened while their `onConnect` ran than the script has heard of.
    pub(crate) catching_up: VecDeque<Rc<Member>>,
    /// Whether the missing `onPeerLookup` has been complained about.
    has_warned: bool,
    /// Bytes that replaced VMs have left free.
    freed: usize,
}

impl Runtime {
    /// Loads a script and starts it.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub(crate) fn start(world: Rc<World>, folder: &Path) -> Result<Self, Failure> {
        let vm = Script::load(&world, folder)?;
        let mut runtime = Self {
            world,
            vm,
            folder: folder.to_owned(),
            is_over: false,
            again: VecDeque::new(),
            unanswered: VecDeque::new(),
            untold: VecDeque::new(),
            catching_up: VecDeque::new(),
            has_warned: false,
            freed: 0,
        };
        runtime.begin();
        Ok(runtime)
    }

    fn begin(&mut self) {
        self.warn_of_unknown_handlers();
        self.vm.state.is_live.set(true);
        self.call("onAppStart", MultiValue::new());
        self.settle();
    }

    /// Whether the instance has ended: by [`AppEvent::Stop`], or by `application.shutdown`.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let asked = self.vm.state.next_asked().map(|(_, until)| until);
        let timer = self.vm.state.timers.borrow().next();
        let at_once = self.is_behind().then(|| self.world.now.get());
        [timer, asked, at_once].into_iter().flatten().min()
    }

    /// Whether what has happened is to be followed up, as soon as it is this instance's turn.
    pub(crate) fn is_behind(&self) -> bool {
        let queues = [self.again.len(), self.unanswered.len(), self.untold.len(), self.catching_up.len()];
        queues.iter().any(|waiting| *waiting > 0)
    }

    /// Does what is due, until it `is_late`: then the rest stays due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, is_late: impl Fn() -> bool) {
        self.world.begin(now);
        while self.do_next_due(now) && !is_late() {}
        self.settle();
    }

    /// Runs a handler of what is due. False if nothing is.
    fn do_next_due(&mut self, now: Instant) -> bool {
        if let Some((token, _)) = self.vm.state.next_asked().filter(|(_, until)| *until <= now) {
            self.answered(token, Err(vec![call_failed("The client did not answer in time.")]));
        } else if let Some((handler, failure)) = self.untold.pop_front() {
            self.tell_of(&handler, &failure);
        } else if let Some(token) = self.unanswered.pop_front() {
            self.give_up_answer(token);
        } else if let Some(number) = self.again.pop_front() {
            self.ask_again(number);
        } else if let Some(member) = self.catching_up.pop_front() {
            self.catch_up(&member, 1);
        } else {
            let Some(token) = self.vm.state.timers.borrow().due(now) else { return false };
            let fired = self.vm.state.timers.borrow_mut().fire(token, now);
            match fired {
                Some(Fired::Wake) => self.wake(token, MultiValue::new()),
                Some(Fired::Call { function, arguments }) => {
                    let purpose = Purpose::Timer(token);
                    let progress = match unpacked(arguments) {
                        Ok(arguments) => self.vm.start(purpose, &function, arguments),
                        Err(error) => Progress::Ended(purpose, Err(Failure::from(&error))),
                    };
                    self.go_on(progress);
                }
                None => (),
            }
        }
        true
    }

    /// A client is gone that was asked something: those who wait for its answers learn of it, most of them in later turns if they are
    /// many.
    pub(crate) fn leave_unanswered(&mut self, mut tokens: Vec<u64>) {
        let later = tokens.split_off(tokens.len().min(HANDLERS_AT_ONCE));
        self.unanswered.extend(later);
        tokens.into_iter().for_each(|token| self.give_up_answer(token));
    }

    fn give_up_answer(&mut self, token: u64) {
        self.answered(token, Err(vec![call_failed("The client is gone.")]));
    }

    /// A registry lookup has come back.
    pub(crate) fn handle_lookup(&mut self, now: Instant, token: u64, result: LookupResult) {
        self.world.begin(now);
        self.world.job_done();
        let lua = self.vm.lua();
        let results = match result {
            Ok(Some(addresses)) => address_list::to_lua(lua, &addresses).map(|list| vec![Value::Table(list)]),
            Ok(None) => Ok(vec![Value::Nil]),
            Err(error) => lua.create_string(error.to_string()).map(|text| vec![Value::Nil, Value::String(text)]),
        };
        self.wake(token, results.unwrap_or_default().into_iter().collect());
        self.settle();
    }

    /// Something has happened, and is a pending request from now on if it waits for an answer.
    pub(crate) fn handle(&mut self, now: Instant, event: AppEvent) {
        match self.world.requests.admit(event) {
            Ok(item) => self.handle_item(now, item),
            Err(event) => {
                if let Some(answer) = Answer::not_asked(*event, "the application is busy") {
                    self.world.answer(answer);
                }
            }
        }
    }

    /// The same, for what has come by way of an inbox.
    pub(crate) fn handle_item(&mut self, now: Instant, item: Item) {
        self.world.begin(now);
        self.dispatch(item);
        self.settle();
    }

    fn dispatch(&mut self, item: Item) {
        match item {
            Item::Connect { number, client, info } => self.connect(number, client, *info),
            Item::Lookup { number } => self.look_up(number),
            Item::Call { client, .. } => self.of_client(client, item),
            Item::Event(event) => match event {
                AppEvent::Accepted { client } => self.accepted(client),
                AppEvent::Disconnect { client } => self.disconnect(client),
                AppEvent::Answer { token, outcome, .. } => self.answered(token, outcome),
                AppEvent::Stats { token, stats, .. } => self.stats(token, stats),
                AppEvent::Reload => self.reload(),
                AppEvent::Stop => self.stop("server", "NetConnection.Connect.AppShutdown"),
                AppEvent::FarAddressChange { client, .. }
                | AppEvent::ReportedAddressesChange { client, .. }
                | AppEvent::GroupJoin { client, .. }
                | AppEvent::GroupLeave { client, .. } => self.of_client(client, Item::Event(event)),
                // They wait for an answer, and are items of their own.
                AppEvent::Connect { .. } | AppEvent::PeerLookup(_) | AppEvent::Call { .. } => (),
            },
        }
    }

    /// Starts a handler of the application, if it is defined.
    pub(crate) fn call(&mut self, name: &'static str, arguments: MultiValue) {
        if let Some(handler) = self.vm.handler(name) {
            let progress = self.vm.start(Purpose::Other(name), &handler, arguments);
            self.go_on(progress);
        }
    }

    /// A handler goes on with what it waited for. One that is no more does not mind.
    pub(crate) fn wake(&mut self, token: u64, results: MultiValue) {
        if let Some(progress) = self.vm.wake(token, results) {
            self.go_on(progress);
        }
    }

    /// Sees to what a handler's end means.
    pub(crate) fn go_on(&mut self, progress: Progress<Purpose>) {
        let Progress::Ended(purpose, result) = progress else { return };
        match purpose {
            Purpose::Connect(member) => self.connect_decided(&member, result),
            Purpose::Lookup(number) => match result {
                Err(failure) => {
                    let failure = match self.vm.handler("onPeerLookup") {
                        Some(handler) => failure.or_at(&handler),
                        None => failure,
                    };
                    self.report("onPeerLookup", &failure);
                    self.fail(number);
                }
                // The prelude says that there is no handler.
                Ok(results) if !results.is_empty() => {
                    self.warn_of_no_lookup_handler();
                    self.fail(number);
                }
                Ok(_) => (),
            },
            Purpose::Call(name, number) => self.call_done(&name, number, result),
            Purpose::Timer(token) => {
                self.vm.state.timers.borrow_mut().ended(token);
                if let Err(failure) = result {
                    self.report("timer", &failure);
                }
            }
            Purpose::Other(name) => {
                if let Err(failure) = result {
                    self.report(name, &failure);
                }
            }
        }
    }

    /// Answers a request that the script has failed at.
    pub(crate) fn fail(&self, number: u64) {
        if let Some(request) = self.world.requests.take(number) {
            self.world.answer(Answer::failed(number, request, "the application failed"));
        }
    }

    fn connect_decided(&mut self, member: &Rc<Member>, result: Result<MultiValue, Failure>) {
        member.is_connecting.set(false);
        let state = &self.vm.state;
        match result {
            Ok(values) => match (values.len(), values.front()) {
                // A handler that says nothing has nothing against it: the examples that AMS ships return nothing.
                (0, _) | (_, Some(Value::Boolean(true))) => drop(state.accept(member)),
                (_, Some(Value::Boolean(false))) => drop(state.reject(member, plain_rejection())),
                (_, Some(Value::Nil) | None) => (),
                (_, Some(other)) => {
                    let message = format!("onConnect must return true, false or nil, not a {}", other.type_name());
                    let failure = Failure { message, ..Failure::default() };
                    let failure = match self.vm.handler("onConnect") {
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

    /// The script has failed at the connect of a client, which waits for what the server makes of that.
    fn refuse(&self, member: &Member) {
        if member.phase.get() == Phase::Waiting {
            member.phase.set(Phase::Refused);
            self.fail(member.request.get());
        }
    }

    fn call_done(&mut self, name: &str, number: Option<u64>, result: Result<MultiValue, Failure>) {
        let outcome = result.and_then(|results| {
            let value = results.front().cloned().unwrap_or_default();
            values::from_lua(&self.vm.state.marks, &value).map_err(|error| Failure::from(&error))
        });
        if let Err(failure) = &outcome {
            self.report(name, failure);
        }
        let Some(OpenRequest::Call { client, transaction }) =
            number.and_then(|number| self.world.requests.take(number))
        else {
            return;
        };
        // What went wrong is for the log, not for clients.
        let outcome = outcome.map_err(|_| call_failed(&format!("The method failed ({name}).")));
        self.world.send(ClientCommand::Answer { client, transaction, outcome });
    }

    /// Logs an error, and tells the script of it.
    pub(crate) fn report(&mut self, handler: &str, failure: &Failure) {
        self.world.journal.failure(&self.world.name, handler, failure);
        if handler == "onStatus" {
            return;
        }
        if self.world.turn.handlers() <= HANDLERS_AT_ONCE {
            self.tell_of(handler, failure);
        } else if self.untold.len() < MAX_UNTOLD {
            self.untold.push_back((handler.to_owned(), failure.clone()));
        }
    }

    /// Tells the script of an error.
    fn tell_of(&mut self, handler: &str, failure: &Failure) {
        let info = self.vm.lua().create_table_from([
            ("level", "error".to_owned()),
            ("code", "Application.Script.Error".to_owned()),
            ("description", failure.to_string()),
            ("filename", failure.file.clone()),
            ("lineno", failure.line.to_string()),
            ("details", handler.to_owned()),
        ]);
        if let Ok(info) = info {
            self.call("onStatus", MultiValue::from_iter([Value::Table(info)]));
        }
    }

    /// Complains of handlers that nothing calls: their names are misspelt, as a rule.
    fn warn_of_unknown_handlers(&self) {
        for (key, _) in self.vm.state.application.pairs::<mlua::LuaString, mlua::Function>().flatten() {
            let name = key.to_string_lossy();
            if name.starts_with("on") && !HANDLERS.contains(&name.as_str()) {
                tracing::warn!(app = %self.world.name, "nothing calls application.{name}: there is no such event");
            }
        }
    }

    /// Complains once that nobody answers lookups.
    pub(crate) fn warn_of_no_lookup_handler(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            let app = &self.world.name;
            tracing::error!(%app, folder = %self.folder.display(), "the script gets peer lookups but has no application.onPeerLookup");
        }
    }

    /// How many bytes VMs have left free since the last call: the process may keep them.
    pub(crate) fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed) + self.vm.take_freed()
    }

    /// What is left to do when handlers have run.
    fn settle(&mut self) {
        let mut left = HANDLERS_AT_ONCE;
        loop {
            let released = self.vm.state.released.take();
            if released.is_empty() {
                break;
            }
            for member in &released {
                left -= self.release(member, left);
            }
        }
        if self.world.is_ending.get() && !self.is_over {
            self.stop("shutdown", "NetConnection.Connect.AppShutdown");
        }
    }

    fn stop(&mut self, reason: &'static str, code: &str) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.say_stop(reason);
        for member in self.world.roster.borrow().accepted() {
            self.world.send(ClientCommand::Disconnect { client: member.id });
        }
        for (number, request) in self.world.requests.take_all() {
            if let OpenRequest::Connect(_) = request {
                let rejection = Rejection::new(code, "the application has ended");
                self.world.decide(RequestId::from_number(number), Verdict::Reject(Box::new(rejection)));
            } else {
                self.world.answer(Answer::failed(number, request, "the application has ended"));
            }
        }
    }

    fn say_stop(&mut self, reason: &'static str) {
        if let Ok(info) = self.vm.lua().create_table_from([("reason", reason)]) {
            self.call("onAppStop", MultiValue::from_iter([Value::Table(info)]));
        }
    }

    /// Runs with other settings from the next reload on; deadlines at once.
    pub(crate) fn set_settings(&self, settings: Arc<Application>) {
        *self.world.settings.borrow_mut() = settings;
    }

    /// Loads the script anew. The clients stay; requests that wait are put to the new script. What the old one has besides
    /// ends with it: variables, timers, handlers that wait, fields that it gave to clients. A script that does not load leaves
    /// the old one running.
    fn reload(&mut self) {
        let app = self.world.name.clone();
        match Script::load(&self.world, &self.folder) {
            Ok(vm) => {
                tracing::info!(%app, "script loaded anew");
                self.say_stop("reload");
                for member in self.world.roster.borrow().accepted() {
                    member.asked.take();
                    member.is_found.set(false);
                }
                let old = std::mem::replace(&mut self.vm, vm);
                old.cancel(|_| true);
                self.freed += old.max_used();
                drop(old);
                self.has_warned = false;
                self.begin();
                self.again = self.world.requests.begun().into();
            }
            Err(failure) => {
                self.world.journal.failure(&app, "reload", &failure);
                tracing::error!(%app, "the changed script does not load; the old one goes on");
            }
        }
    }

    /// Puts a request to a script that was loaded anew, unless it is answered by now.
    fn ask_again(&mut self, number: u64) {
        match self.world.requests.begin(number, OpenRequest::clone) {
            Some(OpenRequest::Lookup(lookup)) => self.ask_lookup(number, &Facts::of(&lookup)),
            Some(OpenRequest::Connect(client)) => {
                let member = self.world.roster.borrow().get(client);
                if let Some(member) = member {
                    self.ask_connect(&member);
                }
            }
            Some(OpenRequest::Call { .. }) => self.fail(number),
            None => (),
        }
    }
}

//! An instance at work: what happens to its clients becomes calls of its script's handlers.
//!
//! It knows no thread, no socket and no clock: it is told of events and of the time, and asked when it wants to be woken. Tests
//! of scripts drive it with a clock of their own.

mod calls;
mod client_events;
mod connects;
mod errors;
mod follow_up;
mod lifecycle;
mod lookups;

use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use mlua::MultiValue;
use mlua::Value;

use crate::api::address_list;
use crate::api::script::Purpose;
use crate::api::script::Script;
use crate::engine::failure::Failure;
use crate::engine::vm::Progress;
use crate::instance::Instance;
use crate::instance::item::InboxItem;
use crate::instance::open_requests::Answer;
use crate::instance::roster::RosterMember;
use introd_policy::message::AppEvent;
use introd_policy::registry::LookupResult;

/// So many handlers run for one event at most, one after the other; what else follows from it has later turns. As many as the calls
/// that a client has left unanswered and that fail before its `onDisconnect`.
const HANDLERS_AT_ONCE: usize = 4;
/// So many errors wait at most until the script is told of them; it is not told of more. The log has all.
const MAX_UNTOLD: usize = 64;

/// An instance with its script.
pub(crate) struct Runtime {
    pub(crate) instance: Rc<Instance>,
    pub(crate) script: Script,
    folder: PathBuf,
    is_over: bool,
    /// Requests that are to be put to a script that was loaded anew.
    again: VecDeque<u64>,
    /// Calls of clients that are gone, which will not be answered.
    unanswered: VecDeque<u64>,
    /// Errors that the script is yet to be told of, with their handlers.
    untold: VecDeque<(String, Failure)>,
    /// Clients to whom more has happened while their `onConnect` ran than the script has heard of.
    pub(crate) catching_up: VecDeque<Rc<RosterMember>>,
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
    pub(crate) fn start(instance: Rc<Instance>, folder: &Path) -> Result<Self, Failure> {
        let script = Script::load(&instance, folder)?;
        let mut runtime = Self {
            instance,
            script,
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
        self.script.state.is_live.set(true);
        self.call("onAppStart", MultiValue::new());
        self.settle();
    }

    /// Whether the instance has ended: by [`AppEvent::Stop`], or by `application.shutdown`.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let asked = self.script.state.next_asked().map(|(_, until)| until);
        let timer = self.script.state.timers.borrow().next();
        let at_once = self.is_behind().then(|| self.instance.now.get());
        [timer, asked, at_once].into_iter().flatten().min()
    }

    /// Does what is due, until it `is_late`: then the rest stays due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, is_late: impl Fn() -> bool) {
        self.instance.begin(now);
        while self.do_next_due(now) && !is_late() {}
        self.settle();
    }

    /// A registry lookup has come back.
    pub(crate) fn handle_lookup(&mut self, now: Instant, token: u64, result: LookupResult) {
        self.instance.begin(now);
        self.instance.job_done();
        let lua = self.script.lua();
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
        match self.instance.requests.admit(event) {
            Ok(item) => self.handle_item(now, item),
            Err(event) => {
                if let Some(answer) = Answer::not_asked(*event, "the application is busy") {
                    self.instance.answer(answer);
                }
            }
        }
    }

    /// The same, for what has come by way of an inbox.
    pub(crate) fn handle_item(&mut self, now: Instant, item: InboxItem) {
        self.instance.begin(now);
        self.dispatch(item);
        self.settle();
    }

    fn dispatch(&mut self, item: InboxItem) {
        match item {
            InboxItem::Connect { number, client, info } => self.connect(number, client, *info),
            InboxItem::Lookup { number } => self.look_up(number),
            InboxItem::Call { client, .. } => self.of_client(client, item),
            InboxItem::Event(event) => match event {
                AppEvent::Accepted { client } => self.accepted(client),
                AppEvent::Disconnect { client } => self.disconnect(client),
                AppEvent::Answer { token, outcome, .. } => self.answered(token, outcome),
                AppEvent::Stats { token, stats, .. } => self.stats(token, stats),
                AppEvent::Reload => self.reload(),
                AppEvent::Stop => self.stop("server", "NetConnection.Connect.AppShutdown"),
                AppEvent::FarAddressChange { client, .. }
                | AppEvent::ReportedAddressesChange { client, .. }
                | AppEvent::GroupJoin { client, .. }
                | AppEvent::GroupLeave { client, .. } => self.of_client(client, InboxItem::Event(event)),
                // They wait for an answer, and are items of their own.
                AppEvent::Connect { .. } | AppEvent::PeerLookup(_) | AppEvent::Call { .. } => (),
            },
        }
    }

    /// Starts a handler of the application, if it is defined.
    pub(crate) fn call(&mut self, name: &'static str, arguments: MultiValue) {
        if let Some(handler) = self.script.handler(name) {
            let progress = self.script.start(Purpose::Other(name), &handler, arguments);
            self.go_on(progress);
        }
    }

    /// A handler goes on with what it waited for. One that is no more does not mind.
    pub(crate) fn wake(&mut self, token: u64, results: MultiValue) {
        if let Some(progress) = self.script.wake(token, results) {
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
                    let failure = match self.script.handler("onPeerLookup") {
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
                self.script.state.timers.borrow_mut().ended(token);
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
        if let Some(request) = self.instance.requests.take(number) {
            self.instance.answer(Answer::failed(number, request, "the application failed"));
        }
    }

    /// How many bytes VMs have left free since the last call: the process may keep them.
    pub(crate) fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed) + self.script.take_freed()
    }

    /// What is left to do when handlers have run.
    fn settle(&mut self) {
        let mut left = HANDLERS_AT_ONCE;
        loop {
            let released = self.script.state.released.take();
            if released.is_empty() {
                break;
            }
            for member in &released {
                left -= self.release(member, left);
            }
        }
        if self.instance.is_ending.get() && !self.is_over {
            self.stop("shutdown", "NetConnection.Connect.AppShutdown");
        }
    }
}

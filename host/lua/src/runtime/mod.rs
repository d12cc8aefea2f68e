//! An instance with its script: events become calls of the script's handlers, and what handlers return becomes verdicts and results.
//!
//! It knows no thread, no socket and no clock: its caller passes events and the time, and asks when it is to be called next. Tests
//! of scripts run it with a clock of their own.

mod calls;
mod client_events;
mod connections;
mod connects;
mod ending;
mod errors;
mod follow_up;
mod lifecycle;
mod lookups;
mod publishing;
mod queries;
mod remote_methods;
mod starting;

use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use mlua::MultiValue;

use crate::api::script::Purpose;
use crate::api::script::Script;
use crate::engine::failure::Failure;
use crate::engine::vm::Progress;
use crate::instance::Instance;
use crate::instance::item::InboxItem;
use crate::instance::open_requests::Answer;
use crate::instance::roster::RosterMember;
use ending::Ending;
use introd_policy::message::AppEvent;
use starting::Starting;

/// How many handlers may run for one event, one after the other; further ones have later turns. Of the calls that a client has not
/// answered when it leaves, so many fail before its `onDisconnect` runs.
const HANDLERS_AT_ONCE: usize = 4;
/// How many errors may wait until the script is told of them by `onStatus`. It is not told of more; the log has all.
const MAX_UNTOLD: usize = 64;

/// An instance with its script.
pub(crate) struct Runtime {
    pub(crate) instance: Rc<Instance>,
    pub(crate) script: Script,
    folder: PathBuf,
    is_over: bool,
    /// Set once the instance is to end.
    ending: Option<Ending>,
    /// Open requests about which a reloaded script is yet to be asked.
    again: VecDeque<u64>,
    /// Calls of clients that have left: they fail in later turns.
    unanswered: VecDeque<u64>,
    /// Errors that the script is yet to be told of, with their handlers.
    untold: VecDeque<(String, Failure)>,
    /// Clients with events that the script is yet to be told of.
    pub(crate) catching_up: VecDeque<Rc<RosterMember>>,
    starting: Starting,
    /// Whether the log says that there is no `onPeerLookup`.
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
            ending: None,
            again: VecDeque::new(),
            unanswered: VecDeque::new(),
            untold: VecDeque::new(),
            catching_up: VecDeque::new(),
            starting: Starting::default(),
            has_warned: false,
            freed: 0,
        };
        let reason = runtime.instance.start_reason();
        runtime.begin(reason);
        Ok(runtime)
    }

    fn begin(&mut self, reason: &'static str) {
        self.warn_of_idle_handlers();
        self.script.state.is_live.set(true);
        self.start_app(reason);
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

    /// Runs the handlers that are due, until `is_late` says so: then the rest stays due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, is_late: impl Fn() -> bool) {
        self.instance.begin(now);
        while self.do_next_due(now) && !is_late() {}
        self.settle();
    }

    /// Handles an event. One that waits for an answer becomes an open request.
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

    /// Handles an event that an inbox has taken.
    pub(crate) fn handle_item(&mut self, now: Instant, item: InboxItem) {
        self.instance.begin(now);
        if self.is_ending() {
            self.dispatch_at_end(item);
        } else if let Some(item) = self.hold(item) {
            self.dispatch(item);
        }
        self.settle();
    }

    fn dispatch(&mut self, item: InboxItem) {
        match item {
            InboxItem::Connect { number, client, info } => self.connect(number, client, info),
            InboxItem::Lookup { number } => self.look_up(number),
            InboxItem::Call { client, .. } | InboxItem::Publish { client, .. } => self.of_client(client, item),
            // The runtime itself puts these among the events of a client.
            InboxItem::Decided { .. } => (),
            InboxItem::Connection { number, event } => self.on_connection(number, event),
            InboxItem::Event(event) => match event {
                AppEvent::Accepted { client } => self.accepted(client),
                AppEvent::Disconnect { client } => self.disconnect(client),
                AppEvent::Answer { token, outcome, .. } => self.answered(token, outcome),
                AppEvent::Stats { token, stats, .. } => self.stats(token, stats),
                AppEvent::Reload => self.reload(),
                AppEvent::Stop => self.stop(self.instance.stop_reason()),
                AppEvent::FarAddressChange { client, .. }
                | AppEvent::ReportedAddressesChange { client, .. }
                | AppEvent::GroupJoin { client, .. }
                | AppEvent::GroupLeave { client, .. }
                | AppEvent::Unpublish { client, .. } => self.of_client(client, InboxItem::Event(event)),
                // They have variants of their own in `InboxItem`.
                AppEvent::Connect { .. } | AppEvent::PeerLookup(_) => (),
                AppEvent::Call { .. } | AppEvent::Publish { .. } => (),
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

    /// Resumes a handler with what it waited for. Does nothing if it has ended.
    pub(crate) fn wake(&mut self, token: u64, results: MultiValue) {
        if let Some(progress) = self.script.wake(token, results) {
            self.go_on(progress);
        }
    }

    /// Acts on the results of a handler that has ended.
    pub(crate) fn go_on(&mut self, progress: Progress<Purpose>) {
        let Progress::Ended(purpose, result) = progress else { return };
        match purpose {
            Purpose::Connect(member) => self.connect_decided(&member, result),
            Purpose::Lookup(about) => match result {
                Err(failure) => {
                    let failure = match self.script.handler("onPeerLookup") {
                        Some(handler) => failure.or_at(&handler),
                        None => failure,
                    };
                    self.report("onPeerLookup", &failure);
                    self.fail(about.get());
                }
                // The prelude returns something only if there is no handler.
                Ok(results) if !results.is_empty() => {
                    self.warn_of_no_lookup_handler();
                    self.fail(about.get());
                }
                Ok(_) => (),
            },
            Purpose::Call(name, number) => self.call_done(&name, number, result),
            Purpose::Publish { member, number, publication } => {
                self.publication_decided(&member, number, publication, result);
            }
            Purpose::Timer(token) => {
                self.script.state.timers.borrow_mut().ended(token);
                if let Err(failure) = result {
                    self.report("timer", &failure);
                }
            }
            Purpose::Watch(token) => {
                if let Err(failure) = result {
                    self.report("file.watch", &failure);
                }
                self.watch_again(token);
            }
            Purpose::Start => {
                self.starting.ended();
                if let Err(failure) = result {
                    self.report("onAppStart", &failure);
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

    /// Completes what handlers have begun: accepted clients are released, and an instance that is to end ends.
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
        if self.instance.is_ending.get() {
            self.stop("shutdown");
        }
    }
}

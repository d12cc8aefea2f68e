//! What an application instance has besides its script, and keeps when the script is reloaded: its clients, open requests, commands
//! that wait for room at a worker, and the last log entries; and the script's NetConnections, which are closed then.

pub(crate) mod app_files;
pub(crate) mod clock;
pub(crate) mod connections;
pub(crate) mod error_log;
pub(crate) mod item;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod number_hasher;
pub(crate) mod open_requests;
pub(crate) mod outbox;
pub(crate) mod published_members;
pub(crate) mod queries;
pub(crate) mod random;
mod request_table;
pub(crate) mod roster;
pub(crate) mod surroundings;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rtmfp::PeerId;

use self::app_files::AppFiles;
use self::clock::Clock;
use self::connections::Connections;
use self::error_log::ErrorLog;
use self::journal::{Journal, Listener};
use self::ledger::Ledger;
use self::open_requests::{Answer, OpenRequests};
use self::outbox::Outbox;
use self::published_members::PublishedMembers;
use self::queries::{Queries, QueryResult};
use self::random::Random;
use self::roster::Roster;
use crate::engine::handler_count::HandlerCount;
use crate::engine::memory::Memory;
use introd_config::Application;
use introd_policy::http::{HttpRequest, HttpRequests, NoHttpRequests};
use introd_policy::message::{ClientCommand, Commands};
use introd_policy::registry::{NeighborQuery, Registry};
use introd_policy::{InstanceName, InstanceTotals, PeerIds, RequestId, Totals, Verdict};

/// Gives the number of the next lookup. It is told whether the handler before may have taken long.
pub(crate) type MoreLookups = Box<dyn Fn(bool) -> Option<u64>>;

/// An application instance, without its script.
pub(crate) struct Instance {
    pub(crate) name: InstanceName,
    pub(crate) settings: RefCell<Arc<Application>>,
    commands: Arc<dyn Commands>,
    pub(crate) outbox: Outbox,
    pub(crate) registry: Arc<dyn Registry>,
    /// The members of groups that the script has published.
    pub(crate) published_members: PublishedMembers,
    pub(crate) connections: Connections,
    pub(crate) requests: Arc<OpenRequests>,
    pub(crate) journal: Journal,
    pub(crate) roster: RefCell<Roster>,
    /// The clients, where other threads can read them.
    pub(crate) ledger: Arc<Ledger>,
    /// The time, as of the event that is being handled.
    pub(crate) now: Cell<Instant>,
    /// The time of day. Tests set it.
    pub(crate) clock: RefCell<Clock>,
    pub(crate) random: Random,
    /// What its handlers wait for.
    pub(crate) queries: Queries,
    http: Arc<dyn HttpRequests>,
    pub(crate) files: AppFiles,
    /// Whether the script has asked for the instance's end.
    pub(crate) is_ending: Cell<bool>,
    last_token: Cell<u64>,
    /// Where its VMs report how much memory they use.
    pub(crate) memory: Memory,
    pub(crate) handlers: Rc<HandlerCount>,
    /// Where the numbers of lookups come from about which the script is asked after another.
    more_lookups: MoreLookups,
    /// Another process had the instance, and its script has not been told of that yet.
    is_taken_over: Cell<bool>,
    /// Another process has taken over the clients.
    is_replaced: Arc<AtomicBool>,
    /// Counts what its clients do.
    totals: Option<Arc<dyn Totals>>,
    /// Whether the log says that the script decides late about clients that it has accepted by returning nothing.
    pub(crate) has_told_of_late_decision: Cell<bool>,
}

impl Instance {
    pub(crate) fn new(
        name: InstanceName,
        settings: Arc<Application>,
        commands: Arc<dyn Commands>,
        registry: Arc<dyn Registry>,
        requests: Arc<OpenRequests>,
        ledger: Arc<Ledger>,
        now: Instant,
    ) -> Self {
        let memory = Memory::default();
        Self {
            name,
            settings: RefCell::new(settings),
            outbox: Outbox::new(Arc::clone(&commands), memory.meter()),
            commands,
            published_members: PublishedMembers::new(Arc::clone(&registry), Arc::clone(&ledger.published)),
            registry,
            connections: Connections::default(),
            requests,
            journal: Journal::default(),
            roster: RefCell::new(Roster::of(&ledger)),
            ledger,
            now: Cell::new(now),
            clock: RefCell::new(Clock::of_system(now)),
            random: Random::default(),
            queries: Queries::default(),
            http: Arc::new(NoHttpRequests),
            files: AppFiles::default(),
            is_ending: Cell::new(false),
            last_token: Cell::new(0),
            memory,
            handlers: Rc::default(),
            more_lookups: Box::new(|_| None),
            is_taken_over: Cell::new(false),
            is_replaced: Arc::default(),
            totals: None,
            has_told_of_late_decision: Cell::new(false),
        }
    }

    /// The same, whose scripts open their NetConnections there.
    pub(crate) fn with_connections(self, connections: Connections) -> Self {
        Self { connections, ..self }
    }

    /// The same, whose scripts find the client there that has a peer ID which several show.
    pub(crate) fn with_peer_ids(self, peer_ids: Option<Arc<dyn PeerIds>>) -> Self {
        let roster = RefCell::new(self.roster.take().with_peer_ids(peer_ids));
        Self { roster, ..self }
    }

    /// The same, whose scripts send their HTTP requests there.
    pub(crate) fn with_http(self, http: Arc<dyn HttpRequests>) -> Self {
        Self { http, ..self }
    }

    /// The same, whose scripts read these files.
    pub(crate) fn with_files(self, files: AppFiles) -> Self {
        Self { files, ..self }
    }

    /// The same, with VMs that report there how much memory they use.
    pub(crate) fn with_memory(self, memory: Memory) -> Self {
        let outbox = Outbox::new(Arc::clone(&self.commands), memory.meter());
        Self { memory, outbox, ..self }
    }

    /// The same, whose errors can be read there.
    pub(crate) fn with_errors(self, errors: Arc<ErrorLog>) -> Self {
        Self { journal: Journal::with_errors(errors), ..self }
    }

    /// The same, whose log entries somebody hears.
    pub(crate) fn with_listener(self, listener: Listener) -> Self {
        Self { journal: self.journal.with_listener(listener), ..self }
    }

    /// The same, whose clients are counted there.
    pub(crate) fn with_totals(self, totals: Option<Arc<dyn Totals>>) -> Self {
        Self { totals, ..self }
    }

    /// The same, which another process had before, if that is so. `is_replaced` says whether yet another one has its clients.
    pub(crate) fn with_takeover(self, is_taken_over: bool, is_replaced: Arc<AtomicBool>) -> Self {
        if is_taken_over {
            self.published_members.go_on();
        }
        Self { is_taken_over: Cell::new(is_taken_over), is_replaced, ..self }
    }

    /// The same, which calls `mark` when a handler begins.
    pub(crate) fn with_mark(self, mark: impl Fn() + 'static) -> Self {
        Self { handlers: Rc::new(HandlerCount::new(mark)), ..self }
    }

    /// The same, which takes lookups from there after one that its script has decided about.
    pub(crate) fn with_more_lookups(self, more_lookups: MoreLookups) -> Self {
        Self { more_lookups, ..self }
    }

    /// The same for a test: with a clock and random bytes of its own, and a journal that keeps what the script says.
    pub(crate) fn for_test(self, clock: Clock, random: Random) -> Self {
        Self { clock: RefCell::new(clock), random, journal: Journal::kept(), ..self }
    }

    /// The instance has its turn.
    pub(crate) fn begin(&self, now: Instant) {
        self.now.set(now);
        self.clock.borrow_mut().look(now);
        self.handlers.begin();
    }

    /// The number of the next lookup about which the script is to be asked in this turn, if the next event is one. `was_long` says whether
    /// the handler before may have taken long.
    pub(crate) fn next_lookup(&self, was_long: bool) -> Option<u64> {
        (self.more_lookups)(was_long)
    }

    /// Why its script starts, which is no reload: `start` or `takeover`.
    pub(crate) fn start_reason(&self) -> &'static str {
        if self.is_taken_over.replace(false) { "takeover" } else { "start" }
    }

    /// Why the server ends it: `server` or `takeover`.
    pub(crate) fn stop_reason(&self) -> &'static str {
        if self.is_replaced.load(Ordering::Acquire) { "takeover" } else { "server" }
    }

    pub(crate) fn settings(&self) -> Arc<Application> {
        Arc::clone(&self.settings.borrow())
    }

    /// A number that no other wait, call or timer of this instance has, in any of its VMs.
    pub(crate) fn token(&self) -> u64 {
        self.last_token.set(self.last_token.get() + 1);
        self.last_token.get()
    }

    /// What its clients did.
    pub(crate) fn totals(&self) -> InstanceTotals {
        self.totals.as_ref().map(|totals| totals.totals()).unwrap_or_default()
    }

    /// Milliseconds since 1970, on a clock that never goes back.
    pub(crate) fn milliseconds(&self) -> f64 {
        self.clock.borrow().milliseconds(self.now.get())
    }

    /// Begins a lookup in the registry. Gives back the token under which the handler is to wait.
    pub(crate) fn begin_lookup(&self, peer: PeerId) -> mlua::Result<u64> {
        self.queries.must_have_room()?;
        let (token, lookup) = (self.token(), self.registry.lookup(peer));
        self.queries.begin(token, async move { QueryResult::Addresses(lookup.await) });
        Ok(token)
    }

    /// Begins a query for members of a group. Gives back the token under which the handler is to wait.
    pub(crate) fn begin_neighbors(&self, query: &NeighborQuery) -> mlua::Result<u64> {
        self.queries.must_have_room()?;
        let (token, members) = (self.token(), self.registry.group_neighbors(query));
        self.queries.begin(token, async move { QueryResult::Members(members.await) });
        Ok(token)
    }

    /// Sends an HTTP request. Gives back the token under which the handler is to wait.
    pub(crate) fn begin_http(&self, request: HttpRequest) -> mlua::Result<u64> {
        self.queries.must_have_room()?;
        let (token, answer) = (self.token(), self.http.send(&self.name, &self.settings(), request));
        self.queries.begin_of_script(token, async move { QueryResult::Http(answer.await) });
        Ok(token)
    }

    /// Reads a file of the application's folder. Gives back the token under which the handler is to wait.
    pub(crate) fn begin_read(&self, name: String) -> mlua::Result<u64> {
        self.queries.must_have_room()?;
        let max = self.settings().script.files.max_size as u64;
        let (token, contents) = (self.token(), self.files.read(name, max));
        self.queries.begin_of_script(token, contents);
        Ok(token)
    }

    /// Gives the verdict on a request that was taken out of the open ones.
    pub(crate) fn decide(&self, request: RequestId, verdict: Verdict) {
        self.commands.decide(request, verdict);
    }

    /// Answers a request that was taken out of the open ones.
    pub(crate) fn answer(&self, answer: Answer) {
        match answer {
            Answer::Verdict(request, verdict) => self.decide(request, verdict),
            Answer::Result(command) => {
                self.outbox.send(command);
            }
        }
    }

    /// Sends a command, now or when its worker has room. False if it is lost.
    pub(crate) fn send(&self, command: ClientCommand) -> bool {
        self.outbox.send(command)
    }
}

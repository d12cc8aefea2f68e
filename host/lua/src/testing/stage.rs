//! An instance with made-up clients and a clock of its own.

#[cfg(test)]
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
#[cfg(test)]
use std::time::Duration;
use std::time::Instant;

use rtmfp::{InterfaceId, Lookup, PeerId, SessionId};

use super::counted::Counted;
use super::files::MadeUpFiles;
use super::server::{Effect, Server};
use super::settings::instance_name;
use super::web::Web;
use crate::engine::failure::Failure;
use crate::instance::Instance;
use crate::instance::app_files::AppFiles;
use crate::instance::clock::Clock;
use crate::instance::connections::{ConnectionPort, Connections};
use crate::instance::item::InboxItem;
use crate::instance::journal::Listener;
use crate::instance::queries::Query;
use crate::instance::random::Random;
use crate::instance::surroundings::Surroundings;
use crate::runtime::Runtime;
use introd_config::{Application, JoinLeaveMode};
use introd_flash::amf::Value;
use introd_flash::server::{Call, ConnectRequest, Publication};
use introd_flash::uri::{AppPath, Uri};
use introd_policy::message::{AppEvent, ClientCommand, ClientId, ClientInfo, Commands, SendError};
use introd_policy::net_connection::ConnectionEvent;
#[cfg(test)]
use introd_policy::registry::Registry;
use introd_policy::{InstanceName, RequestId, Verdict};

/// What the script sends to the server.
#[derive(Debug)]
pub(crate) enum Sent {
    Command(ClientCommand),
    Verdict(RequestId, Verdict),
}

/// Keeps what the script sends, until the server looks.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Sent>>);

impl Recorder {
    fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, sent: Sent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }
}

impl Commands for Recorder {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        self.push(Sent::Verdict(request, verdict));
    }

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        self.push(Sent::Command(command));
        Ok(())
    }

    fn count_lost(&self, _: u8) {}
}

/// Keeps the events of NetConnections, until the script is told of them.
#[derive(Default)]
struct Port(Mutex<VecDeque<(u64, ConnectionEvent)>>);

impl Port {
    fn take(&self) -> Option<(u64, ConnectionEvent)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl ConnectionPort for Port {
    fn tell(&self, connection: u64, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((connection, event));
        Ok(())
    }
}

/// What a script on a stage reaches besides its clients, and when it starts.
pub(crate) struct Scenery {
    /// The name of the instance; `None`: its application has the name of the folder.
    pub(crate) name: Option<InstanceName>,
    pub(crate) surroundings: Surroundings,
    /// The web that answers in the stage's time, if the script's requests go there.
    pub(crate) web: Arc<Web>,
    /// The files of its folder, unless the test gives it others.
    pub(crate) files: MadeUpFiles,
    pub(crate) now: Instant,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Hears what it prints.
    pub(crate) listener: Option<Listener>,
}

impl Default for Scenery {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            name: None,
            surroundings: Surroundings::default(),
            web: Arc::default(),
            files: MadeUpFiles::default(),
            now,
            clock: Clock::of_system(now),
            random: Random::default(),
            listener: None,
        }
    }
}

/// An instance on its stage.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    recorder: Arc<Recorder>,
    port: Arc<Port>,
    server: Server,
    counted: Arc<Counted>,
    /// Whether the script handles groups.
    joins_are_told: bool,
    effects: Vec<Effect>,
    now: Instant,
    clients: u32,
    lookups: u32,
    memberships: u64,
    publications: u64,
    queries: Vec<Query>,
    /// The lookups that have come with the one about which the script is asked.
    #[cfg(test)]
    lookups_together: Rc<RefCell<VecDeque<u64>>>,
    pub(crate) web: Arc<Web>,
    pub(crate) files: MadeUpFiles,
}

impl Stage {
    /// Starts the script in a folder.
    ///
    /// # Errors
    /// What is wrong with it.
    #[cfg(test)]
    pub(crate) fn start(folder: &Path, settings: Application) -> Result<Self, Failure> {
        Self::within(folder, settings, Scenery::default())
    }

    /// Starts a script that has this registry.
    #[cfg(test)]
    pub(crate) fn with_registry(
        folder: &Path,
        settings: Application,
        registry: Arc<dyn Registry>,
    ) -> Result<Self, Failure> {
        let surroundings = Surroundings { registry, ..Surroundings::default() };
        Self::within(folder, settings, Scenery { surroundings, ..Scenery::default() })
    }

    /// Starts a script in such a scenery.
    pub(crate) fn within(folder: &Path, settings: Application, scenery: Scenery) -> Result<Self, Failure> {
        let Scenery {
            name,
            surroundings: Surroundings { registry, peer_ids, connections, http },
            web,
            files,
            now,
            clock,
            random,
            listener,
        } = scenery;
        web.pass(now);
        let (recorder, port) = (Arc::new(Recorder::default()), Arc::new(Port::default()));
        let commands = Arc::clone(&recorder);
        let settings = Arc::new(settings);
        let (server, counted) = (Server::new(Arc::clone(&settings)), Arc::new(Counted::default()));
        let joins_are_told = settings.join_leave_events == JoinLeaveMode::All;
        let name = name.unwrap_or_else(|| instance_name(folder));
        let mut instance = Instance::new(name, settings, commands, registry, Arc::default(), Arc::default(), now)
            .with_connections(Connections::new(connections, Arc::clone(&port) as _, Arc::default()))
            .with_peer_ids(peer_ids)
            .with_http(http)
            .with_files(AppFiles::new(Arc::new(files.clone()), folder.to_owned()))
            .for_test(clock, random)
            .with_totals(Some(Arc::clone(&counted) as _));
        #[cfg(test)]
        let lookups_together = Rc::<RefCell<VecDeque<u64>>>::default();
        #[cfg(test)]
        {
            let lookups = Rc::clone(&lookups_together);
            instance = instance.with_more_lookups(Box::new(move |_| lookups.borrow_mut().pop_front()));
        }
        if let Some(listener) = listener {
            instance = instance.with_listener(listener);
        }
        let runtime = Runtime::start(Rc::new(instance), folder)?;
        let (recorder, effects) = (recorder, Vec::new());
        let mut stage = Self {
            runtime,
            recorder,
            port,
            server,
            counted,
            joins_are_told,
            effects,
            now,
            clients: 0,
            lookups: 0,
            memberships: 0,
            publications: 0,
            queries: Vec::new(),
            #[cfg(test)]
            lookups_together,
            web,
            files,
        };
        stage.poll();
        Ok(stage)
    }

    /// The default facts about the next client.
    pub(crate) fn next_client(&mut self) -> (ClientId, ClientInfo) {
        self.clients += 1;
        let number = self.clients;
        let client = ClientId { worker: 0, session: SessionId::from_wire(number) };
        let mut id = [0xc1; 32];
        id[28..].copy_from_slice(&number.to_be_bytes());
        let near: SocketAddr = SocketAddr::from(([198, 51, 100, 1], 1935));
        let [_, _, high, low] = number.to_be_bytes();
        let info = ClientInfo {
            far_id: PeerId(id),
            near_id: PeerId([0x5e; 32]),
            is_proven: false,
            far_nonce: [0xfa; 32],
            near_nonce: [0x0e; 32],
            far_address: SocketAddr::from(([203, 0, high, low], 40_000)),
            near_address: near,
            potential_near_addresses: Arc::new([near]),
            request: ConnectRequest {
                path: AppPath { application: "app".to_owned(), instance: "_definst_".to_owned() },
                uri: Uri::parse("rtmfp://server/app"),
                tc_url: "rtmfp://server/app".to_owned(),
                query: String::new(),
                agent: "AND 32,0,0,0".to_owned(),
                referrer: String::new(),
                page_url: String::new(),
                object_encoding: 3,
                object: Value::Null,
                arguments: Vec::new(),
            },
        };
        (client, info)
    }

    /// A client wants to connect.
    #[cfg(test)]
    pub(crate) fn connect(&mut self, change: impl FnOnce(&mut ClientInfo)) -> ClientId {
        let (client, mut info) = self.next_client();
        change(&mut info);
        self.ask_to_connect(client, info);
        client
    }

    /// A client asks to connect.
    pub(crate) fn ask_to_connect(&mut self, client: ClientId, info: ClientInfo) {
        if let Some(event) = self.server.connect(self.now, client, info) {
            self.tell(event);
        }
    }

    /// A client has left.
    pub(crate) fn disconnect(&mut self, client: ClientId) {
        self.counted.disconnects(self.server.disconnect(client));
        self.tell(AppEvent::Disconnect { client });
    }

    /// What has come of the script's verdicts and commands since the last time.
    pub(crate) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A client calls a method.
    pub(crate) fn call(&mut self, client: ClientId, name: &str, transaction: f64, arguments: Vec<Value>) {
        let call = Call { name: name.to_owned(), transaction, object: Value::Null, arguments };
        self.counted.receives();
        self.tell(AppEvent::Call { client, call });
    }

    /// A client joins a group; the number of its membership.
    pub(crate) fn join(&mut self, client: ClientId, groupspec_digest: [u8; 32]) -> u64 {
        self.memberships += 1;
        let membership = self.memberships;
        if self.joins_are_told {
            self.tell(AppEvent::GroupJoin { client, membership, groupspec_digest });
        }
        membership
    }

    /// A client leaves a group.
    pub(crate) fn leave(&mut self, client: ClientId, membership: u64, groupspec_digest: [u8; 32]) {
        if self.joins_are_told {
            self.tell(AppEvent::GroupLeave { client, membership, groupspec_digest });
        }
    }

    /// A client wants to publish a stream; the number of its publication.
    pub(crate) fn publish(&mut self, client: ClientId, name: &str, kind: &str) -> u64 {
        self.publications += 1;
        let publication = Publication { number: self.publications, name: name.to_owned(), kind: kind.to_owned() };
        self.tell(AppEvent::Publish { client, publication });
        self.publications
    }

    /// Askers look for peers, and the script is asked about all of that in one turn.
    #[cfg(test)]
    pub(crate) fn look_up_together(&mut self, lookups: &[(Option<PeerId>, SocketAddr, Option<ClientId>)]) {
        for (target, from, asker) in lookups {
            self.lookups += 1;
            let lookup = Lookup {
                target: *target,
                epd: Default::default(),
                initiator: *from,
                tag: self.lookups.to_be_bytes().into_iter().collect(),
                interface: InterfaceId(1),
                asker: asker.map(|asker| asker.session),
                received: 68,
            };
            let asked = self.server.look_up(self.now, lookup, *asker, None, 1);
            if let Some(Ok(event)) = asked
                && let Ok(InboxItem::Lookup { number }) = self.runtime.instance.requests.admit(event)
            {
                self.lookups_together.borrow_mut().push_back(number);
            }
        }
        loop {
            let next = self.lookups_together.borrow_mut().pop_front();
            let Some(number) = next else { break };
            self.runtime.handle_item(self.now, InboxItem::Lookup { number });
        }
        self.poll();
    }

    /// An asker looks for a peer. The lookup's tag is its number.
    #[cfg(test)]
    pub(crate) fn look_up(&mut self, target: Option<PeerId>, from: SocketAddr, asker: Option<ClientId>) -> u32 {
        self.look_up_from(target, from, asker, None, 1)
    }

    /// The same, where the asker may be a client of another application, and has asked so many times with this time.
    pub(crate) fn look_up_from(
        &mut self,
        target: Option<PeerId>,
        from: SocketAddr,
        asker: Option<ClientId>,
        application: Option<&str>,
        attempt: u32,
    ) -> u32 {
        self.lookups += 1;
        let lookup = Lookup {
            target,
            epd: Default::default(),
            initiator: from,
            tag: self.lookups.to_be_bytes().into_iter().collect(),
            interface: InterfaceId(1),
            asker: asker.map(|asker| asker.session),
            received: 68,
        };
        let number = self.lookups;
        match self.server.look_up(self.now, lookup, asker, application, attempt) {
            Some(Ok(event)) => self.tell(event),
            Some(Err(effect)) => self.effects.push(effect),
            None => (),
        }
        number
    }

    /// Passes an event to the script.
    pub(crate) fn tell(&mut self, event: AppEvent) {
        self.runtime.handle(self.now, event);
        if self.runtime.is_behind() {
            self.runtime.handle_timeout(self.now, || false);
        }
        self.poll();
    }

    /// Time passes. Each timer and each deadline on the way is met at its own time.
    #[cfg(test)]
    pub(crate) fn advance(&mut self, by: Duration) {
        /// A script that sets a new timer in each timer would never be done.
        const MAX_STEPS: usize = 100_000;
        let until = self.now + by;
        for _ in 0..MAX_STEPS {
            let Some(next) = self.next_due().filter(|next| *next <= until) else { break };
            self.run_due(next);
        }
        self.run_due(until);
    }

    /// When the next timer or deadline is due. `None` if there is none, or the instance has ended.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let next = [self.runtime.next_timeout(), self.server.next_deadline(), self.web.next_due()];
        let next = next.into_iter().flatten().min();
        next.filter(|_| !self.runtime.is_over())
    }

    /// It is that time, or later: what is due happens. Nothing does in an instance that has ended.
    pub(crate) fn run_due(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.web.pass(self.now);
        if self.runtime.is_over() {
            return;
        }
        self.pass_deadlines();
        self.runtime.handle_timeout(self.now, || false);
        self.poll();
    }

    /// Passes to the script what the test has answered by now.
    pub(crate) fn look_at_web(&mut self) {
        self.web.pass(self.now);
        self.poll();
    }

    fn pass_deadlines(&mut self) {
        while let Some((request, effect)) = self.server.take_late(self.now) {
            self.runtime.instance.requests.take(request.get());
            self.came_to(effect, true);
        }
    }

    /// The server takes in what the script has sent.
    fn deliver(&mut self) {
        loop {
            let sent = self.recorder.take();
            if sent.is_empty() {
                break;
            }
            for sent in sent {
                match sent {
                    Sent::Command(command) => {
                        self.counted.sends(&command);
                        self.effects.push(Effect::Command(command));
                    }
                    Sent::Verdict(request, verdict) => {
                        let has_failed = matches!(verdict, Verdict::Failed(_));
                        let effect = self.server.decided(request, verdict);
                        self.came_to(effect, has_failed);
                    }
                }
            }
        }
    }

    /// A request has come to something: by a fallback, or as the script has decided.
    fn came_to(&mut self, effect: Option<Effect>, is_fallback: bool) {
        if let Some(Effect::Accept { client }) = &effect {
            self.counted.connects();
            if is_fallback {
                self.runtime.handle(self.now, AppEvent::Accepted { client: *client });
            }
        }
        self.effects.extend(effect);
    }

    /// Passes the results of queries to the script.
    pub(crate) fn poll(&mut self) {
        loop {
            self.deliver();
            while let Some((number, event)) = self.port.take() {
                self.runtime.handle_item(self.now, InboxItem::Connection { number, event });
            }
            self.queries.extend(self.runtime.instance.queries.take());
            let mut done = Vec::new();
            let mut context = Context::from_waker(Waker::noop());
            self.queries.retain_mut(|query| match query.answer.as_mut().poll(&mut context) {
                Poll::Ready(result) => {
                    done.push((query.token, result));
                    false
                }
                Poll::Pending => true,
            });
            if done.is_empty() {
                break;
            }
            for (token, result) in done {
                self.runtime.handle_query(self.now, token, result);
            }
        }
    }
}

//! A worker, far ends, and the network between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use introd_config::Config;
use introd_flash::amf::Value;
use introd_flash::client::{self, ConnectOptions};
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::FlowKind;
use introd_liveness::Pulse;
use introd_netgroup::{GroupDigest, channel};
use introd_policy::message::{ClientCommand, ClientId};
use introd_policy::registry::Registry;
use introd_policy::{Reply, RequestId, Verdict};
use introd_udp::Ports;
use rtmfp::crypto::{Group, Identity};
use rtmfp::flow::SendFlowId;
use rtmfp::{Endpoint, Event, InterfaceId, PeerId, SessionId};
use tokio::sync::{mpsc, watch};

use super::far_end::{FarEnd, identity};
use super::plugin::{self, PluginScript};
use super::script::{Only, Script};
use super::services::services_that_wake;
use crate::introducer::Counter;
use crate::network::Listener;
use crate::serve::drain::DrainRequest;
use crate::serve::keying_pool::KeyingPool;
use crate::serve::mail::{Mail, MailSender, mailbox};
use crate::serve::pending::PendingRequest;
use crate::serve::services::Services;
use crate::serve::strays::Sorter;
use crate::serve::worker::{Worker, WorkerParts};

/// More rounds than any exchange takes: a test fails that would go on for ever.
const MAX_ROUNDS: usize = 20_000;

/// How a world begins.
pub(in crate::serve) struct Setup {
    pub(in crate::serve) config: Config,
    /// The registry that the server shares with others.
    pub(in crate::serve) shared: Option<Arc<dyn Registry>>,
    /// The settings of the worker's endpoint.
    pub(in crate::serve) endpoint: rtmfp::Config,
    /// How long messages may wait for a client, if that is limited.
    pub(in crate::serve) max_unsent_age: Option<Duration>,
}

impl Default for Setup {
    fn default() -> Self {
        let config = Config::built_in();
        let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([99; 32]);
        let own = Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut rng));
        let silence_limit = config.default_adaptor.rtmfp.dead_peer_timeout;
        // The worker alone pings.
        let endpoint =
            rtmfp::Config { silence_limit, keepalive: 2 * silence_limit, ..rtmfp::Config::server(vec![own]) };
        Self { config, shared: None, endpoint, max_unsent_age: None }
    }
}

/// The first of two workers, far ends, and the network between them.
pub(in crate::serve) struct World {
    pub(in crate::serve) now: Instant,
    pub(in crate::serve) worker: Worker,
    pub(in crate::serve) services: Arc<Services>,
    pub(in crate::serve) ends: Vec<FarEnd>,
    /// The script of each application that is registered.
    pub(in crate::serve) script: Arc<Script>,
    /// What the second worker is sent, whose sessions begin with 1.
    pub(in crate::serve) elsewhere: mpsc::Receiver<Mail>,
    pub(in crate::serve) server: SocketAddr,
    /// Where the worker sent datagrams that reached nobody.
    pub(in crate::serve) lost: Vec<SocketAddr>,
    /// Where far ends that are not cut off did.
    pub(in crate::serve) lost_by_ends: Vec<SocketAddr>,
    keying: Arc<KeyingPool>,
    _stop: watch::Sender<bool>,
}

impl World {
    pub(in crate::serve) fn new(setup: Setup) -> Self {
        let (now, script) = (Instant::now(), Script::new());
        let server = ([192, 0, 2, 1], 1935).into();
        let ((own, own_mailbox), (other, elsewhere)) = (mailbox(), mailbox());
        let mut services = services_that_wake(
            &setup.config,
            Some(Arc::new(Only(Arc::clone(&script)))),
            setup.shared,
            wake(own.clone()),
        );
        services.max_unsent_age = setup.max_unsent_age;
        let services = Arc::new(services);
        let keying = Arc::new(KeyingPool::without_threads(100));
        let (stop, stopped) = watch::channel(false);
        let worker = Worker::new(WorkerParts {
            index: 0,
            endpoint: Endpoint::new(now, setup.endpoint, [7; 32]),
            ports: Ports::new(Vec::new()).unwrap(),
            listeners: vec![Listener { adaptor: 0, local: server, public: None }],
            mailbox: own_mailbox,
            mailboxes: Arc::from([own, other]),
            keying: Arc::clone(&keying),
            services: Arc::clone(&services),
            stop: stopped,
            recorder: None,
            pulse: Pulse::unwatched(),
        });
        let (ends, lost, lost_by_ends) = (Vec::new(), Vec::new(), Vec::new());
        Self { now, worker, services, ends, script, elsewhere, server, lost, lost_by_ends, keying, _stop: stop }
    }

    /// A world in which the applications are as the configuration says.
    pub(in crate::serve) fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup.config);
        Self::new(setup)
    }

    /// Adds a plugin under that path: for the instances of applications that are made from now on.
    pub(in crate::serve) fn plugin(&self, path: &str) -> Arc<PluginScript> {
        plugin::add(self.services.applications.plugins(), path)
    }

    /// Adds a far end that has no session.
    pub(in crate::serve) fn add(&mut self) -> usize {
        let number = self.ends.len() as u8 + 1;
        self.add_as(identity(number, false))
    }

    /// Adds a far end with an id that it can prove.
    pub(in crate::serve) fn add_proven(&mut self) -> usize {
        let number = self.ends.len() as u8 + 1;
        self.add_as(identity(number, true))
    }

    /// Adds a far end that shows the certificate of another.
    pub(in crate::serve) fn add_copy(&mut self, of: usize) -> usize {
        self.add_as(identity(of as u8 + 1, false))
    }

    /// Adds a far end with the lasting keys of another.
    pub(in crate::serve) fn add_again(&mut self, of: usize) -> usize {
        self.add_as(identity(of as u8 + 1, true))
    }

    fn add_as(&mut self, identity: Arc<Identity>) -> usize {
        let number = self.ends.len() as u8 + 1;
        self.ends.push(FarEnd::new(self.now, number, identity));
        self.ends.len() - 1
    }

    /// Opens a session of a far end with the worker.
    pub(in crate::serve) fn open(&mut self, end: usize) {
        self.ends[end].open(self.now, self.server);
        self.exchange();
    }

    /// Has a far end, which has a session, ask to connect.
    pub(in crate::serve) fn ask(&mut self, end: usize, uri: &str) {
        let (now, far) = (self.now, &mut self.ends[end]);
        let control = far.open_flow(now, FlowKind::stream(0));
        far.control = Some(control);
        far.send(now, control, client::connect(uri, &ConnectOptions::default()).unwrap());
        self.exchange();
    }

    /// Opens a session of a far end, and asks to connect.
    pub(in crate::serve) fn connect(&mut self, end: usize, uri: &str) {
        self.open(end);
        self.ask(end, uri);
    }

    /// Adds a client of an application that accepts everybody.
    pub(in crate::serve) fn client(&mut self, uri: &str) -> usize {
        let end = self.add();
        self.connect(end, uri);
        assert_eq!(self.ends[end].codes(), ["Connect.Success"]);
        end
    }

    /// Adds a client of the application `app`, which the script accepts.
    pub(in crate::serve) fn accepted(&mut self) -> usize {
        self.accepted_by("rtmfp://host/app")
    }

    /// Adds a client of an application with a script, which accepts it.
    pub(in crate::serve) fn accepted_by(&mut self, uri: &str) -> usize {
        let end = self.add();
        self.connect(end, uri);
        let request = self.script.asked();
        self.decide(request, Verdict::Continue);
        assert_eq!(self.ends[end].codes(), ["Connect.Success"]);
        end
    }

    /// Gives a verdict, and lets the worker act on it.
    pub(in crate::serve) fn decide(&mut self, request: RequestId, verdict: Verdict) {
        self.services.replies.push(request, Reply::Verdict(verdict));
        self.exchange();
    }

    /// Sends a message of a client on its control flow.
    pub(in crate::serve) fn say(&mut self, end: usize, message: Vec<u8>) {
        let far = &mut self.ends[end];
        far.send(self.now, far.control.unwrap(), message);
        self.exchange();
    }

    /// Has a client join a group. Returns its flow.
    pub(in crate::serve) fn join(&mut self, end: usize, group: u8) -> SendFlowId {
        let (now, far) = (self.now, &mut self.ends[end]);
        let flow = far.open_flow(now, FlowKind::GroupControl);
        far.send(now, flow, channel::join(&GroupDigest([group; 32])));
        self.exchange();
        flow
    }

    /// Has a far end look for a peer at the server.
    pub(in crate::serve) fn look_up(&mut self, asker: usize, peer: PeerId) {
        self.ends[asker].look_up(self.now, peer, self.server);
        self.exchange();
    }

    /// Has a far end close its session.
    pub(in crate::serve) fn leave(&mut self, end: usize) {
        let far = &mut self.ends[end];
        far.endpoint.close(self.now, far.session.unwrap());
        self.exchange();
    }

    /// Has a client call a method.
    pub(in crate::serve) fn call(&mut self, end: usize, method: &str, transaction: f64, arguments: Vec<Value>) {
        let message = Command::new(method, transaction, arguments).to_message(Encoding::Amf0, 0).unwrap();
        self.say(end, message);
    }

    /// Has a client report its addresses.
    pub(in crate::serve) fn report(&mut self, end: usize, addresses: &[SocketAddr]) {
        self.say(end, client::set_peer_info(addresses, Encoding::Amf0).unwrap());
    }

    /// Has a far end send from another address.
    pub(in crate::serve) fn move_to(&mut self, end: usize, address: SocketAddr) {
        let far = &mut self.ends[end];
        far.address = address;
        far.endpoint.ping(self.now, far.session.unwrap(), &[]);
        self.exchange();
    }

    /// Hands the clients an event of the worker's endpoint.
    pub(in crate::serve) fn event(&mut self, event: Event) {
        let (mut turn, clients, _) = self.worker.turn(self.now);
        clients.handle(&mut turn, event);
        self.exchange();
    }

    /// Sends the worker a script's command.
    pub(in crate::serve) fn command(&mut self, command: ClientCommand) {
        self.deliver(Mail::Command(command, None));
    }

    /// A client's name, as scripts have it.
    pub(in crate::serve) fn client_id(&self, end: usize) -> ClientId {
        ClientId { worker: 0, session: self.session(end) }
    }

    /// Delivers a message to the worker.
    pub(in crate::serve) fn deliver(&mut self, mail: Mail) {
        self.worker.take_mail(self.now, Some(mail));
        self.exchange();
    }

    /// The worker's session with a far end.
    pub(in crate::serve) fn session(&self, end: usize) -> SessionId {
        let (endpoint, address) = (&self.worker.endpoint, self.ends[end].address);
        let is_own = |id: &SessionId| endpoint.session(*id).is_some_and(|info| info.far_address == address);
        endpoint.session_ids().find(is_own).unwrap()
    }

    pub(in crate::serve) fn count(&self, counter: Counter) -> u64 {
        self.services.counters.snapshot().get(counter)
    }

    /// Waits for a message to the worker that another thread sends.
    pub(in crate::serve) fn wait_for_mail(&mut self) {
        let mail = self.worker.mailbox.blocking_recv();
        self.worker.take_mail(self.now, mail);
        self.exchange();
    }

    /// Carries datagrams and messages until there are none left.
    pub(in crate::serve) fn exchange(&mut self) {
        for _ in 0..MAX_ROUNDS {
            while let Ok(mail) = self.worker.mailbox.try_recv() {
                self.worker.take_mail(self.now, Some(mail));
            }
            self.worker.work(self.now);
            let is_quiet = self.keying.work_off() == 0;
            if is_quiet & !self.carry_from_worker() & !self.carry_from_ends() && self.worker.mailbox.is_empty() {
                return;
            }
        }
        panic!("the exchange does not end");
    }

    fn carry_from_worker(&mut self) -> bool {
        let (mut is_any, mut datagram) = (false, Vec::new());
        while let Some(transmit) = self.worker.endpoint.poll_transmit(self.now, &mut datagram) {
            is_any = true;
            match self.ends.iter_mut().find(|end| end.address == transmit.to && !end.is_cut_off) {
                Some(end) => end.endpoint.handle_datagram(self.now, InterfaceId(0), self.server, &mut datagram),
                None => self.lost.push(transmit.to),
            }
            datagram.clear();
        }
        is_any
    }

    fn carry_from_ends(&mut self) -> bool {
        let (now, mut is_any, mut strays) = (self.now, false, Vec::new());
        for sender in 0..self.ends.len() {
            is_any |= self.ends[sender].work(now);
            let mut datagram = Vec::new();
            while let Some(transmit) = self.ends[sender].endpoint.poll_transmit(now, &mut datagram) {
                is_any = true;
                let FarEnd { address: from, is_cut_off, .. } = self.ends[sender];
                if transmit.to == self.server && !is_cut_off {
                    Sorter::new(&mut self.worker.endpoint, 0, 2, &mut strays).take(
                        now,
                        InterfaceId(0),
                        from,
                        &mut datagram,
                    );
                } else if let Some(end) =
                    self.ends.iter_mut().find(|end| end.address == transmit.to && !end.is_cut_off && !is_cut_off)
                {
                    end.endpoint.handle_datagram(now, InterfaceId(0), from, &mut datagram);
                } else if !is_cut_off {
                    self.lost_by_ends.push(transmit.to);
                }
                datagram.clear();
            }
        }
        strays.into_iter().for_each(|stray| self.worker.pass_on(stray));
        is_any
    }

    /// Begins a drain, or cancels it.
    pub(in crate::serve) fn drain(&mut self, request: Option<&DrainRequest>) {
        match request {
            Some(request) => drop(self.services.drain.begin(self.now, SystemTime::UNIX_EPOCH, request)),
            None => assert!(self.services.drain.cancel()),
        }
        self.exchange();
    }

    /// Lets time pass: everything that becomes due is done at its time.
    pub(in crate::serve) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..MAX_ROUNDS {
            let far = self.ends.iter().filter_map(|end| end.endpoint.poll_timeout()).min();
            let near = self.worker.next_deadline().filter(|_| !self.worker.is_over(self.now));
            let Some(next) = near.into_iter().chain(far).min().filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            for end in &mut self.ends {
                if end.endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                    end.endpoint.handle_timeout(self.now);
                }
            }
            if near.is_some_and(|at| at <= self.now) {
                self.worker.handle_timeout(self.now);
            }
            self.exchange();
        }
        panic!("time does not pass");
    }

    pub(in crate::serve) fn seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }
}

/// Wakes the worker for a reply, as the server does.
fn wake(mailbox: MailSender) -> impl Fn(u8) + Send + Sync + 'static {
    move |_| drop(mailbox.try_send(Mail::Wake))
}

impl Drop for World {
    /// Each lookup has a verdict, or waits for one, whatever the test did.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let far = self.now + Duration::from_secs(1 << 30);
        let waiting = std::iter::from_fn(|| self.worker.pending.take_late(far))
            .filter(|(_, request)| matches!(request, PendingRequest::Lookup { .. }))
            .count() as u64;
        let verdicts: u64 = self.services.verdicts.totals().iter().map(|verdict| verdict.count).sum();
        assert_eq!(self.count(Counter::Lookups), verdicts + waiting, "lookups, and their verdicts: {waiting} wait");
    }
}

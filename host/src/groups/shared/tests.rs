//! Servers that share a registry: which members are named to which, whatever the order in which they work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use introd_policy::registry::{
    GroupMember, InMemory, LookupFuture, NeighborQuery, NeighborsFuture, NeighborsResult, RegistryError,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::TaggedAddress;
use tokio::sync::{mpsc, oneshot};

use super::driver::Driver;
use super::marks::Marks;
use super::schedule::{MemberId, Step};
use super::*;
use crate::groups::membership::Joined;
use crate::introducer::Counter;
use introd_netgroup::ring::{GroupAddress, Ring};

const DIGEST: GroupDigest = GroupDigest([9; 32]);
const KEY: GroupKey = GroupKey([1; 32]);
const TIMEOUT: Duration = Duration::from_secs(3600);

fn peer(number: u32) -> PeerId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn session(number: u32) -> SessionId {
    SessionId::from_wire(number + 1)
}

/// The hints that went out: to which session, and about whom.
type Hints = Arc<Mutex<Vec<(SessionId, PeerId)>>>;

/// A server whose steps the test takes.
struct Stepped {
    members: Arc<Memberships<SessionId>>,
    marks: Arc<Marks>,
    driver: Driver,
    hints: Hints,
    counters: Arc<Counters>,
}

impl Stepped {
    fn new(registry: &Arc<InMemory>) -> Self {
        let (members, marks) = (Arc::new(Memberships::default()), Arc::new(Marks::default()));
        let (counters, hints) = (Arc::new(Counters::new(1)), Hints::default());
        let sent = Arc::clone(&hints);
        let send = Arc::new(move |session, group, about| {
            assert_eq!(group, DIGEST);
            sent.lock().unwrap().push((session, about));
        });
        let registry = Arc::clone(registry) as Arc<dyn Registry>;
        let shared = (Arc::clone(&members), Arc::clone(&marks), Arc::clone(&counters));
        let driver = Driver::new(registry, shared.0, shared.1, shared.2, TIMEOUT, send, mpsc::unbounded_channel().1);
        Self { members, marks, driver, hints, counters }
    }

    /// A peer joins; the hints of this server are sent.
    fn join(&self, number: u32) {
        assert_eq!(self.members.join(KEY, peer(number), session(number)), Ok(Joined::New));
        self.marks.insert(KEY, peer(number), Mark { digest: DIGEST, is_named: true });
        let mut hints = Vec::new();
        self.members.hints_for_newcomer(&KEY, peer(number), &mut hints);
        self.hints.lock().unwrap().extend(hints.into_iter().map(|hint| (hint.handle, hint.about)));
    }

    fn leave(&self, number: u32) {
        assert!(self.members.leave(&KEY, &peer(number), session(number)));
        self.marks.insert(KEY, peer(number), Mark { digest: DIGEST, is_named: false });
    }

    /// Takes one step, if there is one to take. A query is asked by `ask` and answered later.
    fn step(&mut self, now: Instant, ask: &mut impl FnMut(NeighborQuery) -> NeighborsResult) -> Option<Answer> {
        self.driver.take_marks(now);
        match self.driver.schedule.next(now)? {
            Step::Ask(id) => {
                let query = self.driver.query(id);
                Some(Answer { id, result: Some(ask(query)) })
            }
            step => {
                self.driver.write(now, step);
                Some(Answer { id: MemberId { key: KEY, peer: peer(0) }, result: None })
            }
        }
    }

    fn told(&self, number: u32) -> BTreeSet<PeerId> {
        let hints = self.hints.lock().unwrap();
        hints.iter().filter(|(to, _)| *to == session(number)).map(|(_, about)| *about).collect()
    }

    fn count(&self, counter: Counter) -> u64 {
        self.counters.snapshot().get(counter)
    }
}

/// An answer on its way. A step that was no query has none.
struct Answer {
    id: MemberId,
    result: Option<NeighborsResult>,
}

fn ask(registry: &InMemory, query: &NeighborQuery) -> NeighborsResult {
    let mut future = registry.group_neighbors(query);
    let waker = std::task::Waker::noop();
    match future.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("it does not wait"),
    }
}

/// Lets the servers work until nothing is to be done, in random order; answers come in random order, too. Of queries, `fails` in 100 fail.
fn settle(servers: &mut [Stepped], registry: &InMemory, now: Instant, rng: &mut ChaCha8Rng, fails: u32) {
    let mut on_their_way: Vec<(usize, Answer)> = Vec::new();
    let mut idle = 0;
    while idle < 20 * servers.len() || !on_their_way.is_empty() {
        if rng.next_u32().is_multiple_of(2) && !on_their_way.is_empty() {
            let (server, answer) = on_their_way.swap_remove(rng.next_u32() as usize % on_their_way.len());
            servers[server].driver.take_answer(now, answer.id, answer.result.unwrap());
            continue;
        }
        let server = rng.next_u32() as usize % servers.len();
        let is_failure = rng.next_u32() % 100 < fails;
        let step = servers[server].step(now, &mut |query| match is_failure {
            true => Err(RegistryError::Full),
            false => ask(registry, &query),
        });
        match step {
            Some(answer) if answer.result.is_some() => on_their_way.push((server, answer)),
            Some(_) => idle = 0,
            None => idle += 1,
        }
    }
}

/// Whether of any two members next to each other on the ring at least one was told of the other.
fn is_closed(servers: &[Stepped], members: &BTreeMap<u32, usize>) -> bool {
    let mut ring = Ring::default();
    for number in members.keys() {
        ring.insert(peer(*number), *number);
    }
    members.keys().all(|number| {
        let next = ring.after(GroupAddress::of(&peer(*number))).next().unwrap().value;
        let told = |to: u32, about: u32| servers[members[&to]].told(to).contains(&peer(about));
        told(*number, next) || told(next, *number)
    })
}

#[test]
fn the_ring_closes_over_servers_whatever_the_order_of_joins_steps_and_answers() {
    for seed in 0..40 {
        let registry = Arc::new(InMemory::default());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut servers: Vec<_> = (0..3).map(|_| Stepped::new(&registry)).collect();
        let (now, mut members) = (Instant::now(), BTreeMap::new());
        for number in 0..60 {
            let server = rng.next_u32() as usize % servers.len();
            servers[server].join(number);
            members.insert(number, server);
            // Sometimes many join before any is published, sometimes each is alone.
            if rng.next_u32().is_multiple_of(8) {
                settle(&mut servers, &registry, now, &mut rng, 0);
            }
        }
        settle(&mut servers, &registry, now, &mut rng, 0);
        assert!(is_closed(&servers, &members), "seed {seed}");
        for server in &servers {
            let own: Vec<_> = server.members.members(&KEY).iter().map(|member| member.peer).collect();
            assert_eq!(server.count(Counter::RegistryGroupQueries), own.len() as u64, "one for each join");
            assert_eq!(server.count(Counter::RegistryGroupFailures), 0);
        }
    }
}

#[test]
fn the_ring_closes_when_queries_that_failed_are_repeated() {
    for seed in 0..10 {
        let registry = Arc::new(InMemory::default());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut servers: Vec<_> = (0..3).map(|_| Stepped::new(&registry)).collect();
        let (mut now, mut members) = (Instant::now(), BTreeMap::new());
        for number in 0..30 {
            let server = number as usize % servers.len();
            servers[server].join(number);
            members.insert(number, server);
        }
        settle(&mut servers, &registry, now, &mut rng, 60);
        assert!(servers.iter().any(|server| server.count(Counter::RegistryGroupFailures) > 0), "seed {seed}");
        for _ in 0..20 {
            now += Duration::from_secs(60);
            settle(&mut servers, &registry, now, &mut rng, 30);
        }
        assert!(is_closed(&servers, &members), "seed {seed}");
    }
}

#[test]
fn a_group_heals_after_its_members_of_one_server_are_lost() {
    let registry = Arc::new(InMemory::default());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut servers: Vec<_> = (0..3).map(|_| Stepped::new(&registry)).collect();
    let (now, mut members) = (Instant::now(), BTreeMap::new());
    for number in 0..90 {
        let server = rng.next_u32() as usize % servers.len();
        servers[server].join(number);
        members.insert(number, server);
    }
    settle(&mut servers, &registry, now, &mut rng, 0);
    // The last server dies: the registry has its members no more, and it tells nobody.
    let lost = servers.pop().unwrap();
    for member in lost.members.members(&KEY) {
        let position = GroupAddress::of(&member.peer).0;
        registry.leave_group(&GroupMember { group: KEY.0, peer: member.peer, position }).unwrap();
    }
    members.retain(|_, server| *server < servers.len());
    assert!(!is_closed(&servers, &members), "there are gaps between members that knew nothing of each other");
    let mut later = now;
    while later < now + schedule::SWEEP + members.len() as u32 * schedule::SWEEP_SPACING {
        settle(&mut servers, &registry, later, &mut rng, 0);
        later += schedule::SWEEP_SPACING;
    }
    assert!(is_closed(&servers, &members));
}

#[test]
fn members_of_this_server_come_in_no_answer_twice_and_those_elsewhere_up_to_a_bound() {
    let registry = Arc::new(InMemory::default());
    let (mut here, now, mut rng) = (Stepped::new(&registry), Instant::now(), ChaCha8Rng::seed_from_u64(1));
    here.join(1);
    here.join(2);
    settle(std::slice::from_mut(&mut here), &registry, now, &mut rng, 0);
    assert_eq!(here.count(Counter::RegistryGroupHints), 0, "they were told of each other by this server");
    let id = MemberId { key: KEY, peer: peer(1) };
    let named: Vec<_> = (0..64).map(peer).collect();
    here.driver.take_answer(now, id, Ok(named));
    assert_eq!(here.count(Counter::RegistryGroupHints), 7, "of nine, itself and the other of this server are two");
    assert!(here.told(1).iter().all(|about| *about != peer(1)));
    // One that has left is told nothing.
    here.leave(1);
    here.driver.take_marks(now);
    here.driver.take_answer(now, id, Ok(vec![peer(50)]));
    assert_eq!(here.count(Counter::RegistryGroupHints), 7);
}

#[test]
fn members_that_are_silent_or_not_named_by_the_server_are_in_no_registry() {
    let registry = Arc::new(InMemory::default());
    let (mut here, now, mut rng) = (Stepped::new(&registry), Instant::now(), ChaCha8Rng::seed_from_u64(1));
    let known = |registry: &InMemory| {
        let position = GroupAddress::of(&peer(99)).0;
        let member = GroupMember { group: KEY.0, peer: peer(99), position };
        ask(registry, &NeighborQuery { member, near: 3, far: 0 }).unwrap()
    };
    here.members.join(KEY, peer(1), session(1)).unwrap();
    here.marks.insert(KEY, peer(1), Mark { digest: DIGEST, is_named: false });
    settle(std::slice::from_mut(&mut here), &registry, now, &mut rng, 0);
    assert_eq!(known(&registry), []);
    for is_silent in [false, true, false] {
        here.members.set_silent(&peer(1), session(1), is_silent);
        here.marks.insert(KEY, peer(1), Mark { digest: DIGEST, is_named: true });
        settle(std::slice::from_mut(&mut here), &registry, now, &mut rng, 0);
        assert_eq!(known(&registry).len(), usize::from(!is_silent));
    }
    here.leave(1);
    settle(std::slice::from_mut(&mut here), &registry, now, &mut rng, 0);
    assert_eq!((known(&registry), here.driver.schedule.sizes()), (vec![], (0, 0)));
}

/// A registry that hands each query to the test, and panics if the test says so.
struct Asked {
    queries: mpsc::UnboundedSender<(PeerId, oneshot::Sender<NeighborsResult>)>,
    panics: bool,
    has_groups: bool,
}

impl Registry for Asked {
    fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), RegistryError> {
        Ok(())
    }

    fn withdraw(&self, _: &PeerId) {}

    fn lookup(&self, _: PeerId) -> LookupFuture {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn has_groups(&self) -> bool {
        self.has_groups
    }

    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        assert!(!self.panics || member.peer != peer(1), "this is to panic");
        Ok(())
    }

    fn leave_group(&self, _: &GroupMember) -> Result<(), RegistryError> {
        Ok(())
    }

    fn group_neighbors(&self, query: &NeighborQuery) -> NeighborsFuture {
        assert!(!self.panics || query.member.peer != peer(2), "this is to panic");
        let (answer, answered) = oneshot::channel();
        let _ = self.queries.send((query.member.peer, answer));
        Box::pin(async { answered.await.unwrap_or(Err(RegistryError::Full)) })
    }
}

/// A server at work, whose queries and hints the test receives.
struct Running {
    members: Arc<Memberships<SessionId>>,
    counters: Arc<Counters>,
    shared: Option<SharedGroups>,
    queries: mpsc::UnboundedReceiver<(PeerId, oneshot::Sender<NeighborsResult>)>,
    hints: mpsc::UnboundedReceiver<(SessionId, PeerId)>,
}

impl Running {
    fn start(panics: bool, has_groups: bool) -> Self {
        let (members, counters) = (Arc::<Memberships<SessionId>>::default(), Arc::new(Counters::new(1)));
        let ((asked, queries), (send, hints)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let registry = Arc::new(Asked { queries: asked, panics, has_groups });
        let send = Arc::new(move |session, _, about| _ = send.send((session, about)));
        let all = (Arc::clone(&members), Arc::clone(&counters));
        let shared = SharedGroups::start(registry, all.0, all.1, TIMEOUT, send, &Handle::current(), false);
        Self { members, counters, shared, queries, hints }
    }

    fn join(&self, number: u32) {
        self.members.join(KEY, peer(number), session(number)).unwrap();
        self.shared.as_ref().unwrap().changed(KEY, DIGEST, peer(number), true);
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn a_newcomer_is_told_of_those_whom_the_registry_names_and_workers_do_not_wait_for_it() {
    block_on(async {
        let mut server = Running::start(false, true);
        server.join(1);
        server.join(2);
        let (first, answer) = server.queries.recv().await.unwrap();
        let (second, other) = server.queries.recv().await.unwrap();
        assert_eq!(BTreeSet::from([first, second]), BTreeSet::from([peer(1), peer(2)]));
        answer.send(Ok(vec![peer(7)])).unwrap();
        let number = if first == peer(1) { 1 } else { 2 };
        assert_eq!(server.hints.recv().await, Some((session(number), peer(7))));
        drop(server.shared.take());
        // The requests under way are given up.
        let mut other = other;
        other.closed().await;
    });
}

#[test]
fn a_panic_of_the_registry_is_a_failure_of_one_membership() {
    block_on(async {
        let mut server = Running::start(true, true);
        for number in 1..=3 {
            server.join(number);
        }
        let (asks, answer) = server.queries.recv().await.unwrap();
        assert_eq!(asks, peer(3));
        answer.send(Ok(vec![peer(7)])).unwrap();
        assert_eq!(server.hints.recv().await, Some((session(3), peer(7))));
        while server.counters.snapshot().get(Counter::RegistryGroupFailures) < 2 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_registry_without_groups_is_left_alone() {
    block_on(async {
        assert!(Running::start(false, false).shared.is_none());
    });
}

/// Whom the registry has.
fn published(registry: &InMemory) -> BTreeSet<PeerId> {
    let stranger = PeerId([255; 32]);
    let member = GroupMember { group: KEY.0, peer: stranger, position: GroupAddress::of(&stranger).0 };
    ask(registry, &NeighborQuery { member, near: 8, far: 8 }).unwrap().into_iter().collect()
}

/// Takes all steps that are due. The registry is asked, and its answers do not come.
fn work(server: &mut Stepped, now: Instant) {
    while server.step(now, &mut |_| Ok(Vec::new())).is_some() {}
}

#[test]
fn who_has_left_is_withdrawn_at_the_end_also_while_the_registry_is_asked() {
    let registry = Arc::new(InMemory::default());
    let (mut server, now) = (Stepped::new(&registry), Instant::now());
    (1..=3).for_each(|number| server.join(number));
    work(&mut server, now);
    server.leave(1);
    work(&mut server, now);
    assert_eq!(published(&registry).len(), 3, "the answer is waited for");
    server.leave(2);
    server.driver.withdraw_gone(now);
    assert_eq!(published(&registry), BTreeSet::from([peer(3)]));
}

#[test]
fn what_another_process_has_published_is_withdrawn_by_its_heir_also_if_nobody_has_looked_before() {
    let registry = Arc::new(InMemory::default());
    let now = Instant::now();
    let mut before = Stepped::new(&registry);
    (1..=2).for_each(|number| before.join(number));
    work(&mut before, now);
    let mut heir = Stepped::new(&registry);
    heir.driver = heir.driver.inheriting();
    (1..=2).for_each(|number| heir.join(number));
    heir.leave(1);
    work(&mut heir, now);
    assert_eq!(published(&registry), BTreeSet::from([peer(2)]));
    assert_eq!(heir.driver.schedule.sizes().0, 1);
}

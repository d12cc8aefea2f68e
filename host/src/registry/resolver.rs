//! Lookups in a registry that may be slow: their number and their time are bounded, and simultaneous lookups of a peer share a call.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use introd_policy::{Replies, Reply, RequestId, Resolution};
use rtmfp::{Lookup, PeerId};
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::settings::ResolverSettings;
use super::unknown_peers::UnknownPeers;
use introd_liveness::AtStandstill;
use introd_policy::registry::{LookupFuture, Registry, RegistryError};

/// How a lookup will be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is answered at once.
    Now(Resolution),
    /// The registry was asked; the answer will be delivered.
    Called,
    /// The registry is being asked about this peer; the answer will be delivered.
    Joined,
    /// The asker has repeated a lookup that waits already.
    Repeated,
    /// Too many lookups wait.
    Busy,
}

/// Looks peers up for all workers of a server. Dropping it cancels the calls under way.
pub struct Resolver {
    registry: Arc<dyn Registry>,
    inner: Arc<Inner>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    settings: ResolverSettings,
    table: Mutex<Table>,
    replies: Arc<Replies>,
}

/// A lookup that waits for an answer.
struct Waiting {
    request: RequestId,
    /// The initiator and the tag, by which a repeated lookup is recognized.
    initiator: SocketAddr,
    tag: SmallVec<[u8; 16]>,
}

impl Waiting {
    fn new(request: RequestId, lookup: &Lookup) -> Self {
        Self { request, initiator: lookup.initiator, tag: lookup.tag.clone() }
    }
}

#[derive(Default)]
struct Table {
    calls: HashMap<PeerId, Vec<Waiting>>,
    unknown: UnknownPeers,
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers the registry's answer about a peer.
    fn conclude(&self, peer: PeerId, resolution: &Resolution) {
        let waiting = {
            let mut table = self.table();
            if matches!(resolution, Resolution::Unknown) {
                table.unknown.insert(Instant::now(), peer, &self.settings);
            }
            table.calls.remove(&peer)
        };
        for Waiting { request, .. } in waiting.into_iter().flatten() {
            self.replies.push(request, Reply::Resolved(resolution.clone()));
        }
    }
}

impl Table {
    /// Adds a lookup to the call that is under way for its peer; `None` if there is no call.
    fn join(&mut self, peer: &PeerId, request: RequestId, lookup: &Lookup, max: usize) -> Option<Asked> {
        let waiting = self.calls.get_mut(peer)?;
        let is_repeated = waiting.iter().any(|known| known.initiator == lookup.initiator && known.tag == lookup.tag);
        Some(if is_repeated {
            Asked::Repeated
        } else if waiting.len() >= max {
            Asked::Busy
        } else {
            waiting.push(Waiting::new(request, lookup));
            Asked::Joined
        })
    }
}

impl Resolver {
    /// Starts a thread that waits for the registry's answers, and brings them to the workers by `replies`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(registry: Arc<dyn Registry>, settings: ResolverSettings, replies: Arc<Replies>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let thread = introd_liveness::spawn("registry", AtStandstill::EndProcess, move |pulse| {
            runtime.block_on(async {
                let mut beats = tokio::time::interval(introd_liveness::BEAT);
                loop {
                    tokio::select! {
                        _ = &mut stopped => return,
                        _ = beats.tick() => pulse.beat(),
                    }
                }
            });
            Ok(())
        })?;
        let inner = Arc::new(Inner { settings, table: Mutex::default(), replies });
        Ok(Self { registry, inner, handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Looks `peer` up for a lookup of it. An answer that comes later is a reply to `request`.
    pub fn ask(&self, now: Instant, request: RequestId, peer: PeerId, lookup: &Lookup) -> Asked {
        let settings = &self.inner.settings;
        {
            let mut table = self.inner.table();
            if table.unknown.contains(now, &peer) {
                return Asked::Now(Resolution::Unknown);
            }
            if let Some(asked) = table.join(&peer, request, lookup, settings.max_waiting) {
                return asked;
            }
            if table.calls.len() >= settings.max_calls {
                return Asked::Busy;
            }
        }
        // The table is not locked during this call, because a registry may call back or take locks of its own.
        let mut answer = self.registry.lookup(peer);
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Asked::Now(result.into());
        }
        {
            let mut table = self.inner.table();
            // Another worker may have asked in between.
            if let Some(asked) = table.join(&peer, request, lookup, settings.max_waiting) {
                return asked;
            }
            table.calls.insert(peer, vec![Waiting::new(request, lookup)]);
        }
        self.wait_for(peer, answer);
        Asked::Called
    }

    fn wait_for(&self, peer: PeerId, answer: LookupFuture) {
        let inner = Arc::clone(&self.inner);
        // If the future panics, the call must end all the same, or its lookups would wait for ever.
        let guard = Guard { inner, peer };
        let timeout = self.inner.settings.timeout;
        self.handle.spawn(async move {
            let resolution = match tokio::time::timeout(timeout, answer).await {
                Ok(result) => result.into(),
                Err(_) => Resolution::TimedOut,
            };
            guard.inner.conclude(peer, &resolution);
        });
    }

    /// The runtime of the registry's thread, for other work with the registry. It must not hold the thread up.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The timeout of a call.
    pub fn timeout(&self) -> Duration {
        self.inner.settings.timeout
    }

    /// How many peers the registry is being asked about.
    pub fn calls(&self) -> usize {
        self.inner.table().calls.len()
    }
}

/// Ends the call about a peer with a failure if its future panics.
struct Guard {
    inner: Arc<Inner>,
    peer: PeerId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.inner.conclude(self.peer, &Resolution::Failed(RegistryError::Unavailable("it panicked".to_owned())));
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the registry's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::sync::mpsc;

    use introd_policy::registry::LookupResult;
    use rtmfp::{InterfaceId, Origin, TaggedAddress};

    use super::*;

    /// A registry that answers when the test says so.
    #[derive(Default)]
    struct Slow {
        calls: Mutex<Vec<(PeerId, oneshot::Sender<LookupResult>)>>,
    }

    impl Registry for Slow {
        fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), RegistryError> {
            Ok(())
        }

        fn withdraw(&self, _: &PeerId) {}

        fn lookup(&self, peer: PeerId) -> LookupFuture {
            let (answer, answered) = oneshot::channel();
            self.calls.lock().unwrap().push((peer, answer));
            Box::pin(async { answered.await.expect("answered, or given up") })
        }
    }

    fn lookup(number: u16) -> Lookup {
        Lookup {
            target: None,
            epd: Default::default(),
            initiator: ([192, 0, 2, 1], number).into(),
            tag: Default::default(),
            interface: InterfaceId(0),
            asker: None,
            received: 68,
        }
    }

    /// The replies that come to a test.
    struct Answers {
        replies: Arc<Replies>,
        woken: mpsc::Receiver<u8>,
        taken: RefCell<VecDeque<(RequestId, Reply)>>,
    }

    impl Answers {
        fn next(&self) -> (RequestId, Resolution) {
            while self.taken.borrow().is_empty() {
                let worker = self.woken.recv_timeout(TIMEOUT).unwrap();
                self.taken.borrow_mut().extend(self.replies.take(worker));
            }
            match self.taken.borrow_mut().pop_front() {
                Some((request, Reply::Resolved(resolution))) => (request, resolution),
                other => panic!("{other:?}"),
            }
        }
    }

    fn start(settings: ResolverSettings) -> (Resolver, Arc<Slow>, Answers) {
        let (registry, (sender, woken)) = (Arc::new(Slow::default()), mpsc::channel());
        let replies = Arc::new(Replies::new(4, move |worker| {
            let _ = sender.send(worker);
        }));
        let resolver = Resolver::start(Arc::clone(&registry) as _, settings, Arc::clone(&replies)).unwrap();
        (resolver, registry, Answers { replies, woken, taken: RefCell::default() })
    }

    fn request(worker: u64, number: u64) -> RequestId {
        RequestId::from_number(worker << 56 | number)
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn unhurried() -> ResolverSettings {
        ResolverSettings { timeout: TIMEOUT, negative: TIMEOUT, ..ResolverSettings::default() }
    }

    #[test]
    fn one_call_answers_all_who_wait_for_the_same_peer() {
        let (resolver, registry, answers) = start(unhurried());
        let (now, peer) = (Instant::now(), PeerId([1; 32]));
        assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Called);
        assert_eq!(resolver.ask(now, request(1, 1), peer, &lookup(2)), Asked::Joined);
        assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Repeated);
        assert_eq!(resolver.ask(now, request(0, 1), PeerId([2; 32]), &lookup(3)), Asked::Called);
        let mut calls = std::mem::take(&mut *registry.calls.lock().unwrap());
        assert_eq!(calls.len(), 2);
        let address = TaggedAddress::new(([192, 0, 2, 9], 9).into(), Origin::Relay);
        calls.remove(0).1.send(Ok(Some(vec![address]))).unwrap();
        let mut askers = Vec::new();
        for _ in 0..2 {
            let (request, resolution) = answers.next();
            assert_eq!(resolution, Resolution::Found([address].into()));
            askers.push(request);
        }
        assert_eq!(askers, [request(0, 1), request(1, 1)]);
        // The resolver remembers no addresses: that is up to the registry.
        assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Called);
        assert_eq!(resolver.calls(), 2);
    }

    #[test]
    fn an_unknown_peer_is_not_asked_for_again_at_once() {
        let (resolver, registry, answers) = start(unhurried());
        let (now, peer) = (Instant::now(), PeerId([1; 32]));
        assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Called);
        registry.calls.lock().unwrap().pop().unwrap().1.send(Ok(None)).unwrap();
        assert_eq!(answers.next().1, Resolution::Unknown);
        assert_eq!(resolver.ask(Instant::now(), request(0, 1), peer, &lookup(1)), Asked::Now(Resolution::Unknown));
        assert_eq!(resolver.ask(Instant::now() + 2 * TIMEOUT, request(0, 1), peer, &lookup(1)), Asked::Called);
    }

    #[test]
    fn no_answer_in_time_is_an_answer() {
        let settings = ResolverSettings { timeout: Duration::from_millis(1), ..unhurried() };
        let (resolver, _registry, answers) = start(settings);
        assert_eq!(resolver.ask(Instant::now(), request(3, 1), PeerId([1; 32]), &lookup(1)), Asked::Called);
        assert_eq!(answers.next(), (request(3, 1), Resolution::TimedOut));
        assert_eq!(resolver.calls(), 0);
    }

    #[test]
    fn a_registry_that_panics_fails() {
        let (resolver, registry, answers) = start(unhurried());
        assert_eq!(resolver.ask(Instant::now(), request(0, 1), PeerId([1; 32]), &lookup(1)), Asked::Called);
        // The future expects an answer and gets none.
        registry.calls.lock().unwrap().clear();
        let outcome = answers.next().1;
        assert!(matches!(outcome, Resolution::Failed(RegistryError::Unavailable(_))), "{outcome:?}");
        assert_eq!(resolver.calls(), 0);
    }

    #[test]
    fn a_storm_is_bounded() {
        let settings = ResolverSettings { max_calls: 100, max_waiting: 10, ..unhurried() };
        let (resolver, registry, _answers) = start(settings);
        let now = Instant::now();
        let mut busy = 0;
        for number in 0..10_000u32 {
            let mut peer = [0; 32];
            peer[..4].copy_from_slice(&number.to_be_bytes());
            busy += u32::from(resolver.ask(now, request(0, 1), PeerId(peer), &lookup(1)) == Asked::Busy);
        }
        assert_eq!(busy, 9900);
        assert_eq!(registry.calls.lock().unwrap().len(), 100);
        let asked: Vec<_> =
            (1..=11).map(|port| resolver.ask(now, request(0, 1), PeerId([0; 32]), &lookup(port))).collect();
        assert_eq!(asked[0], Asked::Repeated);
        assert_eq!((&asked[9], &asked[10]), (&Asked::Joined, &Asked::Busy));
    }

    #[test]
    fn a_lookup_is_a_repeated_one_by_its_initiator_and_its_tag() {
        let (resolver, _registry, _answers) = start(unhurried());
        let (now, peer) = (Instant::now(), PeerId([1; 32]));
        let tagged = |number: u16, tag: u8| Lookup { tag: SmallVec::from_slice(&[tag]), ..lookup(number) };
        let ask = |lookup: Lookup| resolver.ask(now, request(0, 1), peer, &lookup);
        assert_eq!(ask(tagged(1, 1)), Asked::Called);
        assert_eq!(ask(tagged(1, 2)), Asked::Joined, "the initiator looks the peer up twice");
        assert_eq!(ask(tagged(2, 1)), Asked::Joined, "another initiator has the same tag");
        for lookup in [tagged(1, 1), tagged(1, 2), tagged(2, 1)] {
            assert_eq!(ask(lookup), Asked::Repeated);
        }
    }

    #[test]
    fn only_an_unknown_peer_is_remembered() {
        let (resolver, registry, answers) = start(unhurried());
        let (now, peer) = (Instant::now(), PeerId([1; 32]));
        let found = Ok(Some(vec![TaggedAddress::new(([192, 0, 2, 9], 9).into(), Origin::Relay)]));
        for answer in [found, Err(RegistryError::Full)] {
            assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Called);
            registry.calls.lock().unwrap().pop().unwrap().1.send(answer).unwrap();
            answers.next();
        }
        assert_eq!(resolver.ask(now, request(0, 1), peer, &lookup(1)), Asked::Called);
    }

    #[test]
    fn dropping_the_resolver_gives_up_the_calls_under_way() {
        let (resolver, registry, _answers) = start(unhurried());
        assert_eq!(resolver.timeout(), TIMEOUT);
        for number in 1..=2 {
            let asked = resolver.ask(Instant::now(), request(0, 1), PeerId([number; 32]), &lookup(1));
            assert_eq!(asked, Asked::Called);
        }
        let given_up = || registry.calls.lock().unwrap().iter().filter(|(_, answer)| answer.is_closed()).count();
        assert_eq!(given_up(), 0);
        drop(resolver);
        assert_eq!(given_up(), 2);
    }

    #[test]
    fn what_the_registry_answers_at_once_is_no_call() {
        let replies = Arc::new(Replies::new(1, |_| ()));
        let registry = introd_policy::registry::InMemory::default();
        let address = TaggedAddress::new(([192, 0, 2, 9], 9).into(), Origin::Relay);
        registry.publish(PeerId([1; 32]), &[address]).unwrap();
        let resolver = Resolver::start(Arc::new(registry), unhurried(), replies).unwrap();
        let ask = |peer| resolver.ask(Instant::now(), request(0, 1), PeerId([peer; 32]), &lookup(1));
        assert_eq!(ask(1), Asked::Now(Resolution::Found([address].into())));
        assert_eq!(ask(2), Asked::Now(Resolution::Unknown));
        assert_eq!(resolver.calls(), 0);
    }
}

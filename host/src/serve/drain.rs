//! A drain: the server takes no new sessions, serves the clients that it has, and ends when the last of them is gone or at a deadline.
//!
//! The administration begins and cancels it, each worker heeds it as soon as it is woken, and the main thread looks whether it is over. While it
//! lasts, hellos to the server are redirected to other servers or not answered ([`rtmfp::Greeting`]); handshakes under way may finish.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rtmfp::{Greeting, Origin, TaggedAddress};
use tokio::sync::watch;

/// A drain lasts at least this long, unless its deadline is sooner: a handshake that was under way when it began has time to become a
/// client, with a packet of it lost and sent again.
const MIN_TIME: Duration = Duration::from_secs(3);
/// The longest time until the deadline of a drain.
pub const MAX_DRAIN_TIME: Duration = Duration::from_secs(30 * 86_400);
/// The most servers that new clients are sent to. RFC 7016 §3.5.1.1.1 lets an initiator ignore more than 24.
pub const MAX_DRAIN_ADDRESSES: usize = 16;

/// What an administrator wants of a drain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainRequest {
    /// The addresses of the servers that new clients are sent to. Without any, their hellos are not answered.
    pub to: Vec<SocketAddr>,
    /// After this time the server stops, whatever clients it has; `None`: it waits for the last one.
    pub deadline: Option<Duration>,
}

/// Why a drain is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainRefused {
    /// There are too many addresses.
    #[error("give at most {MAX_DRAIN_ADDRESSES} addresses")]
    TooManyAddresses,
    /// No server can have that address.
    #[error("no server can be reached at {0}")]
    NoAddress(SocketAddr),
    /// The address is the server's own.
    #[error("{0} is an address of this server itself")]
    OwnAddress(SocketAddr),
    /// The deadline is now, or too far away.
    #[error("a deadline is more than 0 seconds and at most {} seconds away", MAX_DRAIN_TIME.as_secs())]
    Deadline,
}

/// A drain that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOrder {
    /// When it began.
    pub since: SystemTime,
    /// When the server stops in any case.
    pub until: Option<SystemTime>,
    /// The servers that new clients are sent to.
    pub to: Arc<[SocketAddr]>,
    begun: Instant,
    deadline: Option<Instant>,
}

/// The clients of one worker. Each has a cache line of its own, so that workers do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct OfWorker(AtomicUsize);

/// The drain of a server, if there is one.
pub struct Drain {
    order: watch::Sender<Option<Arc<DrainOrder>>>,
    clients: Box<[OfWorker]>,
    /// Wakes a worker. One that is not woken looks at its next turn, at most a second later.
    wake: Box<dyn Fn(u8) + Send + Sync>,
}

impl DrainRequest {
    /// Checks a request; `own` are the addresses of this server.
    ///
    /// # Errors
    /// If no drain can be made of it.
    pub fn check(&self, own: &[SocketAddr]) -> Result<(), DrainRefused> {
        if self.to.len() > MAX_DRAIN_ADDRESSES {
            return Err(DrainRefused::TooManyAddresses);
        }
        for address in &self.to {
            let ip = address.ip().to_canonical();
            let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast {
                return Err(DrainRefused::NoAddress(*address));
            }
            if own.contains(&SocketAddr::new(ip, address.port())) {
                return Err(DrainRefused::OwnAddress(*address));
            }
        }
        match self.deadline {
            Some(deadline) if deadline.is_zero() || deadline > MAX_DRAIN_TIME => Err(DrainRefused::Deadline),
            _ => Ok(()),
        }
    }
}

impl Drain {
    /// For a server with that many workers, each of which `wake` wakes.
    pub fn new(workers: usize, wake: impl Fn(u8) + Send + Sync + 'static) -> Self {
        let clients = (0..workers).map(|_| OfWorker::default()).collect();
        Self { order: watch::Sender::new(None), clients, wake: Box::new(wake) }
    }

    /// Begins a drain. If one is under way already, the request replaces its addresses and its deadline.
    pub fn begin(&self, now: Instant, wall: SystemTime, request: &DrainRequest) -> Arc<DrainOrder> {
        let earlier = self.order().map(|order| (order.since, order.begun));
        let (since, begun) = earlier.unwrap_or((wall, now));
        let order = Arc::new(DrainOrder {
            since,
            until: request.deadline.and_then(|time| wall.checked_add(time)),
            to: request.to.iter().copied().collect(),
            begun,
            deadline: request.deadline.and_then(|time| now.checked_add(time)),
        });
        self.set(Some(Arc::clone(&order)));
        tracing::info!(
            to = ?order.to,
            deadline_seconds = request.deadline.map(|time| time.as_secs_f64()),
            clients = self.left(),
            "the server drains: it takes no new clients, and stops when the last one is gone"
        );
        order
    }

    /// Ends a drain: the server takes new clients again. False if there was none.
    pub fn cancel(&self) -> bool {
        let was_draining = self.set(None).is_some();
        if was_draining {
            tracing::info!(clients = self.left(), "the drain is cancelled: the server takes new clients again");
        }
        was_draining
    }

    /// The drain that is under way.
    pub fn order(&self) -> Option<Arc<DrainOrder>> {
        self.order.borrow().clone()
    }

    /// The clients that the server has, and the sessions that ask to be clients: as the workers last reported, at most a second ago.
    pub fn left(&self) -> usize {
        self.clients.iter().map(|worker| worker.0.load(Ordering::Relaxed)).sum()
    }

    /// Whether the server is to stop now because a drain is over.
    pub fn is_over(&self, now: Instant) -> bool {
        self.order.borrow().as_ref().is_some_and(|order| {
            let is_late = order.deadline.is_some_and(|deadline| now >= deadline);
            is_late || (self.left() == 0 && now.saturating_duration_since(order.begun) >= MIN_TIME)
        })
    }

    fn set(&self, order: Option<Arc<DrainOrder>>) -> Option<Arc<DrainOrder>> {
        let earlier = self.order.send_replace(order);
        (0u8..).zip(&self.clients).for_each(|(worker, _)| (self.wake)(worker));
        earlier
    }

    /// What a worker watches.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<DrainOrder>>> {
        self.order.subscribe()
    }

    /// Notes how many clients a worker has.
    pub(super) fn report(&self, worker: u8, clients: usize) {
        let Some(own) = self.clients.get(usize::from(worker)) else { return };
        if own.0.load(Ordering::Relaxed) != clients {
            own.0.store(clients, Ordering::Relaxed);
        }
    }
}

/// How a worker answers hellos to the server.
pub(super) fn greeting(order: Option<&DrainOrder>) -> Greeting {
    let elsewhere =
        |order: &DrainOrder| order.to.iter().map(|address| TaggedAddress::new(*address, Origin::Relay)).collect();
    order.map_or(Greeting::Respond, |order| Greeting::TurnAway(elsewhere(order)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(deadline: Option<u64>) -> DrainRequest {
        DrainRequest { to: Vec::new(), deadline: deadline.map(Duration::from_secs) }
    }

    fn begin(drain: &Drain, now: Instant, deadline: Option<u64>) -> Arc<DrainOrder> {
        drain.begin(now, SystemTime::UNIX_EPOCH, &request(deadline))
    }

    #[test]
    fn every_worker_is_woken_when_something_changes_and_sees_it_then() {
        let (woken, workers) = std::sync::mpsc::channel();
        let drain = Drain::new(3, move |worker| woken.send(worker).unwrap());
        let mut watch = drain.watch();
        assert!(!watch.has_changed().unwrap());
        let order = begin(&drain, Instant::now(), None);
        assert_eq!(workers.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(watch.has_changed().unwrap() && watch.borrow_and_update().as_ref() == Some(&order));
        drain.cancel();
        assert_eq!(workers.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(watch.has_changed().unwrap() && watch.borrow_and_update().is_none());
    }

    #[test]
    fn it_is_over_when_no_worker_has_clients_and_handshakes_have_had_their_time() {
        let (drain, now) = (Drain::new(2, |_| ()), Instant::now());
        assert!(!drain.is_over(now + 10 * MIN_TIME), "there is none");
        drain.report(0, 2);
        drain.report(1, 1);
        begin(&drain, now, None);
        assert_eq!(drain.left(), 3);
        assert!(!drain.is_over(now + Duration::from_secs(1_000_000)));
        drain.report(0, 0);
        assert!(!drain.is_over(now + Duration::from_secs(1_000_000)));
        drain.report(1, 0);
        assert!(drain.is_over(now + MIN_TIME) && !drain.is_over(now + MIN_TIME - Duration::from_nanos(1)));
        // There is no such worker.
        drain.report(2, 5);
        assert_eq!(drain.left(), 0);
    }

    #[test]
    fn it_is_over_at_its_deadline_whatever_clients_there_are() {
        let (drain, now) = (Drain::new(1, |_| ()), Instant::now());
        drain.report(0, 7);
        let order = begin(&drain, now, Some(60));
        assert_eq!(order.until, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
        let last = now + Duration::from_secs(60) - Duration::from_nanos(1);
        assert!(!drain.is_over(last) && drain.is_over(now + Duration::from_secs(60)));
        begin(&drain, now + Duration::from_secs(59), Some(60));
        assert!(!drain.is_over(now + Duration::from_secs(60)), "the second deadline is later");
        // A deadline may be sooner than the time for handshakes.
        begin(&drain, now, Some(1));
        assert!(drain.is_over(now + Duration::from_secs(1)));
    }

    #[test]
    fn another_request_replaces_addresses_and_deadline_and_a_cancelled_one_leaves_nothing() {
        let (drain, now) = (Drain::new(1, |_| ()), Instant::now());
        let first = begin(&drain, now, Some(60));
        let later = DrainRequest { to: vec!["192.0.2.7:1935".parse().unwrap()], deadline: None };
        let second = drain.begin(now + MIN_TIME, SystemTime::UNIX_EPOCH + MIN_TIME, &later);
        assert_eq!((second.since, second.until, &*second.to), (first.since, None, &later.to[..]));
        assert_eq!(drain.order(), Some(second));
        assert!(drain.is_over(now + MIN_TIME), "it counts from the first");
        assert!(drain.cancel() && drain.order().is_none() && !drain.is_over(now + 2 * MIN_TIME));
        assert!(!drain.cancel(), "there is none any more");
    }

    #[test]
    fn what_makes_no_drain_is_refused() {
        let own: SocketAddr = "198.51.100.1:1935".parse().unwrap();
        let check = |to: &[&str], deadline: Option<Duration>| {
            let to = to.iter().map(|address| address.parse().unwrap()).collect();
            DrainRequest { to, deadline }.check(&[own])
        };
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        assert_eq!(check(&[], None), Ok(()));
        assert_eq!(check(&["198.51.100.1:1936", "[2001:db8::1]:1935"], Some(MAX_DRAIN_TIME)), Ok(()));
        assert_eq!(check(&["192.0.2.1:1"; MAX_DRAIN_ADDRESSES], Some(Duration::from_millis(1))), Ok(()));
        assert_eq!(check(&["192.0.2.1:1"; MAX_DRAIN_ADDRESSES + 1], None), Err(DrainRefused::TooManyAddresses));
        for bad in
            ["192.0.2.1:0", "0.0.0.0:1935", "[::]:1935", "224.0.0.1:1935", "255.255.255.255:1935", "[ff02::1]:1935"]
        {
            assert_eq!(check(&[bad], None), Err(DrainRefused::NoAddress(at(bad))), "{bad}");
        }
        for own in ["198.51.100.1:1935", "[::ffff:198.51.100.1]:1935"] {
            assert_eq!(check(&["192.0.2.1:1", own], None), Err(DrainRefused::OwnAddress(at(own))), "{own}");
        }
        for bad in [Duration::ZERO, MAX_DRAIN_TIME + Duration::from_nanos(1)] {
            assert_eq!(check(&[], Some(bad)), Err(DrainRefused::Deadline), "{bad:?}");
        }
    }

    #[test]
    fn hellos_are_answered_unless_there_is_a_drain() {
        let (drain, now) = (Drain::new(1, |_| ()), Instant::now());
        assert_eq!(greeting(None), Greeting::Respond);
        let to: SocketAddr = "192.0.2.7:1935".parse().unwrap();
        let order = drain.begin(now, SystemTime::UNIX_EPOCH, &DrainRequest { to: vec![to], deadline: None });
        assert_eq!(greeting(Some(&order)), Greeting::TurnAway(Arc::from([TaggedAddress::new(to, Origin::Relay)])));
        let order = begin(&drain, now, None);
        assert_eq!(greeting(Some(&order)), Greeting::TurnAway(Arc::from([])));
    }
}

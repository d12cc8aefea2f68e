//! When a member announces itself, and what it makes of the datagrams that come.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::{PeerId, Rate, TokenBucket};

use super::announcement::{ANNOUNCEMENT_LEN, Announcement, AnnouncementKey, NotAnnounced};
use super::counters::DiscoveryCounters;
use super::memory::Memory;
use crate::groupspec::{Groupspec, MulticastAddress, kind};
use crate::jitter::varied;

/// How many multicast addresses of a groupspec are used. Those after them are left out.
pub const MAX_ADDRESSES: usize = 4;
/// The time between two announcements, but for the variation of a quarter. At first they come after one second, two, four and so on.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// The first announcement comes within this time, so that members that start together do not all announce themselves at once.
const FIRST_WITHIN: Duration = Duration::from_millis(500);
/// How many datagrams that claim to be of the group are checked. In a group of a thousand members that has lasted for a while, 33 come in a
/// second.
const RATE: Rate = Rate { burst: 1000, per_second: 200 };
/// If the clock was set back by more than this, its new time is what counts.
const SET_BACK: u64 = 1000;

/// The discovery of one membership.
#[derive(Debug)]
pub struct Discovery {
    key: AnnouncementKey,
    near: PeerId,
    addresses: Box<[MulticastAddress]>,
    /// What the times of the rate count from.
    epoch: Instant,
    rate: TokenBucket,
    /// When this member announces itself next.
    next: Instant,
    /// How often it has announced itself.
    announced: u32,
    /// The time in the last announcement.
    last_sent: u64,
    memory: Memory,
    counters: DiscoveryCounters,
    rng: ChaCha8Rng,
}

/// The multicast addresses at which members of a group announce themselves: none, if the groupspec does not ask for it. It needs
/// `ipMulticastMemberUpdatesEnabled` and an address (`addIPMulticastAddress`), and members that connect to each other.
pub fn wanted_addresses(group: &Groupspec) -> Box<[MulticastAddress]> {
    let is_wanted = group.has(kind::IP_MULTICAST_MEMBER_UPDATES) && !group.has(kind::PEER_TO_PEER_DISABLED);
    let count = if is_wanted { MAX_ADDRESSES } else { 0 };
    group.multicast_addresses().take(count).collect()
}

impl Discovery {
    /// The discovery of the member `near` of a group. `None` if the groupspec does not ask for it ([`wanted_addresses`]). The
    /// seed is for choices that others should not foresee.
    pub fn new(now: Instant, group: &Groupspec, near: PeerId, seed: [u8; 32]) -> Option<Self> {
        let addresses = wanted_addresses(group);
        if addresses.is_empty() {
            return None;
        }
        let mut rng = ChaCha8Rng::from_seed(seed);
        let first = FIRST_WITHIN.mul_f64((rng.next_u64() % 1024) as f64 / 1024.0);
        Some(Self {
            key: AnnouncementKey::new(group),
            near,
            addresses,
            epoch: now,
            rate: TokenBucket::default(),
            next: now + first,
            announced: 0,
            last_sent: 0,
            memory: Memory::default(),
            counters: DiscoveryCounters::default(),
            rng,
        })
    }

    /// The multicast addresses, at which to listen and to which to announce.
    pub fn addresses(&self) -> &[MulticastAddress] {
        &self.addresses
    }

    /// When to call [`Discovery::begin_round`].
    pub fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Whether this member is to announce itself now, at all of its addresses: if so, [`Discovery::announcement`] makes what to send.
    pub fn begin_round(&mut self, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        let wait = Duration::from_secs(1 << self.announced.min(5)).min(INTERVAL);
        self.announced = self.announced.saturating_add(1);
        self.next = now + varied(wait, self.rng.next_u64());
        true
    }

    /// The announcement to send from the IP address of `own`, whose port is that at which this member is reached. `unix` is the time in
    /// milliseconds since 1970. Each announcement is later than the one before.
    pub fn announcement(&mut self, unix: u64, own: SocketAddr) -> [u8; ANNOUNCEMENT_LEN] {
        let is_set_back = self.last_sent.saturating_sub(unix) > SET_BACK;
        self.last_sent = if is_set_back { unix } else { unix.max(self.last_sent.saturating_add(1)) };
        let announcement = Announcement { sent: self.last_sent, peer: self.near, port: own.port() };
        self.counters.sent += 1;
        self.key.write(&announcement, own.ip())
    }

    /// A datagram has come to the multicast address of this number. Returns the member that has announced itself, and the address at which
    /// it is. `unix` is the time in milliseconds since 1970.
    pub fn receive(
        &mut self,
        now: Instant,
        unix: u64,
        via: usize,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<(PeerId, SocketAddr)> {
        let source: Option<IpAddr> = self.addresses.get(via).and_then(|address| address.source);
        if source.is_some_and(|source| source != from.ip().to_canonical()) || !self.key.claims(datagram) {
            self.counters.foreign += 1;
            return None;
        }
        if !self.rate.take(now.saturating_duration_since(self.epoch), RATE, 1) {
            self.counters.over_rate += 1;
            return None;
        }
        let announcement = match self.key.read(datagram, from.ip()) {
            Ok(announcement) => announcement,
            Err(NotAnnounced::Foreign) => {
                self.counters.foreign += 1;
                return None;
            }
            Err(NotAnnounced::Forged) => {
                self.counters.forged += 1;
                return None;
            }
        };
        // The network gives a member its own datagrams as well.
        if announcement.peer == self.near {
            return None;
        }
        let mut address = from;
        address.set_port(announcement.port);
        if !self.memory.is_new(unix, announcement.peer, address, announcement.sent) {
            self.counters.replayed += 1;
            return None;
        }
        self.counters.accepted += 1;
        Some((announcement.peer, address))
    }

    /// What was sent and what came since the last call.
    pub fn take_counters(&mut self) -> DiscoveryCounters {
        std::mem::take(&mut self.counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groupspec::GroupSpecifier;

    const UNIX: u64 = 1_700_000_000_000;
    const V4: &str = "224.0.0.254:30000";
    const V6: &str = "[ff02::fe]:30000";

    fn spec(name: &str, addresses: &[(&str, Option<&str>)]) -> GroupSpecifier {
        let mut spec = GroupSpecifier::new(name).unwrap();
        spec.ip_multicast_member_updates_enabled = true;
        for (address, source) in addresses {
            let source = source.map(|source| source.parse().unwrap());
            spec.add_ip_multicast_address(address.parse().unwrap(), source).unwrap();
        }
        spec
    }

    fn discovery(now: Instant, group: &GroupSpecifier, number: u8) -> Option<Discovery> {
        Discovery::new(now, &group.with_authorizations().unwrap(), PeerId([number; 32]), [number; 32])
    }

    fn member(now: Instant, number: u8) -> Discovery {
        discovery(now, &spec("g", &[(V4, None), (V6, None)]), number).unwrap()
    }

    fn own(number: u8) -> [SocketAddr; 2] {
        [([192, 0, 2, number], 1936).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)], 1937).into()]
    }

    /// The address from which a datagram comes: any port.
    fn from(own: SocketAddr) -> SocketAddr {
        SocketAddr::new(own.ip(), 50_000)
    }

    #[test]
    fn only_a_groupspec_that_asks_for_it_gets_it() {
        let now = Instant::now();
        assert!(discovery(now, &spec("g", &[(V4, None)]), 1).is_some());
        assert!(discovery(now, &spec("g", &[]), 1).is_none(), "no address");
        let mut without = spec("g", &[(V4, None)]);
        without.ip_multicast_member_updates_enabled = false;
        assert!(discovery(now, &without, 1).is_none(), "not enabled");
        let mut alone = spec("g", &[(V4, None)]);
        alone.peer_to_peer_disabled = true;
        assert!(discovery(now, &alone, 1).is_none(), "members do not connect to each other");
        let five = spec("g", &[(V4, None); 5]);
        assert_eq!(discovery(now, &five, 1).unwrap().addresses().len(), MAX_ADDRESSES);
    }

    #[test]
    fn a_member_is_heard_in_both_families_with_its_address_and_the_port_it_names() {
        let now = Instant::now();
        let (mut a, mut b) = (member(now, 1), member(now, 2));
        for (via, own) in own(1).into_iter().enumerate() {
            let said = a.announcement(UNIX, own);
            assert_eq!(b.receive(now, UNIX, via, from(own), &said), Some((PeerId([1; 32]), own)));
            assert_eq!(b.receive(now, UNIX, via, from(own), &said), None, "once");
        }
        let counted = DiscoveryCounters { accepted: 2, replayed: 2, ..DiscoveryCounters::default() };
        assert_eq!(b.take_counters(), counted);
        assert_eq!(b.take_counters(), DiscoveryCounters::default());
        assert_eq!(a.take_counters(), DiscoveryCounters { sent: 2, ..DiscoveryCounters::default() });
        // The scope of a link-local address is that of the interface at which it came.
        let link_local: SocketAddr = "[fe80::1%7]:50000".parse().unwrap();
        let said = a.announcement(UNIX, "[fe80::1%3]:1937".parse().unwrap());
        assert_eq!(b.receive(now, UNIX, 1, link_local, &said).unwrap().1, "[fe80::1%7]:1937".parse().unwrap());
    }

    #[test]
    fn own_datagrams_come_back_and_are_nothing() {
        let now = Instant::now();
        let mut a = member(now, 1);
        let said = a.announcement(UNIX, own(1)[0]);
        a.take_counters();
        assert_eq!(a.receive(now, UNIX, 0, from(own(1)[0]), &said), None);
        assert_eq!(a.take_counters(), DiscoveryCounters::default());
    }

    #[test]
    fn what_is_not_proven_or_not_now_is_not_believed_and_counted() {
        let now = Instant::now();
        let (mut a, mut b) = (member(now, 1), member(now, 2));
        let mut other = discovery(now, &spec("h", &[(V4, None)]), 1).unwrap();
        let own = own(1)[0];
        let mut changed = a.announcement(UNIX, own);
        changed[60] ^= 1;
        let elsewhere = a.announcement(UNIX, own);
        let early = a.announcement(UNIX, own);
        let foreign = other.announcement(UNIX, own);
        for (unix, source, said) in [
            (UNIX, own, &changed[..]),
            (UNIX, "192.0.2.9:1".parse().unwrap(), &elsewhere),
            (UNIX + 200_000, own, &early),
            (UNIX - 200_000, own, &early),
            (UNIX, own, &foreign),
            (UNIX, own, &early[..40]),
            (UNIX, own, b""),
        ] {
            assert_eq!(b.receive(now, unix, 0, source, said), None);
        }
        let counted = DiscoveryCounters { forged: 2, replayed: 2, foreign: 3, ..DiscoveryCounters::default() };
        assert_eq!(b.take_counters(), counted);
    }

    #[test]
    fn with_a_source_only_that_is_heard() {
        let now = Instant::now();
        let group = spec("g", &[("232.1.1.1:7", Some("192.0.2.1")), (V4, None)]);
        let (mut a, mut b) = (discovery(now, &group, 1).unwrap(), discovery(now, &group, 2).unwrap());
        let elsewhere = own(3)[0];
        let said = a.announcement(UNIX, elsewhere);
        assert_eq!(b.receive(now, UNIX, 0, from(elsewhere), &said), None);
        assert_eq!(b.take_counters().foreign, 1);
        assert!(b.receive(now, UNIX, 1, from(elsewhere), &said).is_some(), "the other address has no source");
        let said = a.announcement(UNIX, own(1)[0]);
        assert!(b.receive(now, UNIX, 0, "[::ffff:192.0.2.1]:5".parse().unwrap(), &said).is_some());
    }

    #[test]
    fn a_flood_is_checked_at_a_bounded_rate_and_what_is_foreign_does_not_count() {
        let now = Instant::now();
        let (mut a, mut b) = (member(now, 1), member(now, 2));
        let own = own(1)[0];
        let mut forged = a.announcement(UNIX, own);
        forged[80] ^= 1;
        for _ in 0..10_000 {
            assert_eq!(b.receive(now, UNIX, 0, from(own), &forged), None);
            assert_eq!(b.receive(now, UNIX, 0, from(own), b"something else"), None);
        }
        let counted =
            DiscoveryCounters { forged: 1000, over_rate: 9000, foreign: 10_000, ..DiscoveryCounters::default() };
        assert_eq!(b.take_counters(), counted);
        let said = a.announcement(UNIX, own);
        assert_eq!(b.receive(now, UNIX, 0, from(own), &said), None, "the members are heard again when it is over");
        assert!(b.receive(now + Duration::from_millis(5), UNIX, 0, from(own), &said).is_some());
    }

    #[test]
    fn a_newcomer_announces_itself_often_and_then_rarely() {
        let start = Instant::now();
        let mut a = member(start, 1);
        let mut times = Vec::new();
        for _ in 0..12 {
            let due = a.poll_timeout();
            assert!(!a.begin_round(due - Duration::from_nanos(1)));
            assert!(a.begin_round(due));
            assert!(!a.begin_round(due));
            times.push(due);
        }
        assert!(times[0] - start <= FIRST_WITHIN);
        let waits: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        for (wait, usual) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0].into_iter().chain(std::iter::repeat(30.0))) {
            assert!((0.75 * usual..=1.25 * usual).contains(wait), "{wait} {usual}");
        }
        // Others do it at other times.
        let firsts: std::collections::BTreeSet<_> =
            (1..20).map(|number| member(start, number).poll_timeout()).collect();
        assert!(firsts.len() > 15);
    }

    #[test]
    fn each_announcement_is_later_than_the_one_before_unless_the_clock_is_set_back() {
        let now = Instant::now();
        let (mut a, mut b) = (member(now, 1), member(now, 2));
        let own = own(1)[0];
        let mut hear = |unix: u64, theirs: u64| {
            let said = a.announcement(unix, own);
            b.receive(now, theirs, 0, from(own), &said).is_some()
        };
        assert!(hear(UNIX, UNIX) && hear(UNIX, UNIX) && hear(UNIX - 500, UNIX));
        // An hour back: it is heard again as soon as the clock of the other is right as well.
        let hour = 3_600_000;
        assert!(!hear(UNIX - hour, UNIX) && !hear(UNIX - hour, UNIX - hour));
        assert!(hear(UNIX + 10_000, UNIX + 10_000));
    }
}

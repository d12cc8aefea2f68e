//! Limits attempts to connect at addresses that other members name.
//!
//! A neighbour may name any number of invented members at the address of a victim, and each would be tried. So few members are tried at
//! an address from which no answer has come, and few ports of it. A member that is really there can still be reached through its
//! server, which names only addresses that it believes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rtmfp::{Origin, TaggedAddress};

/// How many members are tried at an address from which no answer has come.
const MAX_UNANSWERED: u8 = 4;
/// The time after which the attempts at an address are forgotten.
const WINDOW: Duration = Duration::from_secs(300);
/// How many addresses are remembered. Beyond that the oldest are forgotten.
const MAX_HOSTS: usize = 512;
/// How many ports of one address are tried for a member.
const MAX_PORTS: usize = 2;
/// How many addresses with their ports are tried for a member.
const MAX_ADDRESSES: usize = 8;

/// The addresses at which members were tried.
#[derive(Debug, Default)]
pub(super) struct AttemptLimiter(BTreeMap<IpAddr, Attempts>);

#[derive(Debug)]
struct Attempts {
    count: u8,
    /// When the attempts are forgotten.
    until: Instant,
}

impl AttemptLimiter {
    /// The addresses at which to try a member now, among those that others name for it. They count as tried.
    pub(super) fn take(&mut self, now: Instant, named: &[TaggedAddress]) -> Vec<TaggedAddress> {
        let mut taken: Vec<TaggedAddress> = Vec::new();
        let mut refused: Vec<IpAddr> = Vec::new();
        for address in named {
            let ip = address.address.ip().to_canonical();
            let ports = taken.iter().filter(|known| known.address.ip().to_canonical() == ip).count();
            let is_known = taken.iter().any(|known| known.address == address.address);
            if taken.len() >= MAX_ADDRESSES || is_known || ports >= MAX_PORTS || refused.contains(&ip) {
                continue;
            }
            // A server has one address for all of its clients.
            if ports == 0 && address.origin != Origin::Relay && !self.permit(now, ip) {
                refused.push(ip);
                continue;
            }
            taken.push(*address);
        }
        taken
    }

    /// A peer at this address has answered.
    pub(super) fn answered(&mut self, ip: IpAddr) {
        self.0.remove(&ip.to_canonical());
    }

    fn permit(&mut self, now: Instant, ip: IpAddr) -> bool {
        // It is this host.
        if ip.is_loopback() {
            return true;
        }
        if self.0.len() >= MAX_HOSTS && !self.0.contains_key(&ip) {
            self.0.retain(|_, attempts| attempts.until > now);
            let oldest = self.0.iter().min_by_key(|(_, attempts)| attempts.until).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= MAX_HOSTS) {
                self.0.remove(&oldest);
            }
        }
        let attempts = self.0.entry(ip).or_insert(Attempts { count: 0, until: now + WINDOW });
        if attempts.until <= now {
            *attempts = Attempts { count: 0, until: now + WINDOW };
        }
        let permits = attempts.count < MAX_UNANSWERED;
        attempts.count += u8::from(permits);
        permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, origin: Origin) -> TaggedAddress {
        TaggedAddress::new(text.parse().unwrap(), origin)
    }

    #[test]
    fn neighbours_cannot_aim_members_at_a_victim() {
        let start = Instant::now();
        let mut limiter = AttemptLimiter::default();
        // Two hundred invented members, each at sixteen ports of one host.
        let ports: Vec<_> = (1..=16).map(|port| address(&format!("198.51.100.9:{port}"), Origin::Observed)).collect();
        let tried: usize = (0..200).map(|_| limiter.take(start, &ports).len()).sum();
        assert_eq!(tried, usize::from(MAX_UNANSWERED) * MAX_PORTS);
        assert_eq!(limiter.take(start + WINDOW, &ports).len(), MAX_PORTS, "and again some minutes later");
        // Real members behind one NAT.
        for _ in 0..200 {
            assert_eq!(limiter.take(start, &[address("203.0.113.5:5", Origin::Observed)]).len(), 1);
            limiter.answered("::ffff:203.0.113.5".parse().unwrap());
        }
    }

    #[test]
    fn a_server_is_asked_for_all_its_clients() {
        let mut limiter = AttemptLimiter::default();
        let named = [address("198.51.100.1:1935", Origin::Relay), address("203.0.113.5:5", Origin::Observed)];
        let taken: Vec<_> = (0..100).map(|_| limiter.take(Instant::now(), &named).len()).collect();
        assert_eq!(taken[..4], [2; 4]);
        assert!(taken[4..].iter().all(|taken| *taken == 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut limiter = AttemptLimiter::default();
        for host in 0..10_000u32 {
            limiter.take(Instant::now(), &[TaggedAddress::new((host.to_be_bytes(), 5).into(), Origin::Observed)]);
            assert!(limiter.0.len() <= MAX_HOSTS);
        }
    }

    #[test]
    fn a_member_is_tried_at_few_addresses_and_at_each_once() {
        let mut limiter = AttemptLimiter::default();
        let many: Vec<_> = (1..=20).map(|host| address(&format!("198.51.100.{host}:5"), Origin::Observed)).collect();
        assert_eq!(limiter.take(Instant::now(), &many), many[..MAX_ADDRESSES]);
        let relays: Vec<_> = (1..=20).map(|host| address(&format!("192.0.2.{host}:5"), Origin::Relay)).collect();
        assert_eq!(limiter.take(Instant::now(), &relays), relays[..MAX_ADDRESSES]);
        let twice = [address("203.0.113.1:5", Origin::Relay), address("203.0.113.1:5", Origin::Observed)];
        assert_eq!(limiter.take(Instant::now(), &twice), twice[..1]);
    }

    #[test]
    fn of_too_many_hosts_those_whose_time_is_over_are_forgotten_and_else_the_oldest() {
        let start = Instant::now();
        let at = |number: usize| start + Duration::from_millis(number as u64);
        let named = |host: usize| [TaggedAddress::new(((host as u32).to_be_bytes(), 5).into(), Origin::Observed)];
        let mut limiter = AttemptLimiter::default();
        // Hosts that have had all their attempts.
        for host in 1..=MAX_HOSTS {
            (0..MAX_UNANSWERED).for_each(|_| assert_eq!(limiter.take(at(host), &named(host)).len(), 1));
        }
        // One that is remembered is no reason to forget another.
        let now = at(MAX_HOSTS);
        assert!(limiter.take(now, &named(2)).is_empty());
        assert_eq!(limiter.0.len(), MAX_HOSTS);
        // A newcomer takes the place of the oldest.
        assert_eq!(limiter.take(now, &named(MAX_HOSTS + 1)).len(), 1);
        assert_eq!(limiter.0.len(), MAX_HOSTS);
        assert!(limiter.take(now, &named(2)).is_empty());
        assert_eq!(limiter.take(now, &named(1)).len(), 1, "it was forgotten, and now another is");
        // When the time of some is over, they go and the others stay.
        let later = at(100) + WINDOW;
        assert_eq!(limiter.take(later, &named(MAX_HOSTS + 2)).len(), 1);
        assert_eq!(limiter.0.len(), MAX_HOSTS - 100 + 2 + 1);
        assert!(limiter.take(later, &named(101)).is_empty());
        assert_eq!(limiter.take(at(101) + WINDOW, &named(101)).len(), 1);
        (1..MAX_UNANSWERED).for_each(|_| assert_eq!(limiter.take(at(101) + WINDOW, &named(101)).len(), 1));
        assert!(limiter.take(at(100) + 2 * WINDOW, &named(101)).is_empty(), "for another while");
    }

    #[test]
    fn a_host_has_one_bound_in_both_spellings_of_its_address() {
        let (mut limiter, now) = (AttemptLimiter::default(), Instant::now());
        let mut tried = |text: &str| -> usize {
            let named = [address(text, Origin::Observed)];
            (0..10).map(|_| limiter.take(now, &named).len()).sum()
        };
        assert_eq!([tried("198.51.100.9:1"), tried("[::ffff:198.51.100.9]:2")], [usize::from(MAX_UNANSWERED), 0]);
        // What has just been refused is not tried as a server either.
        let named = [address("198.51.100.9:1", Origin::Observed), address("198.51.100.9:2", Origin::Relay)];
        assert_eq!(limiter.take(now, &named), []);
        // This host itself is no victim.
        let own = [address("127.0.0.1:5", Origin::Observed)];
        assert_eq!((0..20).map(|_| limiter.take(now, &own).len()).sum::<usize>(), 20);
    }
}

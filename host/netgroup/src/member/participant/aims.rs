//! Where strangers say that members are.
//!
//! A neighbour may tell of any number of members that there are not, all at the address of a victim, and each would be tried. So
//! few members are tried at an address that nobody has answered from, and few ports of it. A member that is there can still be
//! reached by way of its server, which names only addresses that it believes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rtmfp::{Origin, TaggedAddress};

/// How many members are tried at an address from which none has answered.
const MAX_UNANSWERED: u8 = 4;
/// In which time; then it is tried again.
const WINDOW: Duration = Duration::from_secs(300);
/// How many addresses are remembered; the longest known are forgotten first.
const MAX_HOSTS: usize = 512;
/// How many ports of one address are tried for a member, and how many addresses and ports in all.
const MAX_PORTS: usize = 2;
const MAX_ADDRESSES: usize = 8;

/// The addresses where members were tried.
#[derive(Debug, Default)]
pub(super) struct Aims(BTreeMap<IpAddr, Aim>);

#[derive(Debug)]
struct Aim {
    attempts: u8,
    /// When the attempts are forgotten.
    until: Instant,
}

impl Aims {
    /// The addresses at which a member is tried now, of those that others name for it. They count as tried.
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
            // A server is asked for all of its clients; it is one address for all of them.
            if ports == 0 && address.origin != Origin::Relay && !self.permit(now, ip) {
                refused.push(ip);
                continue;
            }
            taken.push(*address);
        }
        taken
    }

    /// Somebody is there.
    pub(super) fn answered(&mut self, ip: IpAddr) {
        self.0.remove(&ip.to_canonical());
    }

    fn permit(&mut self, now: Instant, ip: IpAddr) -> bool {
        // Nobody else's host.
        if ip.is_loopback() {
            return true;
        }
        if self.0.len() >= MAX_HOSTS && !self.0.contains_key(&ip) {
            self.0.retain(|_, aim| aim.until > now);
            let oldest = self.0.iter().min_by_key(|(_, aim)| aim.until).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= MAX_HOSTS) {
                self.0.remove(&oldest);
            }
        }
        let aim = self.0.entry(ip).or_insert(Aim { attempts: 0, until: now + WINDOW });
        if aim.until <= now {
            *aim = Aim { attempts: 0, until: now + WINDOW };
        }
        let permits = aim.attempts < MAX_UNANSWERED;
        aim.attempts += u8::from(permits);
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
    fn strangers_aim_nobody_at_a_victim() {
        let start = Instant::now();
        let mut aims = Aims::default();
        // Two hundred members that there are not, each at sixteen ports of one host.
        let ports: Vec<_> = (1..=16).map(|port| address(&format!("198.51.100.9:{port}"), Origin::Observed)).collect();
        let tried: usize = (0..200).map(|_| aims.take(start, &ports).len()).sum();
        assert_eq!(tried, usize::from(MAX_UNANSWERED) * MAX_PORTS);
        assert_eq!(aims.take(start + WINDOW, &ports).len(), MAX_PORTS, "and some minutes later again");
        // Members that are there, behind one NAT.
        for _ in 0..200 {
            assert_eq!(aims.take(start, &[address("203.0.113.5:5", Origin::Observed)]).len(), 1);
            aims.answered("::ffff:203.0.113.5".parse().unwrap());
        }
    }

    #[test]
    fn a_server_is_asked_for_all_its_clients() {
        let mut aims = Aims::default();
        let named = [address("198.51.100.1:1935", Origin::Relay), address("203.0.113.5:5", Origin::Observed)];
        let taken: Vec<_> = (0..100).map(|_| aims.take(Instant::now(), &named).len()).collect();
        assert_eq!(taken[..4], [2; 4]);
        assert!(taken[4..].iter().all(|taken| *taken == 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut aims = Aims::default();
        for host in 0..10_000u32 {
            aims.take(Instant::now(), &[TaggedAddress::new((host.to_be_bytes(), 5).into(), Origin::Observed)]);
            assert!(aims.0.len() <= MAX_HOSTS);
        }
    }
}

//! Which addresses are locked out because logins from them have failed (`LoginLimits` of Server.xml).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use introd_config::LoginLimits;
use rtmfp::NetworkPrefix;

/// How many addresses are remembered. When all of them are locked out, no other address may log in: otherwise who has more addresses
/// could guess for ever.
const MAX_ADDRESSES: usize = 1024;
/// Failures that are longer ago than this do not count any more.
const MEMORY: Duration = Duration::from_secs(86_400);

/// Failed logins by the address that they came from. An IPv6 network of 64 bits counts as one address.
#[derive(Debug, Default)]
pub(super) struct Logins {
    addresses: HashMap<NetworkPrefix, Record>,
}

#[derive(Debug)]
struct Record {
    /// Failures in a row since the last lockout.
    failures: u64,
    /// Lockouts in a row.
    lockouts: u32,
    locked_until: Option<Instant>,
    last: Instant,
}

impl Record {
    fn locked_for(&self, now: Instant) -> Option<Duration> {
        self.locked_until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }
}

impl Logins {
    /// How long no login from an address is looked at any more.
    pub(super) fn locked_for(&self, now: Instant, from: IpAddr) -> Option<Duration> {
        match self.addresses.get(&NetworkPrefix::of(from)) {
            Some(record) => record.locked_for(now),
            None if self.addresses.len() < MAX_ADDRESSES => None,
            // There is no room for another address until the first lockout ends.
            None => self.addresses.values().map(|record| record.locked_for(now)).min().flatten(),
        }
    }

    /// Notes a failed login. Returns the length of the lockout, if one begins with it.
    pub(super) fn failed(&mut self, now: Instant, from: IpAddr, limits: &LoginLimits) -> Option<Duration> {
        let max_failures = limits.max_failures?;
        let from = NetworkPrefix::of(from);
        if !self.addresses.contains_key(&from) {
            self.make_room(now);
        }
        let record =
            self.addresses.entry(from).or_insert(Record { failures: 0, lockouts: 0, locked_until: None, last: now });
        if now.saturating_duration_since(record.last) > MEMORY {
            (record.failures, record.lockouts) = (0, 0);
        }
        record.last = now;
        record.failures += 1;
        if record.failures < max_failures {
            return None;
        }
        let factor = 1u32.checked_shl(record.lockouts).unwrap_or(u32::MAX);
        let time = limits.recovery_time.saturating_mul(factor).min(limits.lockout_limit);
        record.failures = 0;
        record.lockouts = (record.lockouts + 1).min(u32::BITS);
        record.locked_until = Some(now + time);
        Some(time)
    }

    /// Notes a successful login: earlier failures of the address do not count any more.
    pub(super) fn succeeded(&mut self, from: IpAddr) {
        self.addresses.remove(&NetworkPrefix::of(from));
    }

    /// Makes room for one more address: what does not count any more goes, else the address whose failure is longest ago of those that are
    /// not locked out.
    fn make_room(&mut self, now: Instant) {
        if self.addresses.len() < MAX_ADDRESSES {
            return;
        }
        self.addresses.retain(|_, record| now.saturating_duration_since(record.last) <= MEMORY);
        if self.addresses.len() < MAX_ADDRESSES {
            return;
        }
        let unlocked = self.addresses.iter().filter(|(_, record)| record.locked_for(now).is_none());
        let oldest = unlocked.min_by_key(|(_, record)| record.last).or_else(|| {
            // All are locked out: `locked_for` lets nobody else try, so that this happens only if two tried at once.
            self.addresses.iter().min_by_key(|(_, record)| record.locked_until)
        });
        if let Some(oldest) = oldest.map(|(address, _)| *address) {
            self.addresses.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limits(max_failures: Option<u64>) -> LoginLimits {
        let seconds = Duration::from_secs;
        LoginLimits { max_failures, recovery_time: seconds(30), lockout_limit: seconds(100) }
    }

    fn ip(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn each_further_lockout_is_twice_as_long_up_to_the_limit() {
        let (mut logins, mut now, limits, from) = (Logins::default(), Instant::now(), limits(Some(3)), ip(1));
        for expected in [30, 60, 100, 100] {
            let expected = Duration::from_secs(expected);
            assert_eq!(logins.locked_for(now, from), None);
            assert_eq!(logins.failed(now, from, &limits), None);
            assert_eq!(logins.failed(now, from, &limits), None);
            assert_eq!(logins.failed(now, from, &limits), Some(expected));
            assert_eq!(logins.locked_for(now, from), Some(expected));
            assert_eq!(logins.locked_for(now, ip(2)), None, "another address may log in");
            now += expected - Duration::from_secs(1);
            assert_eq!(logins.locked_for(now, from), Some(Duration::from_secs(1)));
            now += Duration::from_secs(1);
        }
        logins.succeeded(from);
        (0..2).for_each(|_| assert_eq!(logins.failed(now, from, &limits), None));
        assert_eq!(logins.failed(now, from, &limits), Some(Duration::from_secs(30)), "it begins anew after a success");
    }

    #[test]
    fn failures_of_yesterday_do_not_count() {
        let (mut logins, now, limits, from) = (Logins::default(), Instant::now(), limits(Some(2)), ip(1));
        logins.failed(now, from, &limits);
        assert_eq!(logins.failed(now + MEMORY + Duration::from_secs(1), from, &limits), None);
        logins.failed(now, ip(2), &limits);
        assert!(logins.failed(now + MEMORY, ip(2), &limits).is_some());
    }

    #[test]
    fn without_a_number_of_failures_nobody_is_locked_out_or_remembered() {
        let mut logins = Logins::default();
        for _ in 0..100 {
            assert_eq!(logins.failed(Instant::now(), ip(1), &limits(None)), None);
        }
        assert!(logins.addresses.is_empty());
    }

    #[test]
    fn a_network_of_one_host_is_one_address() {
        let (mut logins, now) = (Logins::default(), Instant::now());
        logins.failed(now, "2001:db8::1".parse().unwrap(), &limits(Some(1)));
        assert!(logins.locked_for(now, "2001:db8::2".parse().unwrap()).is_some());
        assert!(logins.locked_for(now, "2001:db8:0:1::2".parse().unwrap()).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_many_addresses_do_not_help_to_guess() {
        let (mut logins, mut now, limits) = (Logins::default(), Instant::now(), limits(Some(2)));
        // Addresses that failed once make room for others, the oldest first.
        for number in 0..MAX_ADDRESSES as u32 + 1 {
            now += Duration::from_millis(1);
            assert_eq!(logins.locked_for(now, ip(number)), None);
            logins.failed(now, ip(number), &limits);
        }
        assert_eq!(logins.addresses.len(), MAX_ADDRESSES);
        assert!(!logins.addresses.contains_key(&NetworkPrefix::of(ip(0))));
        assert!(logins.addresses.contains_key(&NetworkPrefix::of(ip(1))));
        // When all are locked out, the door is shut for every other address until the first lockout ends.
        for number in 1..=MAX_ADDRESSES as u32 {
            logins.failed(now, ip(number), &limits);
        }
        assert_eq!(logins.locked_for(now, ip(1_000_000)), Some(Duration::from_secs(30)));
        now += Duration::from_secs(30);
        assert_eq!(logins.locked_for(now, ip(1_000_000)), None);
        logins.failed(now, ip(1_000_000), &limits);
        assert_eq!(logins.addresses.len(), MAX_ADDRESSES);
        assert!(logins.addresses.contains_key(&NetworkPrefix::of(ip(1_000_000))));
    }
}

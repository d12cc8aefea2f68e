//! The rates that Server.xml limits: new sessions and lookups.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rtmfp::{NetworkPrefix, TokenBucket};

use super::rate_table::{RateTable, per_second};
use super::sieve::Sieve;
use introd_config::ServerLimits;
use introd_policy::InstanceId;

/// A limit for all addresses together reserves one token in this many for addresses that were idle for a second, so that busy addresses
/// cannot take all tokens.
const RESERVE: u32 = 4;

/// The rates that Server.xml limits. They hold for all workers together. A rate without a limit costs nothing.
#[derive(Debug)]
pub struct Rates {
    /// Buckets count the time from here.
    began: Instant,
    connections: Option<Mutex<SharedRate>>,
    connections_by_address: Option<Mutex<RateTable<NetworkPrefix>>>,
    lookups_by_address: Option<(Sieve, Mutex<RateTable<NetworkPrefix>>)>,
    /// Lookups by askers that are no clients, where the application that is asked limits the rate of lookups.
    strangers: Mutex<RateTable<(Option<InstanceId>, NetworkPrefix)>>,
}

/// A rate that all addresses share.
#[derive(Debug)]
struct SharedRate {
    limit: u64,
    bucket: TokenBucket,
    /// The addresses that took a token in the last second: each has a bucket of one token.
    recent: RateTable<NetworkPrefix>,
}

impl SharedRate {
    fn new(limit: u64) -> Self {
        Self { limit, bucket: TokenBucket::default(), recent: RateTable::new(1) }
    }

    fn permits(&mut self, at: Duration, from: NetworkPrefix) -> bool {
        let rate = per_second(self.limit);
        let reserved = if self.recent.is_active(at, &from) { rate.burst / RESERVE } else { 0 };
        let is_permitted = self.bucket.has(at, rate, reserved.saturating_add(1));
        if is_permitted {
            self.bucket.spend(at, rate, 1);
            self.recent.permits(at, from);
        }
        is_permitted
    }
}

impl Rates {
    /// The rates that the configuration limits.
    pub fn new(limits: &ServerLimits) -> Self {
        let table = |limit: u64| Mutex::new(RateTable::new(limit));
        Self {
            began: Instant::now(),
            connections: limits.max_connection_rate.map(|limit| Mutex::new(SharedRate::new(limit))),
            connections_by_address: limits.max_connection_rate_per_address.map(table),
            lookups_by_address: limits.max_lookup_rate_per_address.map(|limit| (Sieve::new(limit), table(limit))),
            // Each application has a limit of its own.
            strangers: Mutex::new(RateTable::new(u64::MAX)),
        }
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Whether a session from that address may be opened now.
    ///
    /// # Errors
    /// The name of the setting that forbids it.
    pub(super) fn permit_connection(&self, now: Instant, from: IpAddr) -> Result<(), &'static str> {
        let (at, from) = (self.at(now), NetworkPrefix::of(from));
        if self.connections_by_address.as_ref().is_some_and(|table| !table.lock().permits(at, from)) {
            return Err("MaxConnectionRatePerAddress");
        }
        if self.connections.as_ref().is_some_and(|shared| !shared.lock().permits(at, from)) {
            return Err("MaxConnectionRate");
        }
        Ok(())
    }

    /// Whether a lookup from that address may be answered now.
    pub(super) fn permit_lookup(&self, now: Instant, from: IpAddr) -> bool {
        let Some((sieve, table)) = &self.lookups_by_address else { return true };
        let from = NetworkPrefix::of(from);
        sieve.is_harmless(now, from) || table.lock().permits(self.at(now), from)
    }
}

impl Rates {
    /// Whether an asker from that address, which is no client, may look a peer up now: the application that is asked allows `limit` lookups in a
    /// second. `None` is the default application without an instance.
    pub(super) fn permit_stranger(
        &self,
        now: Instant,
        application: Option<InstanceId>,
        from: IpAddr,
        limit: u64,
    ) -> bool {
        let key = (application, NetworkPrefix::of(from));
        self.strangers.lock().permits_by(self.at(now), key, per_second(limit))
    }
}

/// The rate of one client's lookups.
#[derive(Debug, Default)]
pub(super) struct ClientRate(Option<(Instant, TokenBucket)>);

impl ClientRate {
    /// Counts a lookup; false if the client had `limit` lookups in the last second.
    pub(super) fn permits(&mut self, now: Instant, limit: u64) -> bool {
        let (began, bucket) = self.0.get_or_insert((now, TokenBucket::default()));
        bucket.take(now.saturating_duration_since(*began), per_second(limit), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::rate_table::WINDOW;

    #[test]
    fn an_address_that_takes_all_it_can_leaves_some_for_those_that_come_new() {
        let (mut shared, at) = (SharedRate::new(100), Duration::ZERO);
        let from = |host: u8| NetworkPrefix::of([192, 0, 2, host].into());
        assert_eq!((0..1000).filter(|_| shared.permits(at, from(1))).count(), 75);
        assert!((2..27).all(|host| shared.permits(at, from(host))));
        assert!(!shared.permits(at, from(99)));
        // While the busy address goes on, another one comes each tenth of a second.
        for tenth in 1..30 {
            let at = at + tenth * WINDOW / 10;
            (0..1000).for_each(|_| _ = shared.permits(at, from(1)));
            assert!(shared.permits(at, from(100 + tenth as u8)));
        }
    }

    #[test]
    fn a_clients_rate_goes_on_from_second_to_second() {
        let (mut rate, now) = (ClientRate::default(), Instant::now());
        for second in 0..5 {
            assert_eq!((0..10).filter(|_| rate.permits(now + second * WINDOW, 3)).count(), 3);
        }
    }

    #[test]
    fn a_limit_of_zero_permits_nothing() {
        assert!(!SharedRate::new(0).permits(Duration::ZERO, NetworkPrefix::of([192, 0, 2, 1].into())));
        assert!(!ClientRate::default().permits(Instant::now(), 0));
    }

    fn limits(change: impl FnOnce(&mut ServerLimits)) -> Rates {
        let mut config = introd_config::Config::built_in();
        let limits = &mut config.server.limits;
        (limits.max_connection_rate, limits.max_connection_rate_per_address) = (None, None);
        limits.max_lookup_rate_per_address = None;
        change(limits);
        Rates::new(limits)
    }

    fn host(host: u8) -> IpAddr {
        [192, 0, 2, host].into()
    }

    #[test]
    fn each_limit_on_connections_holds_and_is_named() {
        let by_address = limits(|limits| limits.max_connection_rate_per_address = Some(2));
        let connect = |rates: &Rates, from| rates.permit_connection(rates.began, host(from)).err();
        let refused = Some("MaxConnectionRatePerAddress");
        assert_eq!([1, 1, 1, 2].map(|from| connect(&by_address, from)), [None, None, refused, None]);
        assert_eq!(by_address.permit_connection(by_address.began + WINDOW, host(1)), Ok(()), "a second later");
        let all = limits(|limits| limits.max_connection_rate = Some(2));
        assert_eq!([1, 2, 3].map(|from| connect(&all, from)), [None, None, Some("MaxConnectionRate")]);
        let none = limits(|_| ());
        assert!((0..10_000).all(|_| connect(&none, 1).is_none()));
        // What an address is refused for its own rate is not taken from the rate of all.
        let both = limits(|limits| {
            (limits.max_connection_rate, limits.max_connection_rate_per_address) = (Some(2), Some(1));
        });
        assert_eq!([1, 1, 1, 2].map(|from| connect(&both, from)), [None, refused, refused, None]);
    }

    #[test]
    fn the_limit_on_lookups_holds_for_each_address() {
        let rates = limits(|limits| limits.max_lookup_rate_per_address = Some(100));
        let lookups = |from, now| (0..1000).filter(|_| rates.permit_lookup(now, host(from))).count();
        // The sieve lets a part through that the table does not count.
        for second in 0..3 {
            let permitted = lookups(1, rates.began + second * WINDOW);
            assert!((100..=125).contains(&permitted), "{permitted}");
        }
        assert!((100..=125).contains(&lookups(2, rates.began + 2 * WINDOW)), "another address has a rate of its own");
        let none = limits(|_| ());
        assert!((0..10_000).all(|_| none.permit_lookup(none.began, host(1))));
    }

    #[test]
    fn strangers_share_the_rate_of_an_application_by_network() {
        let rates = limits(|_| ());
        let count = |application: Option<u16>, from: &str, limit| {
            let application = application.map(InstanceId);
            let from = from.parse().unwrap();
            (0..10).filter(|_| rates.permit_stranger(rates.began, application, from, limit)).count()
        };
        assert_eq!([count(Some(1), "192.0.2.1", 3), count(Some(1), "192.0.2.1", 3)], [3, 0]);
        assert_eq!(count(Some(1), "192.0.2.2", 3), 3, "another address");
        assert_eq!([count(Some(2), "192.0.2.1", 3), count(None, "192.0.2.1", 4)], [3, 4], "other applications");
        assert_eq!([count(Some(1), "2001:db8::1", 3), count(Some(1), "2001:db8::2", 3)], [3, 0], "one network");
        assert_eq!(count(Some(1), "2001:db8:0:1::1", 3), 3, "another network");
        assert_eq!(count(Some(1), "192.0.2.3", 0), 0);
        let later = rates.began + WINDOW;
        assert!(rates.permit_stranger(later, Some(InstanceId(1)), "192.0.2.1".parse().unwrap(), 3));
    }
}

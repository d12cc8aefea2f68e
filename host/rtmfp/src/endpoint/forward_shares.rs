//! What askers of one network may have of the hellos that one session is sent (RFC 7016 §3.5.1.5).
//!
//! Anybody can ask for a peer, from any number of addresses, and each hello that is forwarded is a packet that the peer did not ask
//! for. The endpoint sends them, and is not to be made a weapon of. So each session is sent a bounded number, and askers of one
//! network get half of it at most: however often they ask, others still reach the peer.

use std::net::IpAddr;
use std::time::Instant;

use crate::fixed_table::FixedTable;
use crate::network_prefix::NetworkPrefix;
use crate::token_bucket::{Rate, TokenBucket};

/// Pairs of a session and a network that are remembered at a time.
const MAX_PAIRS: usize = 1 << 15;
/// What a hello takes of a bucket that fills as fast as the session's: so a network gets half as many.
const TOKENS_OF_HELLO: u32 = 2;

/// A bucket for each pair of a session and a network.
#[derive(Debug)]
pub(super) struct ForwardShares {
    epoch: Instant,
    /// In use once a hello is forwarded. 256 KiB.
    buckets: FixedTable<TokenBucket>,
}

impl ForwardShares {
    pub(super) fn new(now: Instant, secret: [u8; 16]) -> Self {
        Self { epoch: now, buckets: FixedTable::new(secret, MAX_PAIRS) }
    }

    /// The share that one more hello of that asker to that session would take, if it may be forwarded now. It counts once it is
    /// [taken](Self::take).
    pub(super) fn share(&mut self, now: Instant, session: u32, asker: IpAddr, rate: Rate) -> Option<Share> {
        let hash = self.buckets.hash((session, NetworkPrefix::of(asker)));
        let mut bucket = *self.buckets.at(hash)?;
        // An odd burst is rounded down.
        let rate = Rate { burst: rate.burst / TOKENS_OF_HELLO * TOKENS_OF_HELLO, ..rate };
        let at = now.saturating_duration_since(self.epoch);
        bucket.take(at, rate, TOKENS_OF_HELLO).then_some(Share { hash, bucket })
    }

    /// One more hello was forwarded.
    pub(super) fn take(&mut self, share: Share) {
        if let Some(bucket) = self.buckets.at(share.hash) {
            *bucket = share.bucket;
        }
    }
}

/// What a hello takes of its network's part.
pub(super) struct Share {
    hash: u64,
    /// As it is once the hello counts.
    bucket: TokenBucket,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_clock::test_clock;

    #[test]
    fn askers_of_one_network_get_half_and_leave_the_rest_to_others() {
        let start = test_clock();
        let rate = Rate { burst: 64, per_second: 20 };
        let mut shares = ForwardShares::new(start, [7; 16]);
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let mut permitted = |seconds: u64, session: u32, asker: IpAddr| {
            let at = start + Duration::from_secs(seconds);
            let mut permit = || {
                let share = shares.share(at, session, asker, rate);
                share.map(|share| shares.take(share)).is_some()
            };
            (0..10_000).filter(|_| permit()).count()
        };
        assert_eq!([permitted(0, 1, one), permitted(0, 1, other), permitted(0, 2, one)], [32; 3]);
        assert_eq!(permitted(1, 1, one), 10);
        assert_eq!(permitted(3600, 1, one), 32);
        assert_eq!(shares.buckets.bytes(), 256 << 10);
    }

    #[test]
    fn what_is_not_counted_takes_no_share() {
        let start = test_clock();
        let rate = Rate { burst: 4, per_second: 5000 };
        let mut shares = ForwardShares::new(start, [7; 16]);
        let asker = IpAddr::from([192, 0, 2, 1]);
        assert!((0..100).all(|_| shares.share(start, 1, asker, rate).is_some()));
        for _ in 0..2 {
            let share = shares.share(start, 1, asker, rate).unwrap();
            shares.take(share);
        }
        assert!(shares.share(start, 1, asker, rate).is_none(), "also where the rate is high");
        assert!(shares.share(start + Duration::from_micros(400), 1, asker, rate).is_some());
    }
}

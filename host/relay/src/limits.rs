//! The bounds of the relay.

use std::time::Duration;

use rtmfp::Rate;

/// A pair over which no session has come about ends this long after the asker's last hello, or after the last time when both sides were heard: an
/// asker repeats its hello after 17 s at most within the 95 s for which RFC 7016 wants it to go on.
pub const OPENING_TIME: Duration = Duration::from_secs(30);

/// The bounds for all pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of pairs.
    pub max_pairs: usize,
    /// The maximum number of pairs of one client, as asker and as target. A client never has more than there are ports.
    pub max_pairs_per_client: usize,
    /// The maximum number of sides in one network: an IPv4 address, or an IPv6 network of 64 bits.
    pub max_pairs_per_network: usize,
    /// The maximum rate of all pairs together, in bytes of UDP payload a second.
    pub bytes_per_second: u64,
    /// A pair one of whose sides is silent for this long ends.
    pub idle: Duration,
}

/// The bounds of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The maximum rate of both directions together, in bytes of UDP payload a second.
    pub bytes_per_second: u64,
    /// How long the pair lives at most.
    pub lifetime: Duration,
}

/// A bucket holds what may pass in a second, and never less than a handshake and some packets need.
pub(crate) fn rate(bytes_per_second: u64) -> Rate {
    const LEAST_BURST: u32 = 16 << 10;
    let per_second = u32::try_from(bytes_per_second).unwrap_or(u32::MAX).max(1);
    Rate { burst: per_second.max(LEAST_BURST), per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pair_has_room_for_a_handshake_and_a_fast_one_for_a_second() {
        assert_eq!(rate(1000), Rate { burst: 16 << 10, per_second: 1000 });
        assert_eq!(rate(1_000_000), Rate { burst: 1_000_000, per_second: 1_000_000 });
        assert_eq!(rate(u64::MAX).per_second, u32::MAX);
        assert_eq!(rate(0).per_second, 1);
    }
}

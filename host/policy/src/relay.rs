//! What policies say of a relay: the server forwards the datagrams of two peers that cannot reach each other.

use std::time::Duration;

use crate::Peer;

/// The limits of one relayed pair, as a policy wants them. A limit that is `None` is left to the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayTerms {
    /// The maximum rate of the pair, both directions together, in bytes of UDP payload a second.
    pub bytes_per_second: Option<u64>,
    /// How long the pair is relayed at most, from the moment when it is made.
    pub lifetime: Option<Duration>,
}

impl RelayTerms {
    /// The longest lifetime that a policy can set: a year. Whoever names a longer one means none.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

    /// The stricter of the two, limit by limit.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            bytes_per_second: stricter(self.bytes_per_second, other.bytes_per_second),
            lifetime: stricter(self.lifetime, other.lifetime),
        }
    }
}

fn stricter<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (limit, None) | (None, limit) => limit,
    }
}

/// The sides of an introduction for which a policy asked for a relay at this lookup, with the limits that it wants. Where no policy did, the
/// setting `RTMFP/Relay` of the side's application decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayWish {
    /// The policy of the asker's application.
    pub asker: Option<RelayTerms>,
    /// The policy of the target's application.
    pub target: Option<RelayTerms>,
}

/// An introduction that was decided: the asker and this peer are to meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The peer, which is connected to this server.
    pub target: Peer,
    /// What policies said of a relay.
    pub relay: RelayWish,
}

impl From<Peer> for Introduction {
    /// An introduction for which no policy asked for a relay.
    fn from(target: Peer) -> Self {
        Self { target, relay: RelayWish::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_policies_the_stricter_limit_holds() {
        let terms = |bytes_per_second, seconds: Option<u64>| RelayTerms {
            bytes_per_second,
            lifetime: seconds.map(Duration::from_secs),
        };
        let all = terms(None, None);
        assert_eq!(all.stricter(all), all);
        let (one, other) = (terms(Some(5), Some(60)), terms(Some(7), None));
        assert_eq!([one.stricter(other), other.stricter(one)], [terms(Some(5), Some(60)); 2]);
        assert_eq!([one.stricter(all), all.stricter(one)], [one; 2]);
    }
}

//! Which of several entries about the same peer counts.

/// The state of the session that an entry rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whether the session has proven that the peer ID is its own.
    pub(crate) is_proven: bool,
    /// Whether the client has not answered a ping and may be gone.
    pub(crate) is_silent: bool,
    /// When the session began, in milliseconds since 1970.
    pub(crate) since: u64,
}

impl Claim {
    /// Whether this claim takes precedence over the other one. A session that is not silent precedes a silent one, and a proven session
    /// one that is not. Among proven sessions the newest precedes, because the peer has moved. Among unproven sessions the oldest
    /// precedes, because the others may be copies of its certificate. Among silent sessions the newest precedes, because the others
    /// are likely to be gone for longer.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        let rank = |claim: &Self| (!claim.is_silent, claim.is_proven);
        match rank(self).cmp(&rank(other)) {
            std::cmp::Ordering::Equal if self.is_proven || self.is_silent => self.since > other.since,
            std::cmp::Ordering::Equal => self.since < other.since,
            order => order.is_gt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(is_proven: bool, is_silent: bool, since: u64) -> Claim {
        Claim { is_proven, is_silent, since }
    }

    #[test]
    fn live_sessions_precede_silent_ones_then_proven_ones_precede_then_the_order_decides() {
        // In the order in which they count.
        let claims = [
            claim(true, false, 9),
            claim(true, false, 2),
            claim(false, false, 1),
            claim(false, false, 8),
            claim(true, true, 7),
            claim(true, true, 3),
            claim(false, true, 6),
            claim(false, true, 4),
        ];
        for (place, claim) in claims.iter().enumerate() {
            for (other_place, other) in claims.iter().enumerate() {
                assert_eq!(claim.precedes(other), place < other_place, "{claim:?} {other:?}");
            }
        }
    }
}

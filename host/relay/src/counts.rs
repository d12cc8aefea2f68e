//! What the relay counts.

/// An enumeration whose values index an array of counters.
macro_rules! counted {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $label:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $value,)*
        }

        impl $name {
            /// All of them, in the order of the counters.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$value),*];

            /// The name in metrics.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$value => $label,)*
                }
            }
        }
    };
}

counted! {
    /// Why a pair is not made.
    Refusal {
        /// There are as many pairs as there may be.
        TooManyPairs = "pairs",
        /// One of the clients has as many pairs as it may have.
        TooManyOfClient = "client",
        /// One of the networks (an IPv4 address or an IPv6 /64) has as many pairs as it may have.
        TooManyOfNetwork = "network",
        /// No port is free for both clients, or none is of the address family by which a client reaches the server.
        NoPort = "port",
        /// The asker and the target are the same client.
        SameClient = "same_client",
        /// One of the clients is at an address to which nothing is relayed.
        Address = "address",
        /// The tag is so short that it could be guessed, or too long.
        Tag = "tag",
        /// The server is stopping.
        Stopped = "stopped",
    }
}

counted! {
    /// Why a datagram is not passed on.
    DropReason {
        /// It comes from an address that no pair knows, and opens nothing.
        Unknown = "unknown",
        /// It is a startup packet with a tag that no pair has at this port.
        UnknownTag = "tag",
        /// It is a startup packet that the other side of the pair would send.
        WrongKind = "kind",
        /// It comes from an address that may be no side of a pair.
        Address = "address",
        /// It has the tag of a pair whose side is already known to be elsewhere.
        Elsewhere = "elsewhere",
        /// The other side of the pair is not known yet.
        Waiting = "waiting",
        /// The other side has not yet sent enough to be sent so much.
        Unproven = "unproven",
        /// The other side has been sent a mebibyte since it was last heard.
        Unheard = "unheard",
        /// The pair is over its rate.
        PairRate = "pair_rate",
        /// All pairs together are over the rate of the server.
        TotalRate = "total_rate",
        /// The kernel did not take it: its buffers are full, or it has no way to the address.
        Unsent = "unsent",
    }
}

counted! {
    /// Why a pair ends.
    End {
        /// No session came about in time.
        Unopened = "unopened",
        /// One of the sides has been silent for too long.
        Idle = "idle",
        /// Its lifetime is over.
        Lifetime = "lifetime",
        /// Another pair has taken its place.
        Replaced = "replaced",
        /// The server has disconnected one of the clients, because it is not wanted any more.
        Disconnected = "disconnected",
    }
}

/// The counters of the relay since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs made.
    pub made: u64,
    /// Pairs over which both sides have exchanged packets of a session.
    pub opened: u64,
    /// Datagrams passed on.
    pub datagrams: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
    ended: [u64; End::ALL.len()],
    refused: [u64; Refusal::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
}

impl Counts {
    /// How many pairs ended for that reason.
    pub fn ended(&self, cause: End) -> u64 {
        self.ended[cause as usize]
    }

    /// How many pairs were refused for that reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }

    /// How many datagrams were dropped for that reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    pub(crate) fn end(&mut self, cause: End) {
        self.ended[cause as usize] += 1;
    }

    /// Counts a pair that is refused.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refused[refusal as usize] += 1;
    }

    /// Counts datagrams that were to be passed on and could not be sent.
    pub fn lose(&mut self, datagrams: u64) {
        self.dropped[DropReason::Unsent as usize] += datagrams;
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_counter_and_a_label_of_its_own() {
        let mut counts = Counts::default();
        for (times, reason) in DropReason::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.drop(reason));
        }
        let values: Vec<_> = DropReason::ALL.into_iter().map(|reason| counts.dropped(reason)).collect();
        assert_eq!(values, (1..=DropReason::ALL.len() as u64).collect::<Vec<_>>());
        let labels: BTreeSet<_> = DropReason::ALL.into_iter().map(DropReason::label).collect();
        assert_eq!(labels.len(), DropReason::ALL.len());
        assert_eq!(Refusal::ALL.into_iter().map(Refusal::label).collect::<BTreeSet<_>>().len(), Refusal::ALL.len());
        assert_eq!(End::ALL.into_iter().map(End::label).collect::<BTreeSet<_>>().len(), End::ALL.len());
    }
}

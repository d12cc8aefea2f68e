//! What the server did about a lookup, and what came of an attempt to meet.

/// What the server did about a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LookupAnswer {
    /// It introduced the asker and the target: a redirect to the one, the hello forwarded to the other (RFC 7016 §3.5.1.4, §3.5.1.5).
    Introduced,
    /// The same, with a relay: the two were told of ports of the server too, between which it passes their datagrams on.
    Relayed,
    /// It redirected the asker to addresses that a policy named.
    Redirected,
    /// It redirected the asker to another server, which knows the target.
    SentElsewhere,
    /// A policy denied the lookup.
    Denied,
    /// A policy ignored the lookup.
    Ignored,
    /// A policy, or the registry, was late, and the lookup was not answered for that.
    LatePolicy,
    /// No server knows the target.
    UnknownPeer,
    /// Nothing: the settings leave the lookup to a script that there is not, or the registry failed.
    Unanswered,
    /// Nothing: the same lookup waits already, for the registry or for the consent of the target's application, or that has just decided.
    Repeated,
    /// Nothing: the asker, or its address, has made more lookups than it may.
    OverRate,
}

impl LookupAnswer {
    /// All answers.
    pub const ALL: [Self; 11] = [
        Self::Introduced,
        Self::Relayed,
        Self::Redirected,
        Self::SentElsewhere,
        Self::Denied,
        Self::Ignored,
        Self::LatePolicy,
        Self::UnknownPeer,
        Self::Unanswered,
        Self::Repeated,
        Self::OverRate,
    ];

    /// The name in metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Introduced => "introduced",
            Self::Relayed => "relayed",
            Self::Redirected => "redirected",
            Self::SentElsewhere => "sent_elsewhere",
            Self::Denied => "denied",
            Self::Ignored => "ignored",
            Self::LatePolicy => "late_policy",
            Self::UnknownPeer => "unknown_peer",
            Self::Unanswered => "unanswered",
            Self::Repeated => "repeated",
            Self::OverRate => "over_rate",
        }
    }

    /// Whether the asker knows addresses of the target now, so that the two can meet.
    pub fn is_introduction(self) -> bool {
        matches!(self, Self::Introduced | Self::Relayed | Self::Redirected)
    }
}

/// What came of an attempt to meet: of all hellos of one asker with one tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// After the introduction the asker asked again for two seconds at most (once, by the timing of RFC 7016), and then no more.
    Met,
    /// It went on asking for longer, and stopped before it counted as not met: the two met late, or the asker gave up early.
    Repeated,
    /// It asked again until it was introduced with a relay, and the two have opened a session by that.
    Relayed,
    /// It gave up, or has not met the target yet: it has asked again three times or more, for five seconds or more.
    GivenUp,
    /// It was not introduced here: this was the answer to its last hello, which is no introduction.
    NotIntroduced(LookupAnswer),
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 10] = [
        Self::Met,
        Self::Repeated,
        Self::Relayed,
        Self::GivenUp,
        Self::NotIntroduced(LookupAnswer::SentElsewhere),
        Self::NotIntroduced(LookupAnswer::Denied),
        Self::NotIntroduced(LookupAnswer::Ignored),
        Self::NotIntroduced(LookupAnswer::LatePolicy),
        Self::NotIntroduced(LookupAnswer::UnknownPeer),
        Self::NotIntroduced(LookupAnswer::Unanswered),
    ];

    /// The name in metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Repeated => "repeated",
            Self::Relayed => "relayed",
            Self::GivenUp => "given_up",
            Self::NotIntroduced(answer) => answer.name(),
        }
    }

    /// The place in [`Self::ALL`].
    pub(super) fn place(self) -> Option<usize> {
        Self::ALL.iter().position(|outcome| *outcome == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_and_each_outcome_has_a_place_and_a_name_of_its_own() {
        for (place, answer) in LookupAnswer::ALL.into_iter().enumerate() {
            assert_eq!(answer as usize, place);
            assert_eq!(LookupAnswer::ALL.iter().filter(|other| other.name() == answer.name()).count(), 1);
        }
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.place(), Some(place));
            assert_eq!(Outcome::ALL.iter().filter(|other| other.name() == outcome.name()).count(), 1);
        }
        for answer in LookupAnswer::ALL {
            let outcome = Outcome::NotIntroduced(answer);
            let has_place =
                !answer.is_introduction() && !matches!(answer, LookupAnswer::Repeated | LookupAnswer::OverRate);
            assert_eq!(outcome.place().is_some(), has_place, "{answer:?}");
        }
        let introductions = LookupAnswer::ALL.into_iter().filter(|answer| answer.is_introduction());
        assert_eq!(introductions.map(LookupAnswer::name).collect::<Vec<_>>(), ["introduced", "relayed", "redirected"]);
    }
}

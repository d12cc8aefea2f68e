//! An event of a peer's story.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_netgroup::GroupDigest;
use introd_policy::InstanceName;
use rtmfp::PeerId;
use smallvec::SmallVec;

use super::class::EventClass;
use super::text::Text;
use crate::meetings::{LookupAnswer, NatKind};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number among the events of its worker, from 1 on, without gaps. It is set when the event is written.
    pub sequence: u64,
    /// The number of the worker. It is set when the event is written.
    pub worker: u8,
    /// When it happened. [`Stories::time_of`](super::Stories::time_of) gives the time of day.
    pub at: Instant,
    /// The application instance that it concerns, as far as there is one.
    pub place: Option<Arc<InstanceName>>,
    /// The peer that it concerns: the client, or the asker of a lookup if that is a client.
    pub peer: Option<PeerId>,
    /// The address that the peer's packets come from.
    pub address: Option<SocketAddr>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A client was accepted.
    Connect {
        /// The client's platform and version (`flashVer`), or empty.
        agent: Text,
        /// The URL of the page that the client's program is on, or empty.
        page_url: Text,
    },
    /// A client was rejected.
    ConnectRefused {
        /// The policy that rejected it: `the server`, `script`, or the name of a plugin.
        policy: Text,
        /// Why, as the policy says.
        reason: Text,
    },
    /// A client reported its addresses (`setPeerInfo`). These are the ones that are believed.
    Addresses {
        /// The addresses, in the client's order.
        reported: SmallVec<[SocketAddr; 2]>,
    },
    /// The client's packets come from another address now.
    Moved {
        /// The address before.
        from: SocketAddr,
    },
    /// A peer was looked up.
    Lookup {
        /// The peer that is wanted; `None` if the hello names none.
        target: Option<PeerId>,
        /// What the server did.
        answer: LookupAnswer,
        /// The policy that decided: `the server`, `script`, `registry`, or the name of a plugin.
        policy: Text,
        /// Why the lookup was not answered, as far as there is a reason.
        reason: Option<Text>,
        /// How long the decision took.
        took: Duration,
        /// How often the asker had repeated its hello before.
        times: u16,
        /// Where the asker was redirected, the most useful address first.
        redirected_to: Box<[SocketAddr]>,
        /// Whether the hello was forwarded to the target; `None` if another worker was asked to forward it.
        is_forwarded: Option<bool>,
    },
    /// The peer was looked up by another: [`EventKind::Lookup`] as the story of its target has it. It is never written.
    LookedUp {
        /// Where the asker's hello came from.
        asker_address: Option<SocketAddr>,
        /// The asker's peer id, if it is a client.
        asker: Option<PeerId>,
        /// What the server did.
        answer: LookupAnswer,
        /// Whether the hello was forwarded to the peer; `None` if another worker was asked to forward it.
        is_forwarded: Option<bool>,
    },
    /// An asker stopped asking for a target to which it was introduced.
    Met {
        /// The target.
        target: Option<PeerId>,
        /// How often the asker had repeated its hello.
        times: u16,
        /// Whether the two have opened a session by the relay.
        is_relayed: bool,
    },
    /// An asker goes on asking for a target to which it was introduced, or has given up.
    Unmet {
        /// The target.
        target: Option<PeerId>,
        /// How often the asker has repeated its hello.
        times: u16,
        /// The asker's NAT.
        asker_nat: NatKind,
        /// The target's NAT.
        target_nat: NatKind,
        /// Whether the asker has stopped asking.
        is_over: bool,
    },
    /// A client joined a group.
    GroupJoin {
        /// The group.
        group: GroupDigest,
    },
    /// A client left a group.
    GroupLeave {
        /// The group.
        group: GroupDigest,
    },
    /// A client's join was refused.
    GroupRefused {
        /// Why.
        reason: Text,
    },
    /// A member was told of another.
    Hint {
        /// The group.
        group: GroupDigest,
        /// The member that was named.
        about: PeerId,
    },
    /// An accepted client is gone.
    Disconnect {
        /// Why.
        reason: Text,
        /// Who ended the connection: `the client`, `the server`, `script`, `a plugin`, `an administrator`.
        by: Text,
    },
}

impl EventKind {
    /// The name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::ConnectRefused { .. } => "connect_refused",
            Self::Addresses { .. } => "addresses",
            Self::Moved { .. } => "moved",
            Self::Lookup { .. } => "lookup",
            Self::LookedUp { .. } => "looked_up",
            Self::Met { .. } => "met",
            Self::Unmet { .. } => "unmet",
            Self::GroupJoin { .. } => "group_join",
            Self::GroupLeave { .. } => "group_leave",
            Self::GroupRefused { .. } => "group_refused",
            Self::Hint { .. } => "hint",
            Self::Disconnect { .. } => "disconnect",
        }
    }

    /// The class.
    pub fn class(&self) -> EventClass {
        match self {
            Self::Connect { .. } | Self::Addresses { .. } | Self::Moved { .. } | Self::Disconnect { .. } => {
                EventClass::Clients
            }
            Self::ConnectRefused { .. } | Self::GroupRefused { .. } => EventClass::Refusals,
            Self::Lookup { .. } | Self::LookedUp { .. } | Self::Met { .. } => EventClass::Lookups,
            Self::Unmet { .. } => EventClass::Unmet,
            Self::GroupJoin { .. } | Self::GroupLeave { .. } | Self::Hint { .. } => EventClass::Groups,
        }
    }

    /// The other peer that it concerns.
    pub fn other(&self) -> Option<PeerId> {
        match self {
            Self::Lookup { target, .. } | Self::Met { target, .. } | Self::Unmet { target, .. } => *target,
            Self::LookedUp { asker, .. } => *asker,
            Self::Hint { about, .. } => Some(*about),
            _ => None,
        }
    }

    /// The bytes on the heap.
    fn on_heap(&self) -> usize {
        let text = Text::on_heap;
        match self {
            Self::Connect { agent, page_url } => text(agent) + text(page_url),
            Self::ConnectRefused { policy, reason } => text(policy) + text(reason),
            Self::Addresses { reported } if reported.spilled() => reported.capacity() * size_of::<SocketAddr>(),
            Self::Lookup { policy, reason, redirected_to, .. } => {
                text(policy) + reason.as_ref().map_or(0, text) + size_of_val(&**redirected_to)
            }
            Self::GroupRefused { reason } => text(reason),
            Self::Disconnect { reason, by } => text(reason) + text(by),
            _ => 0,
        }
    }
}

impl Event {
    /// An event that concerns nobody yet.
    pub fn new(at: Instant, kind: EventKind) -> Self {
        Self { sequence: 0, worker: 0, at, place: None, peer: None, address: None, kind }
    }

    /// The same, of a peer at an address.
    #[must_use]
    pub fn of(self, peer: impl Into<Option<PeerId>>, address: impl Into<Option<SocketAddr>>) -> Self {
        Self { peer: peer.into(), address: address.into(), ..self }
    }

    /// The same, in an application instance.
    #[must_use]
    pub fn in_place(self, place: impl Into<Option<Arc<InstanceName>>>) -> Self {
        Self { place: place.into(), ..self }
    }

    /// How much memory the event takes.
    pub(super) fn bytes(&self) -> usize {
        // The place of a client that no instance has taken is kept by the event alone.
        let is_own = matches!(self.kind, EventKind::ConnectRefused { .. });
        let place = self.place.as_ref().filter(|_| is_own);
        let place = place.map_or(0, |place| size_of_val(&**place) + place.application.len() + place.instance.len());
        size_of::<Self>() + self.kind.on_heap() + place
    }

    /// The event as the story of that peer has it: a lookup of the peer by another is told from the peer's side.
    #[must_use]
    pub fn for_story_of(self, peer: &PeerId) -> Self {
        match self.kind {
            EventKind::Lookup { target: Some(target), answer, is_forwarded, .. }
                if target == *peer && self.peer != Some(target) =>
            {
                let kind = EventKind::LookedUp { asker_address: self.address, asker: self.peer, answer, is_forwarded };
                Self { peer: Some(target), address: None, kind, ..self }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_told_from_the_side_of_the_target_in_the_targets_story() {
        let (asker, target) = (PeerId([1; 32]), PeerId([2; 32]));
        let address: SocketAddr = ([192, 0, 2, 1], 5).into();
        let kind = EventKind::Lookup {
            target: Some(target),
            answer: LookupAnswer::Introduced,
            policy: "the server".into(),
            reason: None,
            took: Duration::ZERO,
            times: 0,
            redirected_to: Box::from([address]),
            is_forwarded: Some(true),
        };
        let event = Event::new(Instant::now(), kind).of(asker, address);
        assert_eq!(event.clone().for_story_of(&asker), event);
        let seen = event.clone().for_story_of(&target);
        let expected = EventKind::LookedUp {
            asker_address: Some(address),
            asker: Some(asker),
            answer: LookupAnswer::Introduced,
            is_forwarded: Some(true),
        };
        assert_eq!((seen.peer, seen.address, seen.kind.name()), (Some(target), None, "looked_up"));
        assert_eq!(seen.kind, expected);
        assert_eq!(event.bytes(), size_of::<Event>() + size_of::<SocketAddr>());
    }

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() <= 256, "{}", size_of::<Event>());
    }
}

//! Which events a reader wants.

use std::net::{IpAddr, SocketAddr};

use rtmfp::PeerId;

use super::class::EventClass;
use super::event::Event;

/// Which events a reader wants: those that fit everything that is set.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Events that concern this peer, also as the target of a lookup.
    pub peer: Option<PeerId>,
    /// Events of this address,
    pub ip: Option<IpAddr>,
    /// and of this port.
    pub port: Option<u16>,
    /// Events in this application.
    pub application: Option<String>,
    /// Events of this kind, by [`EventKind::name`](super::EventKind::name).
    pub kind: Option<String>,
    /// Events of this class.
    pub class: Option<EventClass>,
}

impl EventFilter {
    /// Events that concern a peer.
    pub fn of_peer(peer: PeerId) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    /// Whether an event is wanted.
    pub fn fits(&self, event: &Event) -> bool {
        let is_of = |peer| event.peer == Some(peer) || event.kind.other() == Some(peer);
        self.peer.is_none_or(is_of)
            && (self.ip.is_none() && self.port.is_none() || event.address.is_some_and(|own| self.fits_address(own)))
            && self
                .application
                .as_ref()
                .is_none_or(|wanted| event.place.as_ref().is_some_and(|place| place.application == *wanted))
            && self.kind.as_ref().is_none_or(|kind| event.kind.name() == kind)
            && self.class.is_none_or(|class| event.kind.class() == class)
    }

    fn fits_address(&self, address: SocketAddr) -> bool {
        self.ip.is_none_or(|ip| ip.to_canonical() == address.ip().to_canonical())
            && self.port.is_none_or(|port| port == address.port())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use introd_policy::InstanceName;

    use super::*;
    use crate::stories::EventKind;

    #[test]
    fn an_event_fits_if_all_that_is_set_fits() {
        let (peer, other) = (PeerId([1; 32]), PeerId([2; 32]));
        let place = Arc::new(InstanceName::first("a", "v", "chat"));
        let address: SocketAddr = ([192, 0, 2, 1], 5).into();
        let kind = EventKind::Met { target: Some(other), times: 1, is_relayed: false };
        let event = Event::new(Instant::now(), kind).of(peer, address).in_place(place);
        let none = EventFilter::default;
        let ip = |text: &str| Some(text.parse().unwrap());
        for (filter, does_fit) in [
            (none(), true),
            (EventFilter::of_peer(peer), true),
            (EventFilter::of_peer(other), true),
            (EventFilter::of_peer(PeerId([3; 32])), false),
            (EventFilter { ip: ip("192.0.2.1"), ..none() }, true),
            (EventFilter { ip: ip("::ffff:192.0.2.1"), port: Some(5), ..none() }, true),
            (EventFilter { ip: ip("192.0.2.1"), port: Some(6), ..none() }, false),
            (EventFilter { port: Some(5), ..none() }, true),
            (EventFilter { ip: ip("192.0.2.2"), ..none() }, false),
            (EventFilter { application: Some("chat".to_owned()), ..none() }, true),
            (EventFilter { application: Some("cha".to_owned()), ..none() }, false),
            (EventFilter { kind: Some("met".to_owned()), ..EventFilter::of_peer(peer) }, true),
            (EventFilter { kind: Some("unmet".to_owned()), ..EventFilter::of_peer(peer) }, false),
            (EventFilter { class: Some(EventClass::Lookups), ..none() }, true),
            (EventFilter { class: Some(EventClass::Unmet), ..none() }, false),
        ] {
            assert_eq!(filter.fits(&event), does_fit, "{filter:?}");
        }
        let nowhere = Event::new(Instant::now(), EventKind::Met { target: None, times: 0, is_relayed: false });
        assert!(none().fits(&nowhere) && !EventFilter { port: Some(5), ..none() }.fits(&nowhere));
        assert!(!EventFilter { application: Some("chat".to_owned()), ..none() }.fits(&nowhere));
    }
}

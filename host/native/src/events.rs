//! Events as plugins receive them.

use std::net::SocketAddr;

use introd_plugin::abi::{self, introd_bytes};
use rtmfp::{Lookup, Origin, PeerId, SessionId, TaggedAddress};

use super::values::{NO_CLIENT, NO_PEER, raw_address, raw_bytes, raw_client, raw_observed, raw_peer, raw_reported};
use introd_flash::amf::Value;
use introd_policy::InstanceName;
use introd_policy::message::ClientInfo;

/// The application, and its instance, in which an event happens.
#[derive(Clone, Copy, Debug)]
pub struct InstancePath<'a> {
    /// The application.
    pub application: &'a str,
    /// The instance; empty if there is none.
    pub instance: &'a str,
}

impl<'a> From<&'a InstanceName> for InstancePath<'a> {
    fn from(name: &'a InstanceName) -> Self {
        Self { application: &name.application, instance: &name.instance }
    }
}

/// A lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupEvent<'a> {
    /// The lookup.
    pub lookup: &'a Lookup,
    /// The session and the peer id of the asker, if it is a client.
    pub asker: Option<(SessionId, PeerId)>,
    /// Whether the target is connected.
    pub is_local: bool,
    /// The application that is asked.
    pub place: InstancePath<'a>,
    /// The application of which the asker is a client, if that is another.
    pub home: Option<InstancePath<'a>>,
    /// Whether it is the target's application that is asked, after the asker's has agreed.
    pub is_consent: bool,
    /// Whether this plugin has been asked for the asker's application already.
    pub is_asked_again: bool,
    /// How many times the asker has made this lookup, with this time.
    pub attempt: u32,
}

impl LookupEvent<'_> {
    /// The event as plugins receive it. It points into what `self` borrows.
    pub(super) fn to_raw(self) -> abi::introd_lookup {
        let lookup = self.lookup;
        let mut flags = 0;
        if lookup.target.is_some() {
            flags |= abi::INTROD_LOOKUP_HAS_TARGET;
        }
        if self.asker.is_some() {
            flags |= abi::INTROD_LOOKUP_HAS_ASKER;
        }
        if self.is_local {
            flags |= abi::INTROD_LOOKUP_TARGET_IS_LOCAL;
        }
        if self.is_consent {
            flags |= abi::INTROD_LOOKUP_FOR_TARGET;
        }
        if self.is_asked_again {
            flags |= abi::INTROD_LOOKUP_AGAIN;
        }
        let home = match self.home {
            None if self.asker.is_some() => self.place,
            home => home.unwrap_or(InstancePath { application: "", instance: "" }),
        };
        abi::introd_lookup {
            struct_size: size_of::<abi::introd_lookup>() as u32,
            flags,
            target: lookup.target.map_or(NO_PEER, raw_peer),
            asker: self.asker.map_or(NO_CLIENT, |(session, peer)| raw_client(session, peer)),
            initiator: raw_observed(lookup.initiator),
            interface_id: lookup.interface.0,
            tag: raw_bytes(&lookup.tag),
            epd: raw_bytes(&lookup.epd),
            application: raw_bytes(self.place.application.as_bytes()),
            instance: raw_bytes(self.place.instance.as_bytes()),
            asker_application: raw_bytes(home.application.as_bytes()),
            asker_instance: raw_bytes(home.instance.as_bytes()),
            attempt: self.attempt,
            reserved: 0,
        }
    }
}

/// A client that wants to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectEvent<'a> {
    /// Its session.
    pub session: SessionId,
    /// What is known of it.
    pub info: &'a ClientInfo,
    /// The application that it wants to connect to.
    pub place: InstancePath<'a>,
}

impl ConnectEvent<'_> {
    /// Lays the event out for as long as `work` runs.
    pub(super) fn with_raw<R>(self, work: impl FnOnce(&abi::introd_connect) -> R) -> R {
        let (info, request) = (self.info, &self.info.request);
        let texts: Vec<String> = request.arguments.iter().map(text).collect();
        let arguments: Vec<introd_bytes> = texts.iter().map(|text| raw_bytes(text.as_bytes())).collect();
        work(&abi::introd_connect {
            struct_size: size_of::<abi::introd_connect>() as u32,
            argument_count: u32::try_from(arguments.len()).unwrap_or(u32::MAX),
            client: raw_client(self.session, info.far_id),
            far_address: raw_observed(info.far_address),
            near_address: raw_address(TaggedAddress::new(info.near_address, Origin::Unspecified)),
            far_nonce: info.far_nonce,
            near_nonce: info.near_nonce,
            application: raw_bytes(self.place.application.as_bytes()),
            instance: raw_bytes(self.place.instance.as_bytes()),
            uri: raw_bytes(request.tc_url.as_bytes()),
            query: raw_bytes(request.query.as_bytes()),
            agent: raw_bytes(request.agent.as_bytes()),
            referrer: raw_bytes(request.referrer.as_bytes()),
            page_url: raw_bytes(request.page_url.as_bytes()),
            arguments: arguments.as_ptr(),
        })
    }
}

/// A simple value as a text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_infinite() => {
            if number.is_sign_positive() { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Number(number) => number.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        _ => String::new(),
    }
}

pub(super) fn disconnect(
    session: SessionId,
    peer: PeerId,
    place: InstancePath<'_>,
    reason: &str,
    work: impl FnOnce(&abi::introd_disconnect),
) {
    work(&abi::introd_disconnect {
        struct_size: size_of::<abi::introd_disconnect>() as u32,
        reserved: 0,
        client: raw_client(session, peer),
        application: raw_bytes(place.application.as_bytes()),
        instance: raw_bytes(place.instance.as_bytes()),
        reason: raw_bytes(reason.as_bytes()),
    });
}

pub(super) fn address_change(
    session: SessionId,
    peer: PeerId,
    place: InstancePath<'_>,
    far_address: SocketAddr,
    reported: Option<&[SocketAddr]>,
    work: impl FnOnce(&abi::introd_address_change),
) {
    let addresses = reported.unwrap_or_default().iter();
    let addresses: Vec<_> = addresses.map(|address| raw_reported(*address)).collect();
    let changed =
        if reported.is_some() { abi::INTROD_CHANGE_REPORTED_ADDRESSES } else { abi::INTROD_CHANGE_FAR_ADDRESS };
    work(&abi::introd_address_change {
        struct_size: size_of::<abi::introd_address_change>() as u32,
        changed,
        client: raw_client(session, peer),
        application: raw_bytes(place.application.as_bytes()),
        instance: raw_bytes(place.instance.as_bytes()),
        far_address: raw_observed(far_address),
        reported_count: u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        reported: addresses.as_ptr(),
    });
}

#[cfg(test)]
mod tests {
    use ::introd_plugin::abi::*;

    use super::*;
    use crate::tests::bench::client_info;

    fn lookup(target: Option<PeerId>) -> Lookup {
        Lookup {
            target,
            epd: Default::default(),
            initiator: "[::ffff:192.0.2.1]:7".parse().unwrap(),
            tag: Default::default(),
            interface: rtmfp::InterfaceId(3),
            asker: None,
            received: 68,
        }
    }

    #[test]
    fn a_lookup_says_what_is_known_and_nothing_else() {
        let (with, without) = (lookup(Some(PeerId([1; 32]))), lookup(None));
        let (place, home) = (
            InstancePath { application: "app", instance: "room" },
            InstancePath { application: "home", instance: "hall" },
        );
        let plain = LookupEvent {
            lookup: &without,
            asker: None,
            is_local: false,
            place,
            home: None,
            is_consent: false,
            is_asked_again: false,
            attempt: 3,
        };
        let asker = Some((SessionId::from_wire(5), PeerId([2; 32])));
        // SAFETY: the bytes are those of the event, which lives.
        let text = |raw: introd_bytes| unsafe { crate::values::text(raw) }.unwrap();
        for (event, flags, asker_application) in [
            (plain, 0, ""),
            (LookupEvent { lookup: &with, ..plain }, INTROD_LOOKUP_HAS_TARGET, ""),
            (LookupEvent { asker, ..plain }, INTROD_LOOKUP_HAS_ASKER, "app"),
            (LookupEvent { asker, home: Some(home), ..plain }, INTROD_LOOKUP_HAS_ASKER, "home"),
            (LookupEvent { is_local: true, ..plain }, INTROD_LOOKUP_TARGET_IS_LOCAL, ""),
            (LookupEvent { is_consent: true, ..plain }, INTROD_LOOKUP_FOR_TARGET, ""),
            (LookupEvent { is_asked_again: true, ..plain }, INTROD_LOOKUP_AGAIN, ""),
        ] {
            let raw = event.to_raw();
            assert_eq!((raw.flags, text(raw.asker_application).as_str()), (flags, asker_application));
            assert_eq!((raw.attempt, raw.struct_size), (3, size_of::<introd_lookup>() as u32));
            assert_eq!((raw.asker.id, raw.initiator.family), (if event.asker.is_some() { 5 } else { 0 }, 4));
            assert_eq!((text(raw.application), text(raw.instance)), ("app".to_owned(), "room".to_owned()));
        }
    }

    #[test]
    fn a_connect_says_all_that_is_known_of_the_client() {
        let info = client_info();
        let place = InstancePath { application: "app", instance: "room" };
        let event = ConnectEvent { session: SessionId::from_wire(5), info: &info, place };
        event.with_raw(|raw| {
            // SAFETY: the bytes are those of the event, which lives.
            let text = |raw: introd_bytes| unsafe { crate::values::text(raw) }.unwrap();
            let texts = [raw.application, raw.instance, raw.uri, raw.query, raw.agent, raw.referrer, raw.page_url];
            assert_eq!(
                texts.map(text),
                ["app", "room", "rtmfp://host/app/room?query", "query", "agent", "referrer", "page"]
            );
            // SAFETY: as above.
            let arguments = unsafe { std::slice::from_raw_parts(raw.arguments, raw.argument_count as usize) };
            assert_eq!(arguments.iter().map(|raw| text(*raw)).collect::<Vec<_>>(), ["1", "two"]);
            assert_eq!((raw.client.id, raw.client.peer.bytes), (5, [2; 32]));
            assert_eq!((raw.far_nonce, raw.near_nonce), ([3; 32], [4; 32]));
            assert_eq!((raw.far_address.port, raw.far_address.origin), (1, INTROD_ORIGIN_OBSERVED));
            assert_eq!((raw.near_address.port, raw.near_address.origin), (2, INTROD_ORIGIN_UNSPECIFIED));
        });
    }

    #[test]
    fn a_disconnect_says_whose_and_why() {
        let place = InstancePath { application: "app", instance: "room" };
        let mut told = None;
        disconnect(SessionId::from_wire(5), PeerId([2; 32]), place, "gone", |raw| {
            // SAFETY: the texts are constants.
            let texts =
                [raw.application, raw.instance, raw.reason].map(|raw| unsafe { crate::values::text(raw) }.unwrap());
            told = Some((raw.client.id, raw.client.peer.bytes, texts));
        });
        assert_eq!(told, Some((5, [2; 32], ["app", "room", "gone"].map(str::to_owned))));
    }

    #[test]
    fn arguments_are_texts_as_javascript_writes_them() {
        for (value, expected) in [
            (Value::String("a b".to_owned()), "a b"),
            (Value::Number(2.5), "2.5"),
            (Value::Number(f64::INFINITY), "Infinity"),
            (Value::Number(f64::NEG_INFINITY), "-Infinity"),
            (Value::Number(f64::NAN), "NaN"),
            (Value::Integer(-7), "-7"),
            (Value::Boolean(true), "true"),
            (Value::Null, ""),
            (Value::Array(vec![]), ""),
        ] {
            assert_eq!(text(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_change_of_addresses_says_which_have_changed() {
        let (session, peer) = (SessionId::from_wire(1), PeerId([1; 32]));
        let place = InstancePath { application: "app", instance: "room" };
        let far = "192.0.2.1:1".parse().unwrap();
        let reported: [SocketAddr; 2] = ["10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap()];
        for (given, expected) in [
            (None, (INTROD_CHANGE_FAR_ADDRESS, 0)),
            (Some(&reported[..]), (INTROD_CHANGE_REPORTED_ADDRESSES, 2)),
            (Some(&[][..]), (INTROD_CHANGE_REPORTED_ADDRESSES, 0)),
        ] {
            address_change(session, peer, place, far, given, |raw| {
                assert_eq!((raw.changed, raw.reported_count), expected);
                assert_eq!(raw.far_address.ip[..4], [192, 0, 2, 1]);
            });
        }
    }
}

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
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
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

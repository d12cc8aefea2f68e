//! What plugins are told, laid out for them.

use std::net::SocketAddr;

use introd_plugin::abi::{self, introd_bytes, introd_peer_id};
use rtmfp::{Lookup, Origin, PeerId, SessionId, TaggedAddress};

use super::answer::raw_address;
use super::groups::MemberChoice;
use super::host_table::client;
use introd_flash::amf::Value;
use introd_netgroup::GroupDigest;
use introd_policy::InstanceName;
use introd_policy::message::ClientInfo;

/// The application and the instance that something happens in.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The application.
    pub application: &'a str,
    /// The instance; empty if there is none.
    pub instance: &'a str,
}

impl<'a> From<&'a InstanceName> for Place<'a> {
    fn from(name: &'a InstanceName) -> Self {
        Self { application: &name.application, instance: &name.instance }
    }
}

/// A lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupEvent<'a> {
    /// The lookup.
    pub lookup: &'a Lookup,
    /// The asker, if it is a client.
    pub asker: Option<(SessionId, PeerId)>,
    /// Whether the target is connected.
    pub is_local: bool,
    /// Where.
    pub place: Place<'a>,
    /// Where the asker is a client, if that is elsewhere.
    pub home: Option<Place<'a>>,
    /// Whether it is the target's application that is asked, after the asker's has agreed.
    pub is_consent: bool,
    /// Whether this plugin has been asked for the asker's application already.
    pub is_asked_again: bool,
}

const NO_CLIENT: abi::introd_client = abi::introd_client { id: 0, peer: NO_PEER };
const NO_PEER: introd_peer_id = introd_peer_id { bytes: [0; 32] };

pub(super) fn bytes(bytes: &[u8]) -> introd_bytes {
    introd_bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

fn observed(address: SocketAddr) -> abi::introd_address {
    raw_address(TaggedAddress::new(address, Origin::Observed))
}

impl LookupEvent<'_> {
    /// Points into what `self` borrows.
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
            home => home.unwrap_or(Place { application: "", instance: "" }),
        };
        abi::introd_lookup {
            struct_size: size_of::<abi::introd_lookup>() as u32,
            flags,
            target: lookup.target.map_or(NO_PEER, |target| introd_peer_id { bytes: target.0 }),
            asker: self.asker.map_or(NO_CLIENT, |(session, peer)| client(session, introd_peer_id { bytes: peer.0 })),
            initiator: observed(lookup.initiator),
            interface_id: lookup.interface.0,
            tag: bytes(&lookup.tag),
            epd: bytes(&lookup.epd),
            application: bytes(self.place.application.as_bytes()),
            instance: bytes(self.place.instance.as_bytes()),
            asker_application: bytes(home.application.as_bytes()),
            asker_instance: bytes(home.instance.as_bytes()),
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
    /// Where.
    pub place: Place<'a>,
}

impl ConnectEvent<'_> {
    /// Lays it out for as long as `work` runs.
    pub(super) fn with_raw<R>(self, work: impl FnOnce(&abi::introd_connect) -> R) -> R {
        let (info, request) = (self.info, &self.info.request);
        let texts: Vec<String> = request.arguments.iter().map(text).collect();
        let arguments: Vec<introd_bytes> = texts.iter().map(|text| bytes(text.as_bytes())).collect();
        work(&abi::introd_connect {
            struct_size: size_of::<abi::introd_connect>() as u32,
            argument_count: u32::try_from(arguments.len()).unwrap_or(u32::MAX),
            client: client(self.session, introd_peer_id { bytes: info.far_id.0 }),
            far_address: observed(info.far_address),
            near_address: raw_address(TaggedAddress::new(info.near_address, Origin::Unspecified)),
            far_nonce: info.far_nonce,
            near_nonce: info.near_nonce,
            application: bytes(self.place.application.as_bytes()),
            instance: bytes(self.place.instance.as_bytes()),
            uri: bytes(request.tc_url.as_bytes()),
            query: bytes(request.query.as_bytes()),
            agent: bytes(request.agent.as_bytes()),
            referrer: bytes(request.referrer.as_bytes()),
            page_url: bytes(request.page_url.as_bytes()),
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
    place: Place<'_>,
    reason: &str,
    work: impl FnOnce(&abi::introd_disconnect),
) {
    work(&abi::introd_disconnect {
        struct_size: size_of::<abi::introd_disconnect>() as u32,
        reserved: 0,
        client: client(session, introd_peer_id { bytes: peer.0 }),
        application: bytes(place.application.as_bytes()),
        instance: bytes(place.instance.as_bytes()),
        reason: bytes(reason.as_bytes()),
    });
}

pub(super) fn address_change(
    session: SessionId,
    peer: PeerId,
    place: Place<'_>,
    far_address: SocketAddr,
    reported: Option<&[SocketAddr]>,
    work: impl FnOnce(&abi::introd_address_change),
) {
    let addresses = reported.unwrap_or_default().iter();
    let addresses: Vec<_> =
        addresses.map(|address| raw_address(TaggedAddress::new(*address, Origin::Reported))).collect();
    let changed =
        if reported.is_some() { abi::INTROD_CHANGE_REPORTED_ADDRESSES } else { abi::INTROD_CHANGE_FAR_ADDRESS };
    work(&abi::introd_address_change {
        struct_size: size_of::<abi::introd_address_change>() as u32,
        changed,
        client: client(session, introd_peer_id { bytes: peer.0 }),
        application: bytes(place.application.as_bytes()),
        instance: bytes(place.instance.as_bytes()),
        far_address: observed(far_address),
        reported_count: u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        reported: addresses.as_ptr(),
    });
}

/// A client that has joined or left a group.
#[derive(Clone, Copy)]
pub struct GroupChange<'a> {
    /// The group.
    pub group: GroupDigest,
    /// The client's session.
    pub session: SessionId,
    /// The client's peer.
    pub peer: PeerId,
    /// Where.
    pub place: Place<'a>,
    /// How many members the group has now.
    pub members: u64,
    /// Gives up to so many members other than the client.
    pub choose: &'a dyn Fn(MemberChoice, usize) -> Vec<(PeerId, SessionId)>,
}

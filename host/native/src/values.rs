//! Values of the ABI and what they are to the server, both ways.

use std::net::SocketAddr;

use introd_plugin::abi::{self, introd_address, introd_bytes, introd_client, introd_peer_id};
use introd_policy::MAX_ADDRESSES;
use rtmfp::{Origin, PeerId, SessionId, TaggedAddress};

/// The longest text or URI that a plugin may have sent to a client, in bytes.
const MAX_TEXT: usize = 1024;

pub(super) const NO_PEER: introd_peer_id = introd_peer_id { bytes: [0; 32] };
pub(super) const NO_CLIENT: introd_client = introd_client { id: 0, peer: NO_PEER };

pub(super) fn raw_peer(peer: PeerId) -> introd_peer_id {
    introd_peer_id { bytes: peer.0 }
}

pub(super) fn raw_client(session: SessionId, peer: PeerId) -> introd_client {
    introd_client { id: u64::from(session.get()), peer: raw_peer(peer) }
}

/// The session of a client; `None` if the number is none of a session.
pub(super) fn session(client: &introd_client) -> Option<SessionId> {
    u32::try_from(client.id).ok().filter(|id| *id != 0).map(SessionId::from_wire)
}

/// Bytes of the host that a plugin may read for as long as the host keeps them.
pub(super) fn raw_bytes(bytes: &[u8]) -> introd_bytes {
    introd_bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

pub(super) fn raw_address(address: TaggedAddress) -> introd_address {
    let origin = match address.origin {
        Origin::Unspecified => introd_plugin::Origin::Unspecified,
        Origin::Reported => introd_plugin::Origin::Reported,
        Origin::Observed => introd_plugin::Origin::Observed,
        Origin::Relay => introd_plugin::Origin::Relay,
    };
    let mut socket = address.address;
    socket.set_ip(socket.ip().to_canonical());
    introd_plugin::Address::new(socket, origin).into()
}

/// An address from which packets come.
pub(super) fn raw_observed(address: SocketAddr) -> introd_address {
    raw_address(TaggedAddress::new(address, Origin::Observed))
}

/// An address that a client says it has.
pub(super) fn raw_reported(address: SocketAddr) -> introd_address {
    raw_address(TaggedAddress::new(address, Origin::Reported))
}

/// The address; `None` if it is of neither family.
pub(super) fn address(raw: &introd_address) -> Option<TaggedAddress> {
    if !matches!(raw.family, 4 | 6) {
        return None;
    }
    let introd_plugin::Address { socket, origin } = (*raw).into();
    let origin = match origin {
        introd_plugin::Origin::Unspecified => Origin::Unspecified,
        introd_plugin::Origin::Reported => Origin::Reported,
        introd_plugin::Origin::Observed => Origin::Observed,
        introd_plugin::Origin::Relay => Origin::Relay,
    };
    Some(TaggedAddress::new(socket, origin))
}

/// The first [`MAX_ADDRESSES`] addresses. `None` if there are none, or if one of them is of neither family.
///
/// # Safety
/// The array is valid.
pub(super) unsafe fn addresses(first: *const introd_address, count: usize) -> Option<Vec<TaggedAddress>> {
    if first.is_null() || count == 0 {
        return None;
    }
    // SAFETY: the caller says so.
    let raw = unsafe { std::slice::from_raw_parts(first, count.min(MAX_ADDRESSES)) };
    raw.iter().map(address).collect()
}

/// A text, cut off after [`MAX_TEXT`] bytes. `None` if it is not UTF-8.
///
/// # Safety
/// The memory is valid.
pub(super) unsafe fn text(raw: introd_bytes) -> Option<String> {
    if raw.len == 0 {
        return Some(String::new());
    }
    if raw.ptr.is_null() {
        return None;
    }
    let length = raw.len.min(MAX_TEXT);
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts(raw.ptr, length) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        // It was cut off in the middle of a character.
        Err(error) if length < raw.len && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}

/// What an error status means, in words that follow the plugin's name.
pub(super) fn error_name(status: i32) -> &'static str {
    match status {
        abi::INTROD_E_FAILED => "it failed",
        abi::INTROD_E_ARGUMENT => "it does not take what it was given",
        abi::INTROD_E_TOKEN => "it does not know the token",
        abi::INTROD_E_PANIC => "it panicked",
        abi::INTROD_E_UNSUPPORTED => "it cannot do that",
        abi::INTROD_E_FULL => "it has no room",
        abi::INTROD_E_GONE => "what it concerns is gone",
        abi::INTROD_E_UNAVAILABLE => "what it needs cannot be reached",
        _ => "it returned an error of no name",
    }
}

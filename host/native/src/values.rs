//! Values of the ABI and what they are to the server, both ways.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ptr;

use introd_plugin::abi::{self, introd_address, introd_bytes, introd_client, introd_peer_id};
use introd_policy::MAX_ADDRESSES;
use rtmfp::{Origin, PeerId, SessionId, TaggedAddress};

/// The longest text or URI that a plugin may have sent to a client, in bytes.
const MAX_TEXT: usize = 1024;
/// The most members of a group that are taken from one answer of a registry.
const MAX_MEMBERS: usize = 64;

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

/// The first bytes of a struct that begins with its size, and zeros for the fields that its maker's version does not have. `None` if
/// it is null, or shorter than `min_size` bytes.
///
/// # Safety
/// A pointer that is not null is valid for as many bytes as the struct says, and a `T` whose bytes after `min_size` are zeros is valid.
pub(super) unsafe fn filled_up<T: Copy>(raw: *const T, min_size: usize) -> Option<T> {
    // SAFETY: the caller says so. The size stands first.
    let size = *unsafe { raw.cast::<u32>().as_ref() }? as usize;
    if size < min_size {
        return None;
    }
    let mut whole = MaybeUninit::<T>::zeroed();
    // SAFETY: both are valid for so many bytes and do not overlap, and the caller says that zeros are valid.
    unsafe {
        ptr::copy_nonoverlapping(raw.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), size.min(size_of::<T>()));
        Some(whole.assume_init())
    }
}

/// The first [`MAX_MEMBERS`] peers. `None` if there should be some but the pointer is null.
///
/// # Safety
/// The array is valid.
pub(super) unsafe fn members(first: *const introd_peer_id, count: usize) -> Option<Vec<PeerId>> {
    if count == 0 {
        return Some(Vec::new());
    }
    if first.is_null() {
        return None;
    }
    // SAFETY: the caller says so.
    let raw = unsafe { std::slice::from_raw_parts(first, count.min(MAX_MEMBERS)) };
    Some(raw.iter().map(|peer| PeerId(peer.bytes)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(raw: introd_bytes) -> Option<String> {
        // SAFETY: the tests give memory that is valid.
        unsafe { text(raw) }
    }

    fn read_addresses(first: *const introd_address, count: usize) -> Option<usize> {
        // SAFETY: as above.
        unsafe { addresses(first, count) }.map(|list| list.len())
    }

    #[test]
    fn plugins_get_ipv4_addresses_as_such_whichever_socket_they_came_by() {
        for text in ["192.0.2.1:7", "[::ffff:192.0.2.1]:7"] {
            let address = raw_observed(text.parse().unwrap());
            assert_eq!((address.family, &address.ip[..4], address.port), (4, &[192, 0, 2, 1][..], 7), "{text}");
            assert_eq!(address.origin, abi::INTROD_ORIGIN_OBSERVED);
            assert_eq!(raw_reported(text.parse().unwrap()).origin, abi::INTROD_ORIGIN_REPORTED);
        }
        assert_eq!(raw_observed("[2001:db8::1]:7".parse().unwrap()).family, 6);
        for origin in [Origin::Unspecified, Origin::Reported, Origin::Observed, Origin::Relay] {
            let tagged = TaggedAddress::new("192.0.2.1:7".parse().unwrap(), origin);
            assert_eq!(address(&raw_address(tagged)), Some(tagged));
        }
    }

    #[test]
    fn every_error_has_a_name() {
        let names = (-9..0).rev().map(error_name).collect::<Vec<_>>();
        let expected = [
            "it failed",
            "it does not take what it was given",
            "it does not know the token",
            "it panicked",
            "it cannot do that",
            "it has no room",
            "what it concerns is gone",
            "what it needs cannot be reached",
            "it returned an error of no name",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_address_is_of_one_of_two_families() {
        let raw = raw_observed("192.0.2.1:7".parse().unwrap());
        let of_family = |family| address(&introd_address { family, ..raw }).map(|read| read.address.is_ipv4());
        assert_eq!([0, 3, 4, 5, 6, 7].map(of_family), [None, None, Some(true), None, Some(false), None]);
    }

    #[test]
    fn a_client_is_a_session_if_its_number_can_be_one() {
        let client = |id| introd_client { id, peer: NO_PEER };
        assert_eq!(session(&client(7)).map(SessionId::get), Some(7));
        for id in [0, 1 << 32, (1 << 32) + 7, u64::MAX] {
            assert_eq!(session(&client(id)), None, "{id}");
        }
    }

    #[test]
    fn of_addresses_the_first_count_and_all_of_them_must_be_of_a_family() {
        let mut many = [raw_observed("192.0.2.1:7".parse().unwrap()); 20];
        let read = |list: &[introd_address]| read_addresses(list.as_ptr(), list.len());
        assert_eq!([1, 16, 17, 20].map(|count| read(&many[..count])), [1, 16, 16, 16].map(Some));
        assert_eq!(read(&many[..0]), None);
        assert!(read_addresses(std::ptr::null(), 1).is_none());
        many[16].family = 5;
        assert_eq!(read(&many), Some(16), "it is not read");
        many[15].family = 5;
        assert_eq!(read(&many), None);
    }

    #[test]
    fn texts_are_cut_off_at_a_bound_and_never_within_a_character() {
        let read = |bytes: &[u8]| read_text(raw_bytes(bytes)).map(|text| text.len());
        let long = |length: usize| "x".repeat(length).into_bytes();
        assert_eq!([0, 1, 1023, 1024, 1025, 9999].map(|n| read(&long(n))), [0, 1, 1023, 1024, 1024, 1024].map(Some));
        let ends_with = |mut bytes: Vec<u8>, end: &[u8]| {
            bytes.extend(end);
            read(&bytes)
        };
        assert_eq!(ends_with(long(1022), "ä".as_bytes()), Some(1024));
        assert_eq!(ends_with(long(1023), "ä".as_bytes()), Some(1023), "it is cut off before the character");
        assert_eq!(ends_with(long(3), &"ä".as_bytes()[..1]), None, "it is not UTF-8");
        assert_eq!(ends_with(long(1022), b"\xff\xff\xff"), None);
        assert_eq!(read_text(introd_bytes { ptr: std::ptr::null(), len: 3 }), None);
        assert_eq!(read_text(introd_bytes { ptr: std::ptr::null(), len: 0 }).as_deref(), Some(""));
    }
}

//! The verdicts that plugins give.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::abi::{self, introd_verdict};
use crate::raw::raw;
use crate::values::{Address, Origin, PeerId};

/// A verdict on a lookup or a connect, or of a registry.
pub trait AnyVerdict: Sized + Send + 'static + sealed::Sealed {}

pub(crate) mod sealed {
    use crate::abi::introd_verdict;

    pub trait Sealed {
        /// Lays the verdict out as the ABI has it, and calls `hand_over` with it.
        fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R;

        /// The number of the verdict, if it has no details.
        fn simple(&self) -> Option<i32>;

        /// The verdict for a host of this minor version, which may be too old for it.
        #[must_use]
        fn for_host(self, _abi_minor: u32) -> Self
        where
            Self: Sized,
        {
            self
        }
    }
}

/// The verdict on a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupVerdict {
    /// The next plugin decides, then the script, then the server itself.
    Continue,
    /// Tell the asker to try these addresses, the best first. There must be at least one; the host sends the first 16.
    Redirect(Vec<Address>),
    /// Introduce the asker and this peer, which must be connected to this server, to each other.
    Introduce(PeerId),
    /// Introduce the asker and a peer to each other, with a relay. A host before ABI 1.3 has none: for it, this is [`Self::Introduce`] if the
    /// peer is named, else [`Self::Continue`].
    Relay(Relay),
    /// Refuse: the asker gets no answer, and the refusal is counted in `rtmfp_lookups_denied`.
    Deny,
    /// The asker gets no answer, and no refusal is counted.
    Ignore,
}

/// An introduction with a relay: if the two do not reach each other, the server passes their datagrams on.
///
/// This is the wish and the permission of the application that is asked, whatever its setting `RTMFP/Relay` says. If the other side is a
/// client of another application, that one must permit a relay, too, by its setting or its own policy. Without a relay, for want of that,
/// of ports or of room, the two are introduced all the same.
///
/// The smallest of all limits that policies and settings name holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relay {
    /// The peer, which must be connected to this server. `None` is the peer that was looked for: if it is not connected to this server, the
    /// asker is sent to the server that has it, and the policies there decide about relays.
    pub peer: Option<PeerId>,
    /// How many bytes of UDP payload the relay passes on in a second, both directions together. `None` leaves that to the settings.
    pub bytes_per_second: Option<NonZeroU64>,
    /// How long the relay lasts at most, from the moment when it is made, in whole milliseconds; less than one counts as one. `None` leaves
    /// that to the settings.
    pub lifetime: Option<Duration>,
}

impl Relay {
    fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
        let peer = self.peer.map(abi::introd_peer_id::from);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        hand_over(&introd_verdict {
            peer: peer.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            relay_bytes_per_second: self.bytes_per_second.map_or(0, NonZeroU64::get),
            relay_lifetime_ms: self.lifetime.map_or(0, milliseconds),
            ..of_kind(abi::INTROD_RELAY)
        })
    }
}

impl From<Relay> for LookupVerdict {
    fn from(relay: Relay) -> Self {
        Self::Relay(relay)
    }
}

impl LookupVerdict {
    /// Tells the asker to try this address, which a peer's packets come from.
    pub fn redirect(address: SocketAddr) -> Self {
        Self::Redirect(vec![Address::new(address, Origin::Observed)])
    }
}

/// The verdict on a connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectVerdict {
    /// This plugin accepts the client; the next plugin decides, then the script.
    Accept,
    /// Reject the client, with this reason.
    Reject(String),
    /// Tell the client to connect to this URI instead.
    Redirect(String),
}

/// The verdict of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryVerdict {
    /// The peer can be reached at these addresses.
    Found(Vec<Address>),
    /// No server has published the peer.
    NotFound,
}

/// The verdict of a registry of groups: members, the nearest neighbours first. The host uses the first 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersVerdict(pub Vec<PeerId>);

/// The first minor version of the ABI with relays.
const RELAY_SINCE: u32 = 3;

/// A verdict of this kind without details.
pub(crate) const fn of_kind(kind: i32) -> introd_verdict {
    introd_verdict {
        struct_size: size_of::<introd_verdict>() as u32,
        kind,
        addresses: std::ptr::null(),
        address_count: 0,
        peer: std::ptr::null(),
        text: raw(&[]),
        uri: raw(&[]),
        members: std::ptr::null(),
        member_count: 0,
        relay_bytes_per_second: 0,
        relay_lifetime_ms: 0,
    }
}

fn with_addresses<R>(addresses: &[Address], hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
    let addresses: Vec<abi::introd_address> = addresses.iter().copied().map(Into::into).collect();
    hand_over(&introd_verdict {
        addresses: addresses.as_ptr(),
        address_count: addresses.len(),
        ..of_kind(abi::INTROD_REDIRECT)
    })
}

impl AnyVerdict for LookupVerdict {}

impl sealed::Sealed for LookupVerdict {
    fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
        match self {
            Self::Continue => hand_over(&of_kind(abi::INTROD_CONTINUE)),
            Self::Deny => hand_over(&of_kind(abi::INTROD_DENY)),
            Self::Ignore => hand_over(&of_kind(abi::INTROD_IGNORE)),
            Self::Redirect(addresses) => with_addresses(addresses, hand_over),
            Self::Introduce(peer) => {
                let peer = (*peer).into();
                hand_over(&introd_verdict { peer: &raw const peer, ..of_kind(abi::INTROD_INTRODUCE) })
            }
            Self::Relay(relay) => relay.with_raw(hand_over),
        }
    }

    fn simple(&self) -> Option<i32> {
        match self {
            Self::Continue => Some(abi::INTROD_CONTINUE),
            Self::Deny => Some(abi::INTROD_DENY),
            Self::Ignore => Some(abi::INTROD_IGNORE),
            Self::Redirect(_) | Self::Introduce(_) | Self::Relay(_) => None,
        }
    }

    fn for_host(self, abi_minor: u32) -> Self {
        match self {
            Self::Relay(relay) if abi_minor < RELAY_SINCE => relay.peer.map_or(Self::Continue, Self::Introduce),
            verdict => verdict,
        }
    }
}

impl AnyVerdict for ConnectVerdict {}

impl sealed::Sealed for ConnectVerdict {
    fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
        match self {
            Self::Accept => hand_over(&of_kind(abi::INTROD_CONTINUE)),
            Self::Reject(text) => {
                hand_over(&introd_verdict { text: raw(text.as_bytes()), ..of_kind(abi::INTROD_REJECT) })
            }
            Self::Redirect(uri) => {
                hand_over(&introd_verdict { uri: raw(uri.as_bytes()), ..of_kind(abi::INTROD_REDIRECT) })
            }
        }
    }

    fn simple(&self) -> Option<i32> {
        matches!(self, Self::Accept).then_some(abi::INTROD_CONTINUE)
    }
}

impl AnyVerdict for RegistryVerdict {}

impl sealed::Sealed for RegistryVerdict {
    fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
        match self {
            Self::Found(addresses) => with_addresses(addresses, hand_over),
            Self::NotFound => hand_over(&of_kind(abi::INTROD_NOT_FOUND)),
        }
    }

    fn simple(&self) -> Option<i32> {
        matches!(self, Self::NotFound).then_some(abi::INTROD_NOT_FOUND)
    }
}

impl AnyVerdict for MembersVerdict {}

impl sealed::Sealed for MembersVerdict {
    fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R {
        let members: Vec<abi::introd_peer_id> = self.0.iter().copied().map(Into::into).collect();
        hand_over(&introd_verdict {
            members: members.as_ptr(),
            member_count: members.len(),
            ..of_kind(abi::INTROD_MEMBERS)
        })
    }

    fn simple(&self) -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    const PEER: PeerId = PeerId([7; 32]);

    #[test]
    fn a_relay_crosses_the_boundary_with_its_peer_and_its_limits() {
        let raw = |relay: Relay| {
            LookupVerdict::from(relay).with_raw(|raw| {
                // SAFETY: the verdict is laid out for the call, and a peer that is named is valid.
                let peer = unsafe { raw.peer.as_ref() }.map(|peer| PeerId::from(*peer));
                (raw.kind, peer, raw.relay_bytes_per_second, raw.relay_lifetime_ms)
            })
        };
        assert_eq!(raw(Relay::default()), (abi::INTROD_RELAY, None, 0, 0));
        let whole = Relay {
            peer: Some(PEER),
            bytes_per_second: NonZeroU64::new(64_000),
            lifetime: Some(Duration::from_secs(60)),
        };
        assert_eq!(raw(whole), (abi::INTROD_RELAY, Some(PEER), 64_000, 60_000));
        let lifetime = |time| raw(Relay { lifetime: Some(time), ..Relay::default() }).3;
        assert_eq!([Duration::ZERO, Duration::from_nanos(1), Duration::MAX].map(lifetime), [1, 1, u64::MAX]);
    }

    #[test]
    fn a_host_before_1_3_gets_verdicts_that_it_knows() {
        let named = LookupVerdict::Relay(Relay { peer: Some(PEER), ..Relay::default() });
        let plain = LookupVerdict::Relay(Relay::default());
        for (verdict, old) in [
            (named, LookupVerdict::Introduce(PEER)),
            (plain, LookupVerdict::Continue),
            (LookupVerdict::Deny, LookupVerdict::Deny),
            (LookupVerdict::Introduce(PEER), LookupVerdict::Introduce(PEER)),
        ] {
            assert_eq!([0, 2].map(|minor| verdict.clone().for_host(minor)), [old.clone(), old], "{verdict:?}");
            assert_eq!([3, 4].map(|minor| verdict.clone().for_host(minor)), [verdict.clone(), verdict]);
        }
    }
}

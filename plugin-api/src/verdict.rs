//! The verdicts that plugins give.

use std::net::SocketAddr;

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
    /// Refuse: the asker gets no answer, and the refusal is counted in `rtmfp_lookups_denied`.
    Deny,
    /// The asker gets no answer, and no refusal is counted.
    Ignore,
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
        }
    }

    fn simple(&self) -> Option<i32> {
        match self {
            Self::Continue => Some(abi::INTROD_CONTINUE),
            Self::Deny => Some(abi::INTROD_DENY),
            Self::Ignore => Some(abi::INTROD_IGNORE),
            Self::Redirect(_) | Self::Introduce(_) => None,
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

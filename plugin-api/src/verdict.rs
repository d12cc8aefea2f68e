//! What a plugin decides.

use std::net::SocketAddr;

use crate::abi::{self, introd_verdict};
use crate::raw::raw;
use crate::values::{Address, Origin, PeerId};

/// A decision of one of the kinds.
pub trait Verdict: Sized + Send + 'static + sealed::Sealed {}

pub(crate) mod sealed {
    use crate::abi::introd_verdict;

    pub trait Sealed {
        /// Lays the verdict out for the host, and hands it over.
        fn with_raw<R>(&self, hand_over: impl FnOnce(&introd_verdict) -> R) -> R;

        /// The kind, if that says all.
        fn simple(&self) -> Option<i32>;
    }
}

/// On a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupVerdict {
    /// Whoever is next decides: the next plugin, then the script, then the server.
    Continue,
    /// The asker is told to try these addresses, the best first. There must be one; the host sends 16 at most.
    Redirect(Vec<Address>),
    /// The asker and that peer, which is connected to this server, are introduced to each other.
    Introduce(PeerId),
    /// No: nothing is sent, and it is counted.
    Deny,
    /// Nothing is sent.
    Ignore,
}

impl LookupVerdict {
    /// The asker is told to try this address, from which a peer's packets come.
    pub fn redirect(address: SocketAddr) -> Self {
        Self::Redirect(vec![Address::new(address, Origin::Observed)])
    }
}

/// On a connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectVerdict {
    /// This plugin has nothing against it; the next decides.
    Accept,
    /// The client is turned away, and told this.
    Reject(String),
    /// The client is told to connect to this URI instead.
    Redirect(String),
}

/// Of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryVerdict {
    /// The peer can be reached there.
    Found(Vec<Address>),
    /// Nobody knows the peer.
    NotFound,
}

/// A verdict of a kind alone.
pub(crate) const fn of_kind(kind: i32) -> introd_verdict {
    introd_verdict {
        struct_size: size_of::<introd_verdict>() as u32,
        kind,
        addresses: std::ptr::null(),
        address_count: 0,
        peer: std::ptr::null(),
        text: raw(&[]),
        uri: raw(&[]),
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

impl Verdict for LookupVerdict {}

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

impl Verdict for ConnectVerdict {}

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

impl Verdict for RegistryVerdict {}

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

//! Who wants to meet whom.

use std::net::{IpAddr, SocketAddr};

use rtmfp::PeerId;
use smallvec::SmallVec;

/// The tag of an attempt. All known clients use 16 bytes.
pub(crate) type Tag = SmallVec<[u8; 16]>;

/// A side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The peer that looks for the other one: the initiator of the session.
    Asker,
    /// The peer that it looks for: the responder.
    Target,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Asker, Self::Target];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Asker => Self::Target,
            Self::Target => Self::Asker,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Asker => 0,
            Self::Target => 1,
        }
    }
}

/// Who is at a side. The limits for each client count by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A client of this server.
    Peer(PeerId),
    /// An asker without a session here, which is known by the address of its hello.
    Stranger(SocketAddr),
}

/// A side as the server knows it before the side is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who it is.
    pub client: Client,
    /// The address at which the server sees it. Its datagrams to the relay are of the same address family, and most likely from the same host.
    pub address: SocketAddr,
    /// Whether a handshake has proven that it is at that address.
    pub is_proven: bool,
}

impl Party {
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

/// An attempt of an asker to reach a target.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who asks.
    pub asker: Party,
    /// Who is asked for.
    pub target: Party,
    /// The tag of the asker's hellos.
    pub tag: &'a [u8],
}

impl Attempt<'_> {
    pub(crate) fn party(&self, side: Side) -> &Party {
        match side {
            Side::Asker => &self.asker,
            Side::Target => &self.target,
        }
    }
}

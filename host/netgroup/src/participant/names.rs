//! The names of permanent neighbours, and how far the search for each is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::{PeerId, SessionId};

/// A name, and how far the search for it is.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) search: Search,
    /// Since when it is found, if it is.
    pub(super) found: Option<Instant>,
    /// How many attempts have failed since the last success that lasted.
    pub(super) failures: u32,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The name is the own endpoint's: there is nothing to seek.
    Oneself,
    /// The next attempt is at this time.
    Waiting(Instant),
    /// A session is being opened.
    Opening { session: SessionId, until: Instant },
    /// An endpoint with the name has answered, and has not proved yet that it is a member.
    Proving { peer: PeerId, until: Instant },
    /// A member with the name is a neighbour.
    Found(PeerId),
}

impl Search {
    /// When something is to be done.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Waiting(until) | Self::Opening { until, .. } | Self::Proving { until, .. } => Some(until),
            Self::Oneself | Self::Found(_) => None,
        }
    }
}

/// The names that are sought in one group.
pub(super) type Names = BTreeMap<String, Named>;

/// When something is due for one of the names.
pub(super) fn due(names: &Names) -> Option<Instant> {
    names.values().filter_map(|named| named.search.due()).min()
}

/// The sessions that are being opened because of the names.
pub(super) fn opening(names: &Names) -> impl Iterator<Item = SessionId> {
    names.values().filter_map(|named| match named.search {
        Search::Opening { session, .. } => Some(session),
        _ => None,
    })
}

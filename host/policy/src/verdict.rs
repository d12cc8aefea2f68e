//! The verdicts of policies.

use introd_flash::server::Rejection;
use rtmfp::{PeerId, TaggedAddress};
use smallvec::SmallVec;

use crate::RelayTerms;

/// The addresses of a redirect. Most peers have two.
pub type Addresses = SmallVec<[TaggedAddress; 2]>;

/// The verdict of a plugin or a script on a lookup, a connect or a join.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The policy leaves the decision to the next one, or after the last one to the built-in behaviour.
    Continue,
    /// Lookup: redirect the asker to these addresses, at least one.
    Redirect(Addresses),
    /// Lookup: introduce the asker and this peer to each other. The peer is connected to this server.
    Introduce(PeerId),
    /// Lookup: introduce the two, and relay their datagrams if they do not meet otherwise.
    Relay(RelayVerdict),
    /// Lookup: refuse the lookup, and count it as denied. The asker gets no answer. A reason is for the log and the story alone.
    Deny(Option<Box<str>>),
    /// Lookup: do nothing.
    Ignore,
    /// Connect: reject the client with this status.
    Reject(Box<Rejection>),
    /// Join: the policy has named all members that are to be named to the newcomer.
    Handled,
    /// Query of a registry: these peers are members of the group, perhaps none.
    Members(Vec<PeerId>),
    /// The policy failed, for this reason.
    Failed(String),
}

/// The verdict that an asker and a peer are introduced to each other with a relay of the server.
///
/// It is a wish and a permission for the policy's own application: the introduction has a relay at this very lookup, whatever `RTMFP/Relay`
/// of that application says, if the application of the other side permits one too, by that setting or by its own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayVerdict {
    /// The peer; `None` if it is the one that is looked for. If that one is not connected to this server, it is looked for at the others.
    pub peer: Option<PeerId>,
    /// The limits that the policy sets for the pair.
    pub terms: RelayTerms,
}

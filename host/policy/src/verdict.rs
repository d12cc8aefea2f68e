//! The verdicts of policies.

use introd_flash::server::Rejection;
use rtmfp::{PeerId, TaggedAddress};
use smallvec::SmallVec;

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

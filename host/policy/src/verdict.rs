//! What a policy decides.

use introd_flash::server::Rejection;
use rtmfp::{PeerId, TaggedAddress};
use smallvec::SmallVec;

/// The addresses of a redirect; of most peers there are two.
pub type Addresses = SmallVec<[TaggedAddress; 2]>;

/// What a plugin or a script decides about a lookup, a connect or a join.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The next policy decides, or after the last one the built-in behaviour: it has nothing against it.
    Continue,
    /// Lookup: send the asker to these addresses, at least one.
    Redirect(Addresses),
    /// Lookup: introduce the asker and this peer, which is connected to this server, to each other.
    Introduce(PeerId),
    /// Lookup: refuse it, and count it as denied. The asker is told nothing.
    Deny,
    /// Lookup: do nothing.
    Ignore,
    /// Connect: reject the client with this status.
    Reject(Box<Rejection>),
    /// Join: the policy has named all members that are to be named to the newcomer.
    Handled,
    /// There is no decision, and why.
    Failed(String),
}

//! Which client has a peer ID that several clients show.

use rtmfp::{PeerId, SessionId};

/// Knows which session holds a peer ID: a certificate without static keys can be shown by anybody who has seen it, and a client that comes
/// back shows its own again while its old session has not ended.
pub trait PeerIds: Send + Sync {
    /// The session that lookups of the ID lead to; `None` if no session shows it.
    fn holder(&self, peer: &PeerId) -> Option<SessionId>;
}

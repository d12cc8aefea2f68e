//! A registry that servers share, as a test sees it.

use std::collections::HashMap;
use std::sync::Arc;

use introd_policy::registry::{LookupFuture, LookupResult, PeerSession, Registry, RegistryError};
use parking_lot::Mutex;
use rtmfp::{PeerId, TaggedAddress};
use tokio::sync::oneshot;

/// A registry that keeps what was published last, and answers when the test says so.
#[derive(Default)]
pub(in crate::serve) struct Published {
    peers: Mutex<HashMap<PeerId, (Vec<String>, PeerSession)>>,
    asked: Mutex<Vec<oneshot::Sender<LookupResult>>>,
}

impl Published {
    pub(in crate::serve) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The addresses and the session that were published of a peer.
    pub(in crate::serve) fn of(&self, peer: PeerId) -> Option<(Vec<String>, PeerSession)> {
        self.peers.lock().get(&peer).cloned()
    }

    /// How many lookups wait for an answer.
    pub(in crate::serve) fn waiting(&self) -> usize {
        self.asked.lock().len()
    }

    /// Answers the first lookup that waits.
    pub(in crate::serve) fn answer(&self, result: LookupResult) {
        let answer = self.asked.lock().remove(0);
        answer.send(result).unwrap();
    }
}

impl Registry for Published {
    fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), RegistryError> {
        Ok(())
    }

    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        self.peers.lock().insert(peer, (addresses, session));
        Ok(())
    }

    fn withdraw(&self, peer: &PeerId) {
        self.peers.lock().remove(peer);
    }

    fn lookup(&self, _: PeerId) -> LookupFuture {
        let (answer, answered) = oneshot::channel();
        self.asked.lock().push(answer);
        Box::pin(async { answered.await.unwrap_or(Ok(None)) })
    }
}

//! The answers to lookups, and the lookups that wait for theirs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use introd_plugin::{Address, PeerId};

/// The answer to a lookup: the peer's addresses, or `None` if no server has published the peer.
pub type Answer = Result<Option<Vec<Address>>, Failure>;

/// Receives an answer. It runs on the registry's thread and must not block.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Why a lookup has no answer, or a publication was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Redis cannot be reached.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// Redis refused the command.
    #[error("Redis refused: {0}")]
    Refused(Arc<str>),
    /// Too many lookups are pending.
    #[error("too many lookups wait for Redis")]
    Busy,
    /// This server has published `maxEntries` peers or `maxMemberships` memberships already.
    #[error("this server has published as much as <maxEntries> and <maxMemberships> allow")]
    Full,
}

/// The lookups that wait for Redis. Lookups of the same peer share one request.
#[derive(Default)]
pub(crate) struct PendingLookups {
    replies: HashMap<PeerId, Vec<Reply>>,
    /// Peers that Redis has not been asked about yet.
    queue: VecDeque<PeerId>,
    len: usize,
}

impl PendingLookups {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add(&mut self, peer: PeerId, reply: Reply) {
        self.len += 1;
        let replies = self.replies.entry(peer).or_default();
        replies.push(reply);
        if replies.len() == 1 {
            self.queue.push_back(peer);
        }
    }

    /// Whether Redis has been asked about all of them.
    pub(crate) fn is_asked(&self) -> bool {
        self.queue.is_empty()
    }

    /// Redis must be asked about all of them again.
    pub(crate) fn ask_again(&mut self) {
        self.queue = self.replies.keys().copied().collect();
    }

    /// The next peers to ask Redis about, `max` at most.
    pub(crate) fn next_batch(&mut self, max: usize) -> Vec<PeerId> {
        self.queue.drain(..self.queue.len().min(max)).collect()
    }

    /// Removes the lookups of a peer.
    pub(crate) fn take(&mut self, peer: &PeerId) -> Vec<Reply> {
        let replies = self.replies.remove(peer).unwrap_or_default();
        self.len -= replies.len();
        replies
    }

    /// Removes all lookups.
    pub(crate) fn take_all(&mut self) -> Vec<Reply> {
        std::mem::take(self).replies.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_of_the_same_peer_are_one_request() {
        let mut pending = PendingLookups::default();
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        for peer in [a, b, a] {
            pending.add(peer, Box::new(|_| ()));
        }
        assert_eq!(pending.next_batch(1), [a]);
        // A lookup that comes while Redis is asked shares that answer.
        pending.add(a, Box::new(|_| ()));
        assert_eq!(pending.next_batch(10), [b]);
        assert_eq!((pending.take(&a).len(), pending.len()), (3, 1));
        pending.add(a, Box::new(|_| ()));
        assert_eq!((pending.take_all().len(), pending.len(), pending.next_batch(10).len()), (2, 0, 0));
    }

    #[test]
    fn what_a_connection_has_not_answered_is_asked_by_the_next_one() {
        let mut pending = PendingLookups::default();
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        pending.add(a, Box::new(|_| ()));
        assert_eq!((pending.next_batch(10).len(), pending.is_asked()), (1, true));
        pending.add(b, Box::new(|_| ()));
        pending.ask_again();
        let mut again = pending.next_batch(10);
        again.sort_by_key(|peer| peer.0);
        assert_eq!((again, pending.is_asked()), (vec![a, b], true));
    }

    #[test]
    fn what_is_taken_out_is_not_asked_about_any_more() {
        let mut pending = PendingLookups::default();
        let peer = PeerId([1; 32]);
        assert_eq!((pending.take(&peer).len(), pending.len()), (0, 0));
        pending.add(peer, Box::new(|_| ()));
        pending.take_all();
        assert!(pending.next_batch(10).is_empty());
        // A later lookup is a request of its own.
        pending.add(peer, Box::new(|_| ()));
        assert_eq!(pending.next_batch(10), [peer]);
        pending.take(&peer);
        pending.add(peer, Box::new(|_| ()));
        assert_eq!((pending.next_batch(10).len(), pending.len()), (1, 1));
    }
}

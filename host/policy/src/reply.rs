//! Takes replies to the workers at which requests wait for them.

use std::sync::Arc;

use rtmfp::TaggedAddress;

use crate::registry::{LookupResult, RegistryError};
use crate::reply_queue::ReplyQueue;
use crate::request::RequestId;
use crate::verdict::Verdict;

/// The reply to a pending request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A plugin or a script has decided.
    Verdict(Verdict),
    /// The registry has answered.
    Resolved(Resolution),
}

/// The result of a lookup in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The peer can be reached at these addresses.
    Found(Arc<[TaggedAddress]>),
    /// No server knows the peer.
    Unknown,
    /// The registry failed.
    Failed(RegistryError),
    /// The registry did not answer in time.
    TimedOut,
}

impl From<LookupResult> for Resolution {
    fn from(result: LookupResult) -> Self {
        match result {
            Ok(Some(addresses)) => Self::Found(addresses.into()),
            Ok(None) => Self::Unknown,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Wakes the worker with that number. It must neither block nor fail.
type Wake = dyn Fn(u8) + Send + Sync;

/// Takes replies to the workers. No method blocks, and no reply is lost.
pub struct Replies {
    queues: Box<[ReplyQueue<(RequestId, Reply)>]>,
    wake: Box<Wake>,
}

impl Replies {
    /// Creates queues for that many workers. `wake` is called with the number of a worker whose queue was empty and gets a reply.
    pub fn new(workers: usize, wake: impl Fn(u8) + Send + Sync + 'static) -> Self {
        Self { queues: (0..workers).map(|_| ReplyQueue::default()).collect(), wake: Box::new(wake) }
    }

    /// Brings a reply to the worker at which the request waits.
    pub fn push(&self, request: RequestId, reply: Reply) {
        let worker = request.worker();
        let Some(queue) = self.queues.get(usize::from(worker)) else { return };
        if queue.push((request, reply)) {
            (self.wake)(worker);
        }
    }

    /// Whether replies for a worker have come since they were last taken.
    pub fn is_waiting(&self, worker: u8) -> bool {
        self.queues.get(usize::from(worker)).is_some_and(ReplyQueue::is_filled)
    }

    /// Takes the replies that have come for a worker.
    pub fn take(&self, worker: u8) -> Vec<(RequestId, Reply)> {
        self.exchange(worker, Vec::new())
    }

    /// The same. `empty` is used for the next replies: a worker that brings the memory of those that it took before spares others from
    /// allocating.
    pub fn exchange(&self, worker: u8, empty: Vec<(RequestId, Reply)>) -> Vec<(RequestId, Reply)> {
        match self.queues.get(usize::from(worker)) {
            Some(queue) => queue.take(empty),
            None => empty,
        }
    }
}

#[cfg(test)]
mod tests {
    // Not in the file of the queue: `tests/loom` compiles that with locks that work in its models only.
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_reply_goes_to_the_worker_of_its_request_which_is_woken_once() {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&woken);
        let replies = Replies::new(2, move |worker| noted.lock().unwrap().push(worker));
        let (first, second) = (RequestId::new(1, 5, 1), RequestId::new(1, 6, 1));
        let reply = |verdict| Reply::Verdict(verdict);
        assert!(!replies.is_waiting(1));
        replies.push(first, reply(Verdict::Deny(None)));
        replies.push(second, reply(Verdict::Continue));
        // There is no such worker.
        replies.push(RequestId::new(2, 5, 1), reply(Verdict::Deny(None)));
        assert_eq!(*woken.lock().unwrap(), [1]);
        assert_eq!([0, 1, 2].map(|worker| replies.is_waiting(worker)), [false, true, false]);
        assert_eq!((replies.take(0), replies.take(2)), (Vec::new(), Vec::new()));
        assert_eq!(replies.take(1), [(first, reply(Verdict::Deny(None))), (second, reply(Verdict::Continue))]);
        assert!(!replies.is_waiting(1) && replies.take(1).is_empty());
    }

    #[test]
    fn the_reader_is_woken_for_the_first_reply_and_the_queue_is_empty_once_it_is_taken() {
        let queue = ReplyQueue::default();
        assert!(!queue.is_filled() && queue.take(Vec::new()).is_empty());
        let mut taken = Vec::new();
        for _ in 0..2 {
            assert_eq!([1, 2, 3].map(|reply| queue.push(reply)), [true, false, false]);
            assert!(queue.is_filled());
            taken.clear();
            taken = queue.take(taken);
            assert_eq!(taken, [1, 2, 3]);
            assert!(!queue.is_filled() && queue.take(Vec::new()).is_empty());
        }
    }
}

//! The way of replies to the workers whose requests wait for them.

use std::sync::Arc;

use rtmfp::TaggedAddress;

use crate::registry::{LookupResult, RegistryError};
use crate::reply_queue::ReplyQueue;
use crate::request::RequestId;
use crate::verdict::Verdict;

/// What comes for a request that waits.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A plugin or a script has decided.
    Verdict(Verdict),
    /// The registry has answered.
    Resolved(Resolution),
}

/// What a lookup in the registry came to.
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

/// Wakes a worker, by its number. It must neither wait nor fail.
type Wake = dyn Fn(u8) + Send + Sync;

/// Takes replies to the workers. No thread waits here, and no reply is lost.
pub struct Replies {
    queues: Box<[ReplyQueue<(RequestId, Reply)>]>,
    wake: Box<Wake>,
}

impl Replies {
    /// Queues for that many workers. `wake` is called with the number of a worker whose queue has something again.
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

    /// Whether something has come for a worker since the last time.
    pub fn is_waiting(&self, worker: u8) -> bool {
        self.queues.get(usize::from(worker)).is_some_and(ReplyQueue::is_filled)
    }

    /// What has come for a worker since the last time.
    pub fn take(&self, worker: u8) -> Vec<(RequestId, Reply)> {
        self.queues.get(usize::from(worker)).map(ReplyQueue::take).unwrap_or_default()
    }
}

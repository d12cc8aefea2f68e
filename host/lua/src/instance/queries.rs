//! What handlers of an instance wait for: answers of the registry, of hosts of HTTP, and of the disk.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::disk::{Contents, FileState};
use introd_policy::http::{HttpFailure, HttpResponse};
use introd_policy::registry::{LookupResult, NeighborsResult};

/// How many queries of an instance may wait at a time.
const MAX_QUERIES: usize = 16_384;

/// What a query has come to.
pub(crate) enum QueryResult {
    /// An answer to `registry.lookup`.
    Addresses(LookupResult),
    /// An answer to `registry.groupNeighbors`.
    Members(NeighborsResult),
    /// An answer to `http.request` and its like.
    Http(Result<HttpResponse, HttpFailure>),
    /// What `file.read` and its like have read, and the place among the instance's reads, which is free when the script has it.
    File(Contents, #[allow(dead_code, reason = "it is kept")] Option<OwnedSemaphorePermit>),
    /// A file that `file.watch` watches has changed, or cannot be watched.
    Changed(Result<FileState, String>),
}

/// A query on its way. `None` if it was canceled.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Option<QueryResult>> + Send>>;

/// A query, with the token of the handler that waits for it.
pub(crate) struct Query {
    pub(crate) token: u64,
    pub(crate) answer: Answer,
}

/// The queries of an instance. Dropping it cancels them.
#[derive(Default)]
pub(crate) struct Queries {
    /// Those that the thread has yet to start.
    begun: RefCell<Vec<Query>>,
    /// How many have no result yet.
    running: Cell<usize>,
    /// Those that end with their script, by token.
    of_script: RefCell<HashMap<u64, oneshot::Sender<()>>>,
}

impl Queries {
    /// Whether there may be another query.
    pub(crate) fn must_have_room(&self) -> mlua::Result<()> {
        if self.running.get() < MAX_QUERIES {
            return Ok(());
        }
        Err(mlua::Error::runtime(format!("too many lookups, requests and reads wait: there may be {MAX_QUERIES}")))
    }

    /// Begins a query for the handler that waits with this token. It goes on if its script is replaced, and comes to nothing then.
    pub(crate) fn begin(&self, token: u64, answer: impl Future<Output = QueryResult> + Send + 'static) {
        self.add(token, Box::pin(async move { Some(answer.await) }));
    }

    /// The same for one that is given up with its script.
    pub(crate) fn begin_of_script(&self, token: u64, answer: impl Future<Output = QueryResult> + Send + 'static) {
        let (keep, mut canceled) = oneshot::channel();
        self.add(
            token,
            Box::pin(async move {
                tokio::select! {
                    biased;
                    _ = &mut canceled => None,
                    result = answer => Some(result),
                }
            }),
        );
        self.of_script.borrow_mut().insert(token, keep);
    }

    fn add(&self, token: u64, answer: Answer) {
        self.running.set(self.running.get() + 1);
        self.begun.borrow_mut().push(Query { token, answer });
    }

    /// The queries that were begun since the last call.
    pub(crate) fn take(&self) -> Vec<Query> {
        self.begun.take()
    }

    /// A query has a result.
    pub(crate) fn done(&self, token: u64) {
        self.running.set(self.running.get().saturating_sub(1));
        self.of_script.borrow_mut().remove(&token);
    }

    /// Gives up a query.
    pub(crate) fn cancel(&self, token: u64) {
        self.of_script.borrow_mut().remove(&token);
    }

    /// Gives up all queries that end with their script.
    pub(crate) fn cancel_all(&self) {
        self.of_script.take();
    }
}

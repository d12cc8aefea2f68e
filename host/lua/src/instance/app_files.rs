//! The files of an instance's application, as its script reads them.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::queries::QueryResult;
use crate::disk::{FileState, Files, NoFiles};

/// How many files of one instance may be read, or be read and not yet have been taken by the script, at a time. Further reads wait for their turn.
const MAX_READS: usize = 4;

/// Reads files of an application's folder.
pub(crate) struct AppFiles {
    files: Arc<dyn Files>,
    folder: PathBuf,
    places: Arc<Semaphore>,
}

impl Default for AppFiles {
    fn default() -> Self {
        Self::new(Arc::new(NoFiles), PathBuf::new())
    }
}

impl AppFiles {
    pub(crate) fn new(files: Arc<dyn Files>, folder: PathBuf) -> Self {
        Self { files, folder, places: Arc::new(Semaphore::new(MAX_READS)) }
    }

    /// Reads a file of at most `max` bytes.
    pub(crate) fn read(&self, name: String, max: u64) -> impl Future<Output = QueryResult> + Send + 'static {
        let (files, folder, places) = (Arc::clone(&self.files), self.folder.clone(), Arc::clone(&self.places));
        async move {
            let place = places.acquire_owned().await.ok();
            QueryResult::File(files.read(&folder, &name, max).await, place)
        }
    }

    /// Waits until a file is not in that state any more.
    pub(crate) fn watch(
        &self,
        name: &str,
        known: Option<FileState>,
    ) -> impl Future<Output = QueryResult> + Send + 'static {
        let watching = self.files.watch(&self.folder, name, known);
        async move { QueryResult::Changed(watching.await) }
    }
}

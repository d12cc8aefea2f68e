//! What a thread of scripts is told: which instances it has, and which of them have something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::host::handle::Shared;
use crate::host::thread::Opening;

/// The way to a thread.
#[derive(Default)]
pub(crate) struct Line {
    news: Mutex<News>,
    arrived: Notify,
    /// Whether the thread stands still and has been replaced: should it ever go on, it is to end, and to do nothing before.
    is_given_up: AtomicBool,
}

/// What has come since the thread last looked.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) openings: Vec<Opening>,
    pub(crate) ready: Vec<Arc<Shared>>,
    /// Whether nothing comes any more.
    pub(crate) is_closed: bool,
}

impl Line {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more instance. False if the thread takes no more.
    pub(crate) fn open(&self, opening: Opening) -> bool {
        let mut news = self.news();
        let is_open = !news.is_closed;
        if is_open {
            news.openings.push(opening);
            self.arrived.notify_one();
        }
        is_open
    }

    /// An instance has something to do.
    pub(crate) fn ready(&self, shared: &Arc<Shared>) {
        self.news().ready.push(Arc::clone(shared));
        self.arrived.notify_one();
    }

    /// The thread ends with the last of its instances.
    pub(crate) fn close(&self) {
        self.news().is_closed = true;
        self.arrived.notify_one();
    }

    /// The thread is replaced by another.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        self.close();
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Takes what has come; whether the line is closed stays.
    pub(crate) fn take(&self) -> News {
        let mut news = self.news();
        let is_closed = news.is_closed;
        std::mem::replace(&mut *news, News { is_closed, ..News::default() })
    }

    /// Waits until something has come since the last wait.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

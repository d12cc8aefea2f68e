//! The policy of an application instance, as the workers see it.

use std::path::Path;
use std::sync::Arc;

use crate::message::AppEvent;
use crate::{InstanceName, RequestId};
use introd_config::Application;

/// Decides for an instance, somewhere else: nothing here waits for it.
pub trait AppActor: Send + Sync {
    /// Tells it of something.
    ///
    /// # Errors
    /// Gives the event back when too many wait already.
    fn tell(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        let result = self.queue(event);
        self.wake();
        result
    }

    /// Puts something where it will find it once it is woken.
    ///
    /// # Errors
    /// Gives the event back when too many wait already.
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>>;

    /// Has it see to what is queued. To wake a thread takes longer than what it does for most events.
    fn wake(&self);

    /// The verdict on a request is wanted no more: its deadline has passed, or its client is gone.
    fn cancel(&self, request: RequestId);

    /// Whether it has ended, by itself: nobody is to be sent to it any more.
    fn is_over(&self) -> bool;

    /// Whether it cannot decide, because its script does not load. It is of use again once that has changed.
    fn has_failed(&self) -> bool;

    /// About how many bytes of memory its script uses.
    fn memory(&self) -> usize {
        0
    }

    /// Has it run with other settings from now on. Clients stay.
    fn reconfigure(&self, settings: Arc<Application>);
}

/// Policies that are to be woken for what was queued.
#[derive(Default)]
pub struct ToWake(Option<Arc<dyn AppActor>>);

impl ToWake {
    /// One more event is queued for that policy.
    pub fn add(&mut self, actor: &Arc<dyn AppActor>) {
        if self.0.as_ref().is_some_and(|known| Arc::ptr_eq(known, actor)) {
            return;
        }
        self.wake();
        self.0 = Some(Arc::clone(actor));
    }

    /// Wakes those who have not been.
    pub fn wake(&mut self) {
        if let Some(actor) = self.0.take() {
            actor.wake();
        }
    }
}

/// Makes actors.
pub trait AppActors: Send + Sync {
    /// The actor of an instance whose application has that folder; `None` if there is nothing in it to run. What is there is
    /// loaded on a thread of the actor's; if it fails, the actor turns clients away.
    fn open(&self, name: &InstanceName, folder: &Path, settings: &Arc<Application>) -> Option<Arc<dyn AppActor>>;

    /// About how many bytes of memory the scripts of all of them use, of those included that are about to end.
    fn memory(&self) -> usize {
        0
    }
}

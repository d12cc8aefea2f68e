//! The policy of an application instance, as the workers see it.

use std::path::Path;
use std::sync::Arc;

use super::InstanceName;
use super::message::AppEvent;
use crate::config::Application;

/// Decides for an instance, somewhere else: nothing here waits for it.
pub trait Actor: Send + Sync {
    /// Tells it of something.
    ///
    /// # Errors
    /// Gives the event back when too many wait already.
    fn tell(&self, event: AppEvent) -> Result<(), Box<AppEvent>>;

    /// Whether it has ended, by itself: nobody is to be sent to it any more.
    fn is_over(&self) -> bool;

    /// Whether it cannot decide, because its script does not load. It is of use again once that has changed.
    fn has_failed(&self) -> bool;

    /// Has it run with other settings from now on. Clients stay.
    fn reconfigure(&self, settings: Arc<Application>);
}

/// Makes actors.
pub trait Actors: Send + Sync {
    /// The actor of an instance whose application has that folder; `None` if there is nothing in it to run. What is there is
    /// loaded on a thread of the actor's; if it fails, the actor turns clients away.
    fn open(&self, name: &InstanceName, folder: &Path, settings: &Arc<Application>) -> Option<Arc<dyn Actor>>;
}

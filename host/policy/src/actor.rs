//! The policy of an application instance, as the workers see it.

use std::path::Path;
use std::sync::Arc;

use crate::message::AppEvent;
use crate::{InstanceName, RequestId};
use introd_config::Application;

/// The handle of an instance's policy, which runs on a thread of its own. No method blocks.
pub trait AppActor: Send + Sync {
    /// Sends the policy an event and wakes it.
    ///
    /// # Errors
    /// Gives the event back when too many wait already.
    fn tell(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        let result = self.queue(event);
        self.wake();
        result
    }

    /// Queues an event, which the policy finds once it is woken.
    ///
    /// # Errors
    /// Gives the event back when too many wait already.
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>>;

    /// Wakes the policy to handle the queued events. Waking a thread takes longer than handling most events.
    fn wake(&self);

    /// Tells the policy that the verdict on a request is not needed any more: its deadline has passed, or its client is gone.
    fn cancel(&self, request: RequestId);

    /// Whether the policy has ended by itself: no further client should get this instance.
    fn is_over(&self) -> bool;

    /// Whether the policy cannot decide because its script does not load. It can decide again once the script has been mended.
    fn has_failed(&self) -> bool;

    /// About how many bytes of memory the policy's script uses.
    fn memory(&self) -> usize {
        0
    }

    /// Gives the policy other settings from now on. Clients stay.
    fn reconfigure(&self, settings: Arc<Application>);
}

/// Policies that are to be woken for what was queued.
#[derive(Default)]
pub struct ToWake(Option<Arc<dyn AppActor>>);

impl ToWake {
    /// Notes that an event is queued for that policy.
    pub fn add(&mut self, actor: &Arc<dyn AppActor>) {
        if self.0.as_ref().is_some_and(|known| Arc::ptr_eq(known, actor)) {
            return;
        }
        self.wake();
        self.0 = Some(Arc::clone(actor));
    }

    /// Wakes the policies for which events are queued.
    pub fn wake(&mut self) {
        if let Some(actor) = self.0.take() {
            actor.wake();
        }
    }
}

/// Makes actors.
pub trait AppActors: Send + Sync {
    /// The actor of an instance whose application has that folder; `None` if the folder has no script. The script is
    /// loaded on a thread of the actor's. If it does not load, the actor rejects clients.
    fn open(&self, name: &InstanceName, folder: &Path, settings: &Arc<Application>) -> Option<Arc<dyn AppActor>>;

    /// About how many bytes of memory the scripts of all actors use, including the actors that are about to end.
    fn memory(&self) -> usize {
        0
    }
}

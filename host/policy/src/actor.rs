//! The policy of an application instance, as the workers see it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::message::{AppEvent, ClientId, ClientInfo};
use crate::registry::GroupMember;
use crate::{InstanceName, RequestId, Totals};
use introd_config::Application;
use introd_flash::server::Publication;

/// An error of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedError {
    /// When it happened.
    pub at: SystemTime,
    /// The handler that it ended, the place in the script, and the message.
    pub text: Arc<str>,
}

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

    /// Whether the policy ends or has ended, because it was told [`AppEvent::Stop`] or by itself: no further client should get this instance.
    fn is_over(&self) -> bool;

    /// Whether the policy cannot decide because its script does not load. It can decide again once the script has been mended.
    fn has_failed(&self) -> bool;

    /// About how many bytes of memory the policy's script uses.
    fn memory(&self) -> usize {
        0
    }

    /// For how long the policy's script has kept its thread busy, not counting the time for which handlers wait.
    fn time(&self) -> Duration {
        Duration::ZERO
    }

    /// The file of the policy's script.
    fn file(&self) -> Option<PathBuf> {
        None
    }

    /// The last errors of the policy's script, the oldest first. The number is bounded.
    fn errors(&self) -> Vec<LoggedError> {
        Vec::new()
    }

    /// The clients that it was told of and whose end it was not told of, with what a policy in another process has to know of each.
    fn clients(&self) -> Vec<KnownClient> {
        Vec::new()
    }

    /// The members of groups that it has published in the registry.
    fn published_members(&self) -> Vec<PublishedMember> {
        Vec::new()
    }

    /// Whether it has yet to look at an event, or to send what it wants done. Handlers that wait for something else do not count.
    fn is_busy(&self) -> bool {
        false
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

/// A client that a policy was told of.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownClient {
    /// The client.
    pub client: ClientId,
    /// Whether it is accepted. If not, it waits for a decision or was rejected, and the policy is told when it is gone.
    pub is_accepted: bool,
    /// What the policy was told of it when it asked to connect.
    pub info: Arc<ClientInfo>,
    /// Where its packets come from now.
    pub far_address: SocketAddr,
    /// The addresses that it has reported.
    pub reported: Vec<SocketAddr>,
    /// Its groups: the number of the membership, and the digest.
    pub groups: Vec<(u64, [u8; 32])>,
    /// The streams that it publishes to the server, as the policy has allowed: the policy is told when each of them ends.
    pub publications: Vec<Publication>,
    /// What it waits for.
    pub open: Vec<OpenCall>,
}

/// What a client waits for, and a policy has not answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OpenCall {
    /// The result of its call with this transaction number.
    Call(f64),
    /// Whether it may publish; with the number of the publication.
    Publication(u64),
}

/// The instance for which an actor is wanted.
pub struct Opening<'a> {
    /// Its name.
    pub name: &'a InstanceName,
    /// The folder of its application.
    pub folder: &'a Path,
    /// Its settings.
    pub settings: &'a Arc<Application>,
    /// Counts what its clients do.
    pub totals: &'a Arc<dyn Totals>,
    /// What the instance had in another process, if it comes from there.
    pub taken_over: Option<FormerInstance>,
}

/// What an instance had in another process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FormerInstance {
    /// The clients that its policy was told of.
    pub clients: Vec<KnownClient>,
    /// What its policy has published in the registry.
    pub members: Vec<PublishedMember>,
}

/// A member of a group that a policy has published in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedMember {
    /// The member.
    pub member: GroupMember,
    /// The membership with which it ends: the client, and the digest of the group. `None`: it ends when the policy says so.
    pub follows: Option<(ClientId, [u8; 32])>,
}

/// Makes actors.
pub trait AppActors: Send + Sync {
    /// The actor of an instance; `None` if the folder of its application has no script. The script is loaded on a thread of the actor's. If it
    /// does not load, the actor rejects clients.
    fn open(&self, opening: Opening<'_>) -> Option<Arc<dyn AppActor>>;

    /// About how many bytes of memory the scripts of all actors use, including the actors that are about to end.
    fn memory(&self) -> usize {
        0
    }

    /// For how long the scripts of all actors have kept their threads busy, those included that have ended.
    fn time(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rtmfp::SessionId;

    use super::*;
    use crate::message::ClientId;

    /// A policy that counts what it gets.
    #[derive(Default)]
    struct Counted {
        queued: AtomicUsize,
        woken: AtomicUsize,
        is_full: bool,
    }

    impl AppActor for Counted {
        fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
            self.queued.fetch_add(1, Ordering::Relaxed);
            if self.is_full { Err(Box::new(event)) } else { Ok(()) }
        }
        fn wake(&self) {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
        fn cancel(&self, _: RequestId) {}
        fn is_over(&self) -> bool {
            false
        }
        fn has_failed(&self) -> bool {
            false
        }
        fn reconfigure(&self, _: Arc<Application>) {}
    }

    impl Counted {
        fn counts(&self) -> (usize, usize) {
            (self.queued.load(Ordering::Relaxed), self.woken.load(Ordering::Relaxed))
        }
    }

    fn gone() -> AppEvent {
        AppEvent::Disconnect { client: ClientId { worker: 0, session: SessionId::from_wire(1) } }
    }

    #[test]
    fn an_event_that_is_told_is_queued_and_wakes_even_if_there_is_no_room() {
        let actor = Counted::default();
        assert!(actor.tell(gone()).is_ok());
        assert_eq!(actor.counts(), (1, 1));
        let full = Counted { is_full: true, ..Counted::default() };
        assert!(matches!(full.tell(gone()).map_err(|event| *event), Err(AppEvent::Disconnect { .. })));
        assert_eq!(full.counts(), (1, 1));
        assert_eq!(
            (full.memory(), full.time(), full.errors().len(), full.file()),
            (0, Duration::ZERO, 0, None),
            "it has no script"
        );
    }

    #[test]
    fn what_makes_no_scripts_uses_no_memory_and_no_time_for_them() {
        struct Nothing;
        impl AppActors for Nothing {
            fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
                None
            }
        }
        assert_eq!((Nothing.memory(), Nothing.time()), (0, Duration::ZERO));
    }

    #[test]
    fn each_policy_is_woken_once_for_all_that_is_queued_in_a_row() {
        let actors = [Arc::new(Counted::default()), Arc::new(Counted::default())];
        let [first, second] = actors.clone().map(|actor| actor as Arc<dyn AppActor>);
        let woken = || actors.each_ref().map(|actor| actor.counts().1);
        let mut to_wake = ToWake::default();
        to_wake.add(&first);
        to_wake.add(&first);
        assert_eq!(woken(), [0, 0]);
        // There is room for one: the one before is woken at once.
        to_wake.add(&second);
        assert_eq!(woken(), [1, 0]);
        to_wake.wake();
        to_wake.wake();
        assert_eq!(woken(), [1, 1]);
    }
}

//! A script of which a test says what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use introd_config::{Application, Config, Registered};
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, Opening, RequestId};
use parking_lot::Mutex;

/// A script that keeps the events of which it is told, and decides nothing: the test does.
pub(in crate::serve) struct Script {
    events: Mutex<Vec<AppEvent>>,
    /// How many more events it has room for.
    pub(in crate::serve) room: AtomicUsize,
    pub(in crate::serve) wakes: AtomicUsize,
    cancelled: Mutex<Vec<RequestId>>,
}

impl Script {
    pub(in crate::serve) fn new() -> Arc<Self> {
        let (events, cancelled) = (Mutex::default(), Mutex::default());
        Arc::new(Self { events, room: AtomicUsize::new(usize::MAX), wakes: AtomicUsize::new(0), cancelled })
    }

    /// Takes the events that have come.
    pub(in crate::serve) fn take(&self) -> Vec<AppEvent> {
        std::mem::take(&mut self.events.lock())
    }

    /// Takes the names of the events that have come.
    pub(in crate::serve) fn names(&self) -> Vec<String> {
        self.take().iter().map(name).collect()
    }

    /// Takes the one event that has come, which asks for a verdict.
    pub(in crate::serve) fn asked(&self) -> RequestId {
        match self.take().as_slice() {
            [AppEvent::Connect { request, .. }] => *request,
            [AppEvent::PeerLookup(lookup)] => lookup.request,
            others => panic!("{others:?}"),
        }
    }

    /// Takes the requests about which the script need not decide any more.
    pub(in crate::serve) fn cancelled(&self) -> Vec<RequestId> {
        std::mem::take(&mut self.cancelled.lock())
    }

    pub(in crate::serve) fn set_room(&self, room: usize) {
        self.room.store(room, Ordering::Relaxed);
    }
}

/// The name of an event: what its text begins with.
fn name(event: &AppEvent) -> String {
    format!("{event:?}").chars().take_while(|character| character.is_alphanumeric()).collect()
}

impl AppActor for Script {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        let less = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
        if less.is_err() {
            return Err(Box::new(event));
        }
        self.events.lock().push(event);
        Ok(())
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    fn cancel(&self, request: RequestId) {
        self.cancelled.lock().push(request);
    }

    fn is_over(&self) -> bool {
        false
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn reconfigure(&self, _: Arc<Application>) {}
}

/// Gives that script to each instance of an application that is registered.
pub(super) struct Only(pub(super) Arc<Script>);

impl AppActors for Only {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        Some(Arc::clone(&self.0) as Arc<dyn AppActor>)
    }
}

/// Registers an application with the settings of the others, changed by `change`.
pub(in crate::serve) fn with_application(config: &mut Config, name: &str, change: impl FnOnce(&mut Application)) {
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(&vhost.defaults);
    change(&mut settings);
    vhost.applications.insert(name.to_owned(), Registered::new(name.into(), Arc::new(settings)));
}

//! The limit on the memory of all scripts together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use introd_config::{Application, Config, Registered};
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, Opening, RequestId};
use parking_lot::Mutex;

use super::{localhost, plugins, request};
use crate::apps::{Applications, Refusal};

/// What the scripts of [`Heavy`] policies use.
#[derive(Default)]
struct Heap {
    policies: Mutex<Vec<Arc<Script>>>,
    /// Whether policies that are told to stop keep their memory until they are freed.
    is_slow: AtomicBool,
}

impl Heap {
    /// The policies that were told to stop have stopped.
    fn free(&self) {
        for script in self.policies.lock().iter().filter(|script| script.is_ending.load(Ordering::Relaxed)) {
            script.used.store(0, Ordering::Relaxed);
        }
    }
}

/// What the thread of a [`Heavy`] policy has.
#[derive(Default)]
struct Script {
    used: AtomicUsize,
    is_ending: AtomicBool,
}

/// A policy with a script that uses an eighth of a megabyte.
struct Heavy(Arc<Heap>, Arc<Script>);

const HEAVY: usize = 128 << 10;

impl AppActor for Heavy {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        if matches!(event, AppEvent::Stop) {
            self.1.is_ending.store(true, Ordering::Relaxed);
            if !self.0.is_slow.load(Ordering::Relaxed) {
                self.0.free();
            }
        }
        Ok(())
    }

    fn wake(&self) {}

    fn cancel(&self, _: RequestId) {}

    fn is_over(&self) -> bool {
        false
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn memory(&self) -> usize {
        self.1.used.load(Ordering::Relaxed)
    }

    fn reconfigure(&self, _: Arc<Application>) {}
}

/// Makes [`Heavy`] policies.
struct HeavyPolicies(Arc<Heap>);

impl AppActors for HeavyPolicies {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        let script = Arc::new(Script { used: HEAVY.into(), ..Script::default() });
        self.0.policies.lock().push(Arc::clone(&script));
        Some(Arc::new(Heavy(Arc::clone(&self.0), script)))
    }

    fn memory(&self) -> usize {
        self.0.policies.lock().iter().map(|script| script.used.load(Ordering::Relaxed)).sum()
    }
}

/// With an application `club` whose scripts use much, and a megabyte for eight of them.
fn heavy() -> (Arc<Applications>, Arc<Heap>) {
    let mut config = Config::built_in();
    config.server.max_script_memory = Some(1 << 20);
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(&vhost.defaults);
    settings.load_on_startup = true;
    let registered = Registered { has_script: true, ..Registered::new("club".into(), Arc::new(settings)) };
    vhost.applications.insert("club".to_owned(), registered);
    let heap = Arc::<Heap>::default();
    let actors: Arc<dyn AppActors> = Arc::new(HeavyPolicies(Arc::clone(&heap)));
    (Arc::new(Applications::new(config, Some(actors), plugins())), heap)
}

#[test]
fn instances_without_clients_end_early_when_scripts_use_nearly_all_their_memory() {
    let (applications, heap) = heavy();
    applications.open_at_start();
    let visit = |room: &str| applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost());
    let rooms = || {
        let mut rooms: Vec<_> = applications.table().all().map(|it| it.name().instance.clone()).collect();
        rooms.sort();
        rooms.concat()
    };
    // The first instance runs from the start, and stays without clients; an instance with a client stays too.
    drop(visit("_definst_").unwrap());
    let _stays = visit("1").unwrap();
    for room in ["2", "3", "4", "5"] {
        drop(visit(room).unwrap());
    }
    applications.end_idle_early();
    assert_eq!(rooms(), "12345_definst_", "three quarters are in use");
    drop(visit("6").unwrap());
    drop(visit("7").unwrap());
    heap.is_slow.store(true, Ordering::Relaxed);
    applications.end_idle_early();
    assert_eq!(rooms(), "14567_definst_", "the longest idle end; memory that is about to be freed counts as free");
    heap.free();
    applications.end_idle_early();
    assert_eq!(rooms(), "14567_definst_", "three quarters are in use again");
    let mut config = Config::clone(&applications.config());
    config.server.max_script_memory = Some(0);
    applications.reconfigure(config);
    applications.end_idle_early();
    assert_eq!(rooms(), "1_definst_", "instances that are needed stay, whatever they use");
}

#[test]
fn at_the_limit_of_their_memory_no_new_script_starts_and_those_there_are_go_on() {
    let (applications, heap) = heavy();
    let visit = |path: &str| applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost());
    let mut seats: Vec<_> = (0..8).map(|room| visit(&format!("club/{room}")).unwrap()).collect();
    let refusal = visit("club/8").err().unwrap();
    assert_eq!(refusal, Refusal::NoScriptMemory { max: 1 << 20 });
    assert!(refusal.is_for_lack_of_room() && refusal.for_log().contains("1 MB (MaxScriptMemory)"));
    assert_eq!(refusal.to_rejection().code, "NetConnection.Connect.Rejected");
    assert!(visit("club/7").is_ok() && visit("plain").is_ok(), "these need no new script");
    // An instance without clients makes room.
    drop(seats.pop());
    seats.push(visit("club/8").unwrap());
    assert_eq!(applications.instances(), 8);
    // An instance that was told to end makes room before its thread has freed its memory, as long as that is little.
    heap.is_slow.store(true, Ordering::Relaxed);
    for room in ["9", "10"] {
        drop(seats.pop());
        seats.push(visit(&format!("club/{room}")).unwrap());
    }
    drop(seats.pop());
    assert!(visit("club/11").is_err(), "the threads do not get to it");
    heap.free();
    seats.push(visit("club/11").unwrap());
    let mut config = Config::clone(&applications.config());
    config.server.max_script_memory = None;
    applications.reconfigure(config);
    let more: Vec<_> = (20..30).map(|room| visit(&format!("club/{room}")).unwrap()).collect();
    applications.end_idle_early();
    assert_eq!(applications.instances(), seats.len() + more.len(), "without a limit");
}

#[test]
fn as_many_instances_end_as_must_however_many_that_are_and_the_log_says_so() {
    let (applications, _heap) = heavy();
    let set = |max| {
        let mut config = Config::clone(&applications.config());
        config.server.max_script_memory = max;
        let vhost = &mut config.default_adaptor.default_vhost;
        (vhost.max_app_instances, vhost.max_app_instances_per_address) = (None, None);
        applications.reconfigure(config);
    };
    set(None);
    for room in 0..200 {
        drop(applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost()).unwrap());
    }
    set(Some(1 << 20));
    let warnings = || introd_log::testing::logged(tracing::Level::WARN, || applications.end_idle_early());
    let expected = "WARN scripts used more than three quarters of MaxScriptMemory: instances without clients end early \
                    used=786432 limit=1048576 ended=194";
    assert_eq!(warnings(), [expected]);
    assert_eq!(applications.instances(), 6);
    assert!(warnings().is_empty(), "nothing has to end now");
}

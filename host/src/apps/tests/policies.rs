//! Instances with a policy: how long they stay, and when they get a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use introd_config::{Application, Config, LookupMode, Registered};
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, Opening, RequestId};
use parking_lot::Mutex;

use super::{localhost, plugins, request};
use crate::apps::Applications;

#[test]
fn an_instance_with_a_script_has_a_say_in_mode_partial() {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    Arc::make_mut(&mut vhost.defaults).peer_lookup_events = LookupMode::Partial;
    let settings = Arc::clone(&vhost.defaults);
    vhost.applications.insert("a".to_owned(), Registered::new("/nonexistent".into(), settings));
    let plugins = plugins();
    let applications = Arc::new(Applications::new(config, Some(Arc::new(Makes::default())), plugins));
    let with = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let without = applications.admit(0, &request("rtmfp://host/b"), localhost()).unwrap();
    assert!(applications.guards().has(with.instance().id()));
    assert!(!applications.guards().has(without.instance().id()));
}

/// A policy that decides nothing, in the state that a test wants.
#[derive(Default)]
struct Idle {
    is_over: AtomicBool,
    has_failed: AtomicBool,
    stops: AtomicU64,
}

impl AppActor for Idle {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.stops.fetch_add(u64::from(matches!(event, AppEvent::Stop)), Ordering::Relaxed);
        Ok(())
    }

    fn wake(&self) {}

    fn cancel(&self, _: RequestId) {}

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn reconfigure(&self, _: Arc<Application>) {}
}

/// Makes [`Idle`] policies, and keeps them.
#[derive(Default)]
struct Makes(Mutex<Vec<Arc<Idle>>>);

impl AppActors for Makes {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        let actor = Arc::new(Idle::default());
        self.0.lock().push(Arc::clone(&actor));
        Some(actor)
    }
}

/// Applications of which "app" is registered, with the policies that they get.
fn with_policies(change: impl FnOnce(&mut Application)) -> (Arc<Applications>, Arc<Makes>) {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(vhost.application("app"));
    change(&mut settings);
    let registered = Registered::new("app".into(), Arc::new(settings));
    vhost.applications.insert("app".to_owned(), registered);
    let made = Arc::new(Makes::default());
    (Arc::new(Applications::new(config, Some(made.clone()), plugins())), made)
}

#[test]
fn an_instance_with_a_policy_waits_for_others_as_long_as_its_settings_say() {
    let (applications, made) = with_policies(|settings| settings.max_idle_time = Duration::from_secs(60));
    drop(applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap());
    applications.end_idle(Instant::now() + Duration::from_secs(50));
    assert_eq!(applications.instances(), 1);
    let seat = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    applications.end_idle(Instant::now() + Duration::from_secs(1000));
    assert_eq!((applications.instances(), made.0.lock().len()), (1, 1), "it has a client");
    drop(seat);
    applications.end_idle(Instant::now() + Duration::from_secs(61));
    assert_eq!(applications.instances(), 0);
    assert_eq!(made.0.lock()[0].stops.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_there_from_the_start_stays() {
    let (applications, made) = with_policies(|settings| settings.load_on_startup = true);
    applications.open_at_start();
    applications.open_at_start();
    assert_eq!((applications.instances(), made.0.lock().len()), (1, 1));
    let later = Instant::now() + Duration::from_secs(1 << 20);
    applications.end_idle(later);
    assert_eq!(applications.instances(), 1);
    drop(applications.admit(0, &request("rtmfp://host/app/other"), localhost()).unwrap());
    assert_eq!(applications.instances(), 2);
    applications.end_idle(later);
    assert_eq!(applications.instances(), 1, "only the first of an application is there from the start");
    // When it no longer runs from the start, it ends like any other, though it never had a client.
    let mut config = Config::clone(&applications.config());
    let registered = config.default_adaptor.default_vhost.applications.get_mut("app").unwrap();
    Arc::make_mut(&mut registered.settings).load_on_startup = false;
    applications.reconfigure(config);
    applications.end_idle(later);
    assert_eq!(applications.instances(), 0);
}

#[test]
fn a_policy_that_has_ended_is_followed_by_a_new_one() {
    let (applications, made) = with_policies(|_| ());
    let old = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    made.0.lock()[0].is_over.store(true, Ordering::Relaxed);
    let new = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    assert!(!Arc::ptr_eq(old.instance(), new.instance()));
    assert_eq!((applications.clients(), applications.instances(), made.0.lock().len()), (2, 1, 2));
    // A client that is still there is found in the old one, and in no other that came later.
    let id = old.instance().id();
    let other = applications.admit(0, &request("rtmfp://host/other"), localhost()).unwrap();
    assert!(applications.instance(id).is_some_and(|found| Arc::ptr_eq(&found, old.instance())));
    assert!(applications.hand_over().0.len() == 1, "another process goes on with the new one alone");
    drop(other);
    drop(old);
    assert!(applications.instance(id).is_none() && applications.instance(new.instance().id()).is_some());
    assert_eq!((applications.clients(), applications.instances()), (1, 1), "the new one stays");
    drop(new);
    assert_eq!((applications.clients(), applications.instances()), (0, 1));
}

#[test]
fn a_script_that_does_not_load_is_tried_again_by_the_next_client() {
    let (applications, made) = with_policies(|_| ());
    let first = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    made.0.lock()[0].has_failed.store(true, Ordering::Relaxed);
    drop(first);
    assert_eq!(applications.instances(), 0);
    drop(applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap());
    assert_eq!((applications.instances(), made.0.lock().len()), (1, 2));
}

#[test]
fn an_instance_ends_with_its_last_client_if_its_policy_is_of_no_use_then() {
    // Each row: whether the policy has ended, whether its script does not load, whether the instance runs from the start, whether it
    // stays.
    let cases = [
        (false, false, false, true),
        (true, false, false, false),
        (true, false, true, false),
        (false, true, false, false),
        (false, true, true, true),
        (false, false, true, true),
    ];
    for (is_over, has_failed, runs_from_start, stays) in cases {
        let (applications, made) = with_policies(|settings| settings.load_on_startup = runs_from_start);
        let visit = || applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
        let (first, second) = (visit(), visit());
        let id = first.instance().id();
        let policy = Arc::clone(&made.0.lock()[0]);
        policy.is_over.store(is_over, Ordering::Relaxed);
        policy.has_failed.store(has_failed, Ordering::Relaxed);
        drop(first);
        assert!(applications.instance(id).is_some(), "it has a client");
        drop(second);
        assert_eq!(applications.instance(id).is_some(), stays, "{is_over} {has_failed} {runs_from_start}");
        assert_eq!(policy.stops.load(Ordering::Relaxed), u64::from(!stays));
    }
}

#[test]
fn every_policy_is_told_when_the_server_stops() {
    let (applications, made) = with_policies(|_| ());
    let visit = |room: &str| applications.admit(0, &request(&format!("rtmfp://host/{room}")), localhost()).unwrap();
    let (_stays, _without_policy) = (visit("app/1"), visit("plain"));
    drop(visit("app/2"));
    applications.stop();
    let stops: Vec<u64> = made.0.lock().iter().map(|policy| policy.stops.load(Ordering::Relaxed)).collect();
    assert_eq!(stops, [1, 1]);
    assert_eq!(applications.instances(), 3, "they end by themselves");
}

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use introd_config::{Application, Config, Registered};
use introd_policy::{AppActor, AppActors, Opening, RequestId};
use tempfile::TempDir;

use super::*;
use crate::apps::tests::{localhost, plugins, request};

/// The policies of all instances.
#[derive(Default)]
struct Policies {
    reloads: AtomicU64,
    are_over: AtomicBool,
}

struct Policy(Arc<Policies>);

impl AppActor for Policy {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.0.reloads.fetch_add(u64::from(matches!(event, AppEvent::Reload)), Ordering::Relaxed);
        Ok(())
    }

    fn wake(&self) {}

    fn cancel(&self, _: RequestId) {}

    fn is_over(&self) -> bool {
        self.0.are_over.load(Ordering::Relaxed)
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn reconfigure(&self, _: Arc<Application>) {}
}

impl AppActors for Policy {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        Some(Arc::new(Policy(Arc::clone(&self.0))))
    }
}

/// With an application `club` that has a script in that folder.
fn applications(folder: &Path, change: impl FnOnce(&mut Application)) -> (Arc<Applications>, Arc<Policies>) {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(&vhost.defaults);
    change(&mut settings);
    let registered = Registered { has_script: true, ..Registered::new(folder.into(), Arc::new(settings)) };
    vhost.applications.insert("club".to_owned(), registered);
    let policies = Arc::new(Policies::default());
    (Arc::new(Applications::new(config, Some(Arc::new(Policy(Arc::clone(&policies)))), plugins())), policies)
}

#[test]
fn a_script_is_loaded_again_once_for_each_change_of_its_folder_if_it_is_watched() {
    for is_watched in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (applications, policies) = applications(folder.path(), |settings| settings.script.watch = is_watched);
        let _seat = applications.admit(0, &request("rtmfp://host/club"), localhost()).unwrap();
        let mut watch = Watch::default();
        let mut reloads = Vec::new();
        for file in [None, None, Some("main.lua"), None, Some("other.lua"), None] {
            if let Some(file) = file {
                std::fs::write(folder.path().join(file), "").unwrap();
            }
            watch.look(&applications);
            reloads.push(policies.reloads.load(Ordering::Relaxed));
        }
        assert_eq!(reloads, if is_watched { [0, 0, 1, 1, 2, 2] } else { [0; 6] });
    }
}

#[test]
fn the_caretaker_ends_instances_that_were_idle_for_too_long_and_those_whose_policy_has_ended() {
    let nowhere = Path::new("/nonexistent");
    // Each row: how long an instance may be idle, whether it runs from the start, whether its policy has ended, whether it stays.
    let long = Duration::from_secs(1 << 20);
    let cases = [
        (Duration::ZERO, false, false, false),
        (Duration::ZERO, true, false, true),
        (long, false, false, true),
        (long, false, true, false),
        (long, true, true, false),
    ];
    for (longest, runs_from_start, is_over, stays) in cases {
        let (applications, policies) = applications(nowhere, |settings| {
            (settings.max_idle_time, settings.load_on_startup) = (longest, runs_from_start);
        });
        let seat = applications.admit(0, &request("rtmfp://host/club"), localhost()).unwrap();
        let id = seat.instance().id();
        let weak = Arc::downgrade(&applications);
        policies.are_over.store(true, Ordering::Relaxed);
        assert!(look_after(&weak, &mut Watch::default()));
        assert!(applications.instance(id).is_some(), "it has a client");
        policies.are_over.store(false, Ordering::Relaxed);
        drop(seat);
        policies.are_over.store(is_over, Ordering::Relaxed);
        assert!(look_after(&weak, &mut Watch::default()));
        assert_eq!(applications.instance(id).is_some(), stays, "{longest:?} {runs_from_start} {is_over}");
        drop(applications);
        assert!(!look_after(&weak, &mut Watch::default()), "the caretaker ends with the applications");
    }
}

const FOR_EVER: Duration = Duration::from_secs(3600);

#[test]
fn the_caretaker_looks_again_and_again_until_it_is_dropped() {
    let (applications, _) = applications(Path::new("/nonexistent"), |settings| settings.max_idle_time = Duration::ZERO);
    let caretaker = Caretaker::start_with(&applications, Duration::from_millis(1), FOR_EVER, |_| ()).unwrap();
    for _ in 0..3 {
        drop(applications.admit(0, &request("rtmfp://host/club"), localhost()).unwrap());
        while applications.instances() > 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(Arc::weak_count(&applications), 1);
    drop(caretaker);
    assert_eq!(Arc::weak_count(&applications), 0, "its thread has ended");
}

#[test]
fn the_caretaker_ends_at_once_however_seldom_it_looks() {
    let (applications, _) = applications(Path::new("/nonexistent"), |_| ());
    drop(Caretaker::start_with(&applications, FOR_EVER, FOR_EVER, |_| ()).unwrap());
    assert_eq!(Arc::weak_count(&applications), 0);
}

#[test]
fn the_end_of_a_server_does_not_wait_for_a_caretaker_that_hangs() {
    let (returns, hangs) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || assert!(hangs.recv_timeout(FOR_EVER).is_err()));
    let caretaker = Caretaker { stop: None, thread: Some(thread), stop_timeout: Duration::ZERO };
    let lines = introd_log::testing::logged(tracing::Level::ERROR, || drop(caretaker));
    assert_eq!(lines, ["ERROR the caretaker waits for a disk; its thread is left behind"]);
    drop(returns);
}

#[test]
fn a_change_of_the_library_concerns_all_applications_that_use_it_and_one_of_a_folder_its_own() {
    let (own, library) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (applications, policies) = applications(own.path(), |settings| {
        settings.script.watch = true;
        settings.script.library = vec![library.path().to_owned()];
    });
    let mut config = Config::clone(&applications.config());
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut other = vhost.applications["club"].clone();
    other.folder = "/nonexistent".into();
    vhost.applications.insert("other".to_owned(), other);
    applications.reconfigure(config);
    let _seats = ["club/1", "club/2", "other"]
        .map(|path| applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost()).unwrap());
    let mut watch = Watch::default();
    watch.look(&applications);
    let mut reloads = |folder: &TempDir, file: &str| {
        std::fs::write(folder.path().join(file), "").unwrap();
        watch.look(&applications);
        policies.reloads.swap(0, Ordering::Relaxed)
    };
    assert_eq!([reloads(&own, "a.lua"), reloads(&library, "b.lua"), reloads(&own, "c.lua")], [2, 3, 2]);
}

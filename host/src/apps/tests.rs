use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::table::MAX_IDLE_INSTANCES;
use super::*;
use introd_config::Registered;
use introd_flash::amf::Value;
use introd_flash::server::ConnectRequest;
use introd_flash::uri::{AppPath, Uri};
use introd_policy::{Replies, RequestId};

fn request(text: &str) -> ConnectRequest {
    let uri = Uri::parse(text);
    ConnectRequest {
        path: AppPath::parse(&uri.path).unwrap(),
        uri,
        tc_url: text.to_owned(),
        query: String::new(),
        agent: String::new(),
        referrer: String::new(),
        page_url: String::new(),
        object_encoding: 0,
        object: Value::Null,
        arguments: Vec::new(),
    }
}

fn localhost() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn applications(change: impl FnOnce(&mut Config)) -> Arc<Applications> {
    let mut config = Config::built_in();
    change(&mut config);
    Arc::new(Applications::new(config, None, Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ()))))))
}

#[test]
fn an_instance_lives_as_long_as_it_has_clients() {
    let applications = applications(|_| ());
    let first = applications.admit(0, &request("rtmfp://host/chat/lobby"), localhost()).unwrap();
    let second = applications.admit(0, &request("rtmfp://host/chat/lobby"), localhost()).unwrap();
    let other = applications.admit(0, &request("rtmfp://host/chat"), localhost()).unwrap();
    let id = first.instance().id();
    assert_eq!(second.instance().id(), id);
    assert_ne!(other.instance().id(), id);
    assert_eq!(other.instance().name().to_string(), "chat/_definst_");
    assert_eq!((applications.clients(), applications.instances()), (3, 2));
    drop(first);
    assert_eq!(applications.instance(id).map(|instance| instance.clients()), Some(1));
    drop((second, other));
    assert!(applications.instance(id).is_none());
    assert_eq!((applications.clients(), applications.instances()), (0, 0));
    assert!(applications.table().is_clean(), "nothing is left behind");
}

#[test]
fn limits_hold_and_are_given_back() {
    let applications = applications(|config| {
        config.default_adaptor.default_vhost.max_connections = Some(2);
        config.default_adaptor.default_vhost.max_app_instances = Some(1);
    });
    let first = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let refusal = applications.admit(0, &request("rtmfp://host/b"), localhost()).err();
    assert_eq!(refusal, Some(Refusal::TooManyInstances));
    let second = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let refusal = applications.admit(0, &request("rtmfp://host/a"), localhost()).err();
    assert_eq!(refusal, Some(Refusal::TooManyConnections));
    drop((first, second));
    assert!(applications.admit(0, &request("rtmfp://host/b"), localhost()).is_ok());
}

#[test]
fn new_settings_reach_the_instances_there_are() {
    use introd_config::LookupMode;
    let applications = applications(|_| ());
    let seat = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    assert_eq!(seat.instance().settings().peer_lookup_events, LookupMode::None);
    let mut config = Config::built_in();
    let defaults = &mut config.default_adaptor.default_vhost.defaults;
    Arc::make_mut(defaults).peer_lookup_events = LookupMode::All;
    applications.reconfigure(config);
    assert_eq!(seat.instance().settings().peer_lookup_events, LookupMode::All);
}

#[test]
fn who_has_a_say_and_whom_the_rules_bar() {
    use introd_config::{Access, LookupMode, LookupsFrom};
    type Change = fn(&mut Config);
    fn settings(config: &mut Config) -> &mut Application {
        Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults)
    }
    // What the configuration says; whether the instance has a say; whether a client and a stranger from that address are barred.
    let cases: [(&str, Change, bool, bool, bool); 6] = [
        ("nothing", |_| (), false, false, false),
        (
            "a script that is not there",
            |config| settings(config).peer_lookup_events = LookupMode::All,
            true,
            false,
            false,
        ),
        ("mode Partial", |config| settings(config).peer_lookup_events = LookupMode::Partial, false, false, false),
        ("clients only", |config| settings(config).lookups_from = LookupsFrom::Clients, true, false, true),
        ("the adaptor", |config| config.default_adaptor.access = Access::nobody(), true, true, true),
        ("the virtual host", |config| config.default_adaptor.default_vhost.access = Access::nobody(), true, true, true),
    ];
    for (what, change, has_say, bars_clients, bars_strangers) in cases {
        let applications = applications(|_| ());
        let seat = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
        let id = seat.instance().id();
        assert!(!applications.guards().has(id));
        let mut config = Config::built_in();
        change(&mut config);
        applications.reconfigure(config);
        let instance = seat.instance();
        assert_eq!((instance.has_say(), applications.guards().has(id)), (has_say, has_say), "{what}");
        assert_eq!(instance.bars(localhost(), true), bars_clients, "{what}");
        assert_eq!(instance.bars(localhost(), false), bars_strangers, "{what}");
        assert_eq!(instance.permits(localhost()), !bars_clients, "{what}");
        // What holds for those who are nobody's clients, and look for nobody's.
        assert_eq!(applications.bars_strangers(0, localhost()), bars_strangers, "{what}");
        assert_eq!(applications.has_adaptor_rules(), what == "the adaptor");
        applications.reconfigure(Config::built_in());
        assert!(!applications.guards().has(id) && !applications.bars_strangers(0, localhost()), "{what}");
    }
}

#[test]
fn an_instance_with_a_script_has_a_say_in_mode_partial() {
    use introd_config::LookupMode;
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    Arc::make_mut(&mut vhost.defaults).peer_lookup_events = LookupMode::Partial;
    let settings = Arc::clone(&vhost.defaults);
    vhost.applications.insert("a".to_owned(), introd_config::Registered::new("/nonexistent".into(), settings));
    let plugins = Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ()))));
    let applications = Arc::new(Applications::new(config, Some(Arc::new(Makes::default())), plugins));
    let with = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let without = applications.admit(0, &request("rtmfp://host/b"), localhost()).unwrap();
    assert!(applications.guards().has(with.instance().id()));
    assert!(!applications.guards().has(without.instance().id()));
}

/// A policy that decides nothing, in the state that a test wants.
#[derive(Default)]
struct Idle {
    is_over: std::sync::atomic::AtomicBool,
    has_failed: std::sync::atomic::AtomicBool,
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
    fn open(&self, _: &InstanceName, _: &Path, _: &Arc<Application>) -> Option<Arc<dyn AppActor>> {
        let actor = Arc::new(Idle::default());
        self.0.lock().unwrap().push(Arc::clone(&actor));
        Some(actor)
    }
}

/// Applications of which "app" is registered, with the policies that they get.
fn with_policies(change: impl FnOnce(&mut Application)) -> (Arc<Applications>, Arc<Makes>) {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(vhost.application("app"));
    change(&mut settings);
    let registered = introd_config::Registered::new("app".into(), Arc::new(settings));
    vhost.applications.insert("app".to_owned(), registered);
    let made = Arc::new(Makes::default());
    (
        Arc::new(Applications::new(
            config,
            Some(made.clone()),
            Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ())))),
        )),
        made,
    )
}

#[test]
fn an_instance_with_a_policy_waits_for_others_as_long_as_its_settings_say() {
    let (applications, made) = with_policies(|settings| settings.max_idle_time = Duration::from_secs(60));
    drop(applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap());
    applications.end_idle(Instant::now() + Duration::from_secs(50));
    assert_eq!(applications.instances(), 1);
    let seat = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    applications.end_idle(Instant::now() + Duration::from_secs(1000));
    assert_eq!((applications.instances(), made.0.lock().unwrap().len()), (1, 1), "it has a client");
    drop(seat);
    applications.end_idle(Instant::now() + Duration::from_secs(61));
    assert_eq!(applications.instances(), 0);
    assert_eq!(made.0.lock().unwrap()[0].stops.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_there_from_the_start_stays() {
    let (applications, made) = with_policies(|settings| settings.load_on_startup = true);
    applications.open_at_start();
    applications.open_at_start();
    assert_eq!((applications.instances(), made.0.lock().unwrap().len()), (1, 1));
    let later = Instant::now() + Duration::from_secs(1 << 20);
    applications.end_idle(later);
    assert_eq!(applications.instances(), 1);
    drop(applications.admit(0, &request("rtmfp://host/app/other"), localhost()).unwrap());
    assert_eq!(applications.instances(), 2);
    applications.end_idle(later);
    assert_eq!(applications.instances(), 1, "only the first of an application is there from the start");
    // From now on it is not to be: then it goes like any other, though it never had a client.
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
    made.0.lock().unwrap()[0].is_over.store(true, Ordering::Relaxed);
    let new = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    assert!(!Arc::ptr_eq(old.instance(), new.instance()));
    assert_eq!((applications.clients(), applications.instances(), made.0.lock().unwrap().len()), (2, 1, 2));
    drop(old);
    assert_eq!((applications.clients(), applications.instances()), (1, 1), "the new one stays");
    drop(new);
    assert_eq!((applications.clients(), applications.instances()), (0, 1));
}

#[test]
fn a_script_that_does_not_load_is_tried_again_by_the_next_client() {
    let (applications, made) = with_policies(|_| ());
    let first = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    made.0.lock().unwrap()[0].has_failed.store(true, Ordering::Relaxed);
    drop(first);
    assert_eq!(applications.instances(), 0);
    drop(applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap());
    assert_eq!((applications.instances(), made.0.lock().unwrap().len()), (1, 2));
}

#[test]
fn many_threads_leave_the_counts_right() {
    let applications = applications(|_| ());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let applications = &applications;
            scope.spawn(move || {
                for round in 0..500 {
                    let uri = format!("rtmfp://host/app/{}", (round + thread) % 3);
                    drop(applications.admit(0, &request(&uri), localhost()).unwrap());
                }
            });
        }
    });
    assert_eq!((applications.clients(), applications.instances()), (0, 0));
    assert!(applications.by_id.read().unwrap().is_empty());
}

/// A policy that does nothing.
struct Waits;

impl AppActor for Waits {
    fn queue(&self, _: AppEvent) -> Result<(), Box<AppEvent>> {
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

    fn reconfigure(&self, _: Arc<Application>) {}
}

impl AppActors for Waits {
    fn open(&self, _: &InstanceName, _: &Path, _: &Arc<Application>) -> Option<Arc<dyn AppActor>> {
        Some(Arc::new(Waits))
    }
}

/// With an application `club` that has a script.
fn scripted(change: impl FnOnce(&mut Config)) -> Arc<Applications> {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let registered = Registered { has_script: true, ..Registered::new("club".into(), Arc::clone(&vhost.defaults)) };
    vhost.applications.insert("club".to_owned(), registered);
    change(&mut config);
    Arc::new(Applications::new(
        config,
        Some(Arc::new(Waits)),
        Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ())))),
    ))
}

#[test]
fn the_longest_idle_instance_makes_room_in_a_full_virtual_host_and_none_with_clients_does() {
    let applications = scripted(|config| config.default_adaptor.default_vhost.max_app_instances = Some(2));
    let visit = |room: &str| applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost());
    let stays = visit("stays").unwrap();
    let (first, second) = (visit("first").unwrap(), visit("second").err());
    assert_eq!(second, Some(Refusal::TooManyInstances), "both have clients");
    let first_id = first.instance().id();
    drop(first);
    assert!(applications.instance(first_id).is_some(), "it waits for clients to come back");
    let second = visit("second").unwrap();
    assert_eq!(applications.instances(), 2);
    assert_eq!(second.instance().name().instance, "second");
    // A client that comes back finds its instance waiting no more.
    drop(second);
    let back = visit("second").unwrap();
    assert_eq!(visit("third").err(), Some(Refusal::TooManyInstances));
    drop((stays, back));
    assert_eq!(applications.table().waiting(), 2);
}

#[test]
fn quick_visits_to_ever_new_instances_leave_a_bounded_number_of_them() {
    let applications = scripted(|config| {
        config.default_adaptor.default_vhost.max_app_instances = None;
        config.default_adaptor.default_vhost.max_app_instances_per_address = None;
    });
    for room in 0..3 * MAX_IDLE_INSTANCES {
        drop(applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost()).unwrap());
    }
    assert_eq!(applications.instances(), MAX_IDLE_INSTANCES);
    let last = 3 * MAX_IDLE_INSTANCES - 1;
    let seat = applications.admit(0, &request(&format!("rtmfp://host/club/{last}")), localhost()).unwrap();
    assert_eq!(applications.instances(), MAX_IDLE_INSTANCES, "the last one was still there");
    drop(seat);
}

#[test]
fn one_address_makes_a_bounded_number_of_instances_and_keeps_no_other_out() {
    let applications = scripted(|config| config.default_adaptor.default_vhost.max_app_instances_per_address = Some(2));
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    let visit = |from: IpAddr, path: &str| applications.admit(0, &request(&format!("rtmfp://host/{path}")), from);
    let others = visit(elsewhere, "club/others").unwrap();
    drop(visit(elsewhere, "club/idle").unwrap());
    let (first, second) = (visit(localhost(), "club/1").unwrap(), visit(localhost(), "club/2").unwrap());
    let refusal = visit(localhost(), "club/3").err();
    let is_its = Refusal::TooManyInstancesOf(NetworkPrefix::of(localhost()));
    assert_eq!(refusal.as_ref(), Some(&is_its), "all of its own have clients; those of others do not end for it");
    let refusal = refusal.unwrap();
    assert!(refusal.is_for_lack_of_room());
    assert!(refusal.for_log().contains("127.0.0.1") && !refusal.to_rejection().description.contains("127.0.0.1"));
    assert_eq!(refusal.to_rejection().code, "NetConnection.Connect.Rejected");
    assert_eq!(applications.instances(), 4);
    // It may still be a client of instances that are there, of whomever, and of applications without a script.
    let (third, fourth) = (visit(localhost(), "club/others").unwrap(), visit(localhost(), "plain/1").unwrap());
    let fifth = visit(elsewhere, "club/1").unwrap();
    // An instance that no client is in any more makes room, and only then.
    drop(second);
    drop(visit(localhost(), "club/3").unwrap());
    let made: Vec<String> = applications.table().all().map(|it| it.name().instance.clone()).collect();
    assert!(!made.contains(&"2".to_owned()) && made.contains(&"3".to_owned()), "{made:?}");
    // Another's client keeps what the first has made, and it counts for the first.
    drop((first, visit(localhost(), "club/4").unwrap()));
    let fifth_id = fifth.instance().id();
    assert!(visit(localhost(), "club/5").is_ok() && applications.instance(fifth_id).is_some());
    drop((others, third, fourth, fifth));
    applications.end_idle(Instant::now() + Duration::from_secs(1 << 20));
    assert!(applications.table().is_clean(), "nothing is left behind");
}

#[test]
fn the_bound_by_address_is_that_of_a_virtual_host_and_changes_with_it() {
    let applications = scripted(|config| {
        let adaptor = &mut config.default_adaptor;
        adaptor.default_vhost.max_app_instances_per_address = Some(1);
        let other = introd_config::Vhost { name: "other".to_owned(), ..adaptor.default_vhost.clone() };
        adaptor.vhosts.push(other);
    });
    let visit =
        |host: &str, room: &str| applications.admit(0, &request(&format!("rtmfp://{host}/club/{room}")), localhost());
    let (_first, _second) = (visit("host", "1").unwrap(), visit("other", "1").unwrap());
    assert!(visit("host", "2").is_err() && visit("other", "2").is_err());
    let mut config = Config::clone(&applications.config());
    config.default_adaptor.default_vhost.max_app_instances_per_address = None;
    applications.reconfigure(config);
    assert!(visit("host", "2").is_ok() && visit("other", "2").is_err());
}

/// What the scripts of [`Heavy`] policies use.
#[derive(Default)]
struct Heap {
    policies: Mutex<Vec<Arc<Script>>>,
    /// Whether policies that are told to stop go on using memory until they are freed.
    is_slow: std::sync::atomic::AtomicBool,
}

impl Heap {
    /// The policies that were told to stop have stopped.
    fn free(&self) {
        for script in self.policies.lock().unwrap().iter().filter(|script| script.is_ending.load(Ordering::Relaxed)) {
            script.used.store(0, Ordering::Relaxed);
        }
    }
}

/// What the thread of a [`Heavy`] policy has.
#[derive(Default)]
struct Script {
    used: std::sync::atomic::AtomicUsize,
    is_ending: std::sync::atomic::AtomicBool,
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
    fn open(&self, _: &InstanceName, _: &Path, _: &Arc<Application>) -> Option<Arc<dyn AppActor>> {
        let script = Arc::new(Script { used: HEAVY.into(), ..Script::default() });
        self.0.policies.lock().unwrap().push(Arc::clone(&script));
        Some(Arc::new(Heavy(Arc::clone(&self.0), script)))
    }

    fn memory(&self) -> usize {
        self.0.policies.lock().unwrap().iter().map(|script| script.used.load(Ordering::Relaxed)).sum()
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
    (Arc::new(Applications::new(config, Some(actors), Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ())))))), heap)
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
    // The first is there from the start, and stays though it has had a client; so does one with a client.
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
    assert_eq!(rooms(), "14567_definst_", "the longest idle end; what is about to be freed counts as free");
    heap.free();
    applications.end_idle_early();
    assert_eq!(rooms(), "14567_definst_", "three quarters are in use again");
    let mut config = Config::clone(&applications.config());
    config.server.max_script_memory = Some(0);
    applications.reconfigure(config);
    applications.end_idle_early();
    assert_eq!(rooms(), "1_definst_", "those that are needed stay, whatever they use");
}

#[test]
fn at_the_limit_of_their_memory_no_new_script_starts_and_those_there_are_go_on() {
    let (applications, heap) = heavy();
    let visit = |path: &str| applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost());
    let mut seats: Vec<_> = (0..8).map(|room| visit(&format!("club/{room}")).unwrap()).collect();
    let refusal = visit("club/8").err().unwrap();
    assert_eq!(refusal, Refusal::NoScriptMemory { most: 1 << 20 });
    assert!(refusal.is_for_lack_of_room() && refusal.for_log().contains("1 MB (MaxScriptMemory)"));
    assert_eq!(refusal.to_rejection().code, "NetConnection.Connect.Rejected");
    assert!(visit("club/7").is_ok() && visit("plain").is_ok(), "these need no new script");
    // One that nobody is in any more makes room.
    drop(seats.pop());
    seats.push(visit("club/8").unwrap());
    assert_eq!(applications.instances(), 8);
    // What has been told to end makes room before its thread has got to it, as long as that is little.
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

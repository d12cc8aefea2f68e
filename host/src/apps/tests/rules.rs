//! Which rules decide about a client: those of its own adaptor, virtual host and application, as they are now.

use std::sync::Arc;
use std::time::Instant;

use introd_config::{Access, Adaptor, Application, Config, LookupMode, Registered, Vhost};
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, Opening, RequestId};
use parking_lot::Mutex;

use super::{applications, localhost, plugins, request};
use crate::apps::{Applications, Refusal};

/// The default adaptor and another one, each with its default virtual host and one called `named`.
fn two_by_two(config: &mut Config) {
    let named = Vhost { name: "named".into(), ..config.default_adaptor.default_vhost.clone() };
    config.default_adaptor.vhosts.push(named);
    config.adaptors.push(Adaptor { name: "other".into(), ..config.default_adaptor.clone() });
}

fn vhost(config: &mut Config, adaptor: usize, vhost: usize) -> &mut Vhost {
    let adaptor = if adaptor == 0 { &mut config.default_adaptor } else { &mut config.adaptors[0] };
    if vhost == 0 { &mut adaptor.default_vhost } else { &mut adaptor.vhosts[0] }
}

const PLACES: [(usize, usize); 4] = [(0, 0), (0, 1), (1, 0), (1, 1)];

fn uri(vhost: usize) -> &'static str {
    if vhost == 0 { "rtmfp://host/app" } else { "rtmfp://named/app" }
}

/// Whether a client is admitted at each of [`PLACES`].
fn admitted(applications: &Arc<Applications>) -> [bool; 4] {
    PLACES.map(|(adaptor, vhost)| match applications.admit(adaptor, &request(uri(vhost)), localhost()) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Access(localhost()));
            false
        }
    })
}

#[test]
fn a_client_is_refused_by_the_access_rules_of_its_own_adaptor_and_virtual_host() {
    type Change = fn(&mut Config);
    let cases: [(Change, [bool; 4]); 4] = [
        (|config| config.default_adaptor.access = Access::deny_all(), [false, false, true, true]),
        (|config| config.adaptors[0].access = Access::deny_all(), [true, true, false, false]),
        (|config| vhost(config, 0, 1).access = Access::deny_all(), [true, false, true, true]),
        (|config| vhost(config, 1, 0).access = Access::deny_all(), [true, true, false, true]),
    ];
    for (change, expected) in cases {
        let applications = applications(|config| {
            two_by_two(config);
            change(config);
        });
        assert_eq!(admitted(&applications), expected);
        // An existing instance has the same rules, once they are in force.
        let before = super::applications(two_by_two);
        let seats = PLACES.map(|(adaptor, vhost)| before.admit(adaptor, &request(uri(vhost)), localhost()).unwrap());
        before.reconfigure(Config::clone(&applications.config()));
        assert_eq!(seats.each_ref().map(|seat| seat.instance().permits(localhost())), expected);
        assert_eq!(seats.each_ref().map(|seat| !seat.instance().bars(localhost(), true)), expected);
        assert_eq!(seats.each_ref().map(|seat| !before.guards().has(seat.instance().id())), expected);
        assert_eq!([0, 1].map(|adaptor| before.adaptor_permits(adaptor, localhost())), {
            let config = applications.config();
            [config.default_adaptor.access.permits_all(), config.adaptors[0].access.permits_all()]
        });
    }
}

/// The access rules that deny the addresses of one network.
fn all_but_one_network() -> Access {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("_defaultRoot_")).unwrap();
    let xml = "<Adaptor><Allow>all</Allow><Deny>192.0.2</Deny><Order>Allow,Deny</Order></Adaptor>";
    std::fs::write(folder.path().join("_defaultRoot_/Adaptor.xml"), xml).unwrap();
    let loaded = Config::load(Some(folder.path())).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.config.default_adaptor.access
}

#[test]
fn an_instance_permits_the_addresses_that_its_rules_do_not_deny() {
    let access = all_but_one_network();
    let [denied, other] = ["192.0.2.5", "198.51.100.5"].map(|ip| ip.parse().unwrap());
    for is_of_vhost in [false, true] {
        let applications = applications(|config| {
            let adaptor = &mut config.default_adaptor;
            let place = if is_of_vhost { &mut adaptor.default_vhost.access } else { &mut adaptor.access };
            *place = access.clone();
        });
        let seat = applications.admit(0, &request(uri(0)), other).unwrap();
        assert_eq!([denied, other].map(|ip| seat.instance().permits(ip)), [false, true]);
        assert_eq!([denied, other].map(|ip| seat.instance().bars(ip, false)), [true, false]);
        assert!(applications.admit(0, &request(uri(0)), denied).is_err());
    }
}

#[test]
fn rules_of_an_adaptor_that_deny_some_are_noticed_whichever_adaptor_it_is() {
    for deny in [0, 1] {
        let applications = applications(|config| {
            two_by_two(config);
            let adaptor = if deny == 0 { &mut config.default_adaptor } else { &mut config.adaptors[0] };
            adaptor.access = Access::deny_all();
        });
        assert!(applications.has_adaptor_rules());
    }
}

#[test]
fn what_is_no_application_here_or_is_closed_admits_nobody() {
    let applications = applications(|config| {
        let vhost = &mut config.default_adaptor.default_vhost;
        vhost.accepts_unregistered = false;
        let closed = Registered {
            closed: Some("it is broken".into()),
            ..Registered::new("a".into(), Arc::clone(&vhost.defaults))
        };
        let open = Registered::new("b".into(), Arc::clone(&vhost.defaults));
        vhost.applications.extend([("closed".to_owned(), closed), ("open".to_owned(), open)]);
    });
    let visit = |name: &str| applications.admit(0, &request(&format!("rtmfp://host/{name}")), localhost()).err();
    assert_eq!(visit("open"), None);
    assert_eq!(visit("unknown"), Some(Refusal::NoApplication("unknown".to_owned())));
    let refusal = visit("closed").unwrap();
    assert_eq!(refusal, Refusal::Closed { application: "closed".to_owned(), reason: "it is broken".into() });
    assert!(refusal.for_log().contains("it is broken"));
    assert!(!refusal.to_rejection().description.contains("it is broken"), "clients are not told why");
    assert_eq!(applications.instances(), 0);
}

/// A policy that counts how often it gets other settings, and is told to end.
#[derive(Default)]
struct Counts(Mutex<(usize, usize)>);

impl AppActor for Counts {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.0.lock().1 += usize::from(matches!(event, AppEvent::Stop));
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

    fn reconfigure(&self, _: Arc<Application>) {
        self.0.lock().0 += 1;
    }
}

/// Gives every instance the same policy, if there is one.
struct Gives(Option<Arc<Counts>>);

impl AppActors for Gives {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        self.0.clone().map(|policy| policy as _)
    }
}

fn scripted(policy: Option<&Arc<Counts>>, change: impl FnOnce(&mut Registered)) -> Arc<Applications> {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let settings = Arc::new(Application::clone(&vhost.defaults));
    let mut registered = Registered { has_script: true, ..Registered::new("app".into(), settings) };
    change(&mut registered);
    vhost.applications.insert("app".to_owned(), registered);
    Arc::new(Applications::new(config, Some(Arc::new(Gives(policy.cloned()))), plugins()))
}

#[test]
fn only_changed_settings_reach_a_policy_and_an_application_that_is_closed_keeps_its_own() {
    let policy = Arc::new(Counts::default());
    let applications = scripted(Some(&policy), |_| ());
    let seat = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    let reconfigure = |change: fn(&mut Application)| {
        let mut config = Config::clone(&applications.config());
        let registered = config.default_adaptor.default_vhost.applications.get_mut("app").unwrap();
        change(Arc::make_mut(&mut registered.settings));
        applications.reconfigure(config);
    };
    applications.reconfigure(Config::clone(&applications.config()));
    assert_eq!(policy.0.lock().0, 0, "nothing has changed");
    reconfigure(|settings| settings.peer_lookup_events = LookupMode::All);
    assert_eq!((policy.0.lock().0, seat.instance().lookup_mode()), (1, LookupMode::All));
    assert!(applications.guards().has(seat.instance().id()));
    reconfigure(|settings| settings.peer_lookup_events = LookupMode::Denied);
    assert_eq!((policy.0.lock().0, seat.instance().lookup_mode()), (1, LookupMode::All), "its clients stay under it");
    // Access rules hold for them all the same.
    let mut config = Config::clone(&applications.config());
    config.default_adaptor.access = Access::deny_all();
    applications.reconfigure(config);
    assert!(!seat.instance().permits(localhost()));
}

#[test]
fn an_application_whose_script_cannot_be_started_admits_nobody() {
    let applications = scripted(None, |_| ());
    let refusal = applications.admit(0, &request("rtmfp://host/app"), localhost()).err();
    assert!(matches!(refusal, Some(Refusal::Closed { .. })), "{refusal:?}");
    let without = scripted(None, |registered| registered.has_script = false);
    assert!(without.admit(0, &request("rtmfp://host/app"), localhost()).is_ok());
}

#[test]
fn a_closed_application_is_not_opened_at_the_start() {
    let policy = Arc::new(Counts::default());
    for (is_closed, expected) in [(false, 1), (true, 0)] {
        let applications = scripted(Some(&policy), |registered| {
            Arc::make_mut(&mut registered.settings).load_on_startup = true;
            registered.closed = is_closed.then(|| "it is broken".into());
        });
        applications.open_at_start();
        assert_eq!(applications.instances(), expected);
    }
    let later = scripted(Some(&policy), |_| ());
    later.open_at_start();
    assert_eq!(later.instances(), 0, "it does not run from the start");
}

#[test]
fn an_instance_that_ends_is_told_once_and_gives_its_number_back() {
    let policy = Arc::new(Counts::default());
    let applications = scripted(Some(&policy), |_| ());
    let visit = || applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    let id = visit().instance().id();
    let later = Instant::now() + std::time::Duration::from_secs(1 << 30);
    applications.end_idle(later);
    applications.end_idle(later);
    assert_eq!((policy.0.lock().1, applications.instances()), (1, 0));
    assert!(applications.instance(id).is_none() && applications.by_id.read().is_empty());
    assert_eq!(visit().instance().id(), id);
}

#[test]
fn the_settings_of_an_instance_are_those_of_its_own_adaptor_and_virtual_host() {
    let applications = applications(two_by_two);
    let seats = PLACES.map(|(adaptor, vhost)| applications.admit(adaptor, &request(uri(vhost)), localhost()).unwrap());
    for (place, (adaptor, in_adaptor)) in PLACES.into_iter().enumerate() {
        let mut config = Config::built_in();
        two_by_two(&mut config);
        Arc::make_mut(&mut vhost(&mut config, adaptor, in_adaptor).defaults).max_lookup_rate = Some(77);
        applications.reconfigure(config);
        let rates = seats.each_ref().map(|seat| seat.instance().max_lookup_rate() == Some(77));
        assert_eq!(rates, [0, 1, 2, 3].map(|other| other == place));
    }
}

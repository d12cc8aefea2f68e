//! What holds where neither a client nor an instance is known, and what is asked of all instances.

use std::sync::Arc;

use introd_config::{Access, Adaptor, Application, Config, Registered, Vhost};

use super::{applications, localhost, request};

/// The default adaptor, whose default application is `hall`, and another one with `lobby`.
fn hall_and_lobby(config: &mut Config) {
    let set = |vhost: &mut Vhost, application: &str, rate| {
        application.clone_into(&mut vhost.default_application);
        Arc::make_mut(&mut vhost.defaults).max_lookup_rate = Some(rate);
    };
    let mut other = Adaptor { name: "other".into(), ..config.default_adaptor.clone() };
    set(&mut config.default_adaptor.default_vhost, "hall", 3);
    set(&mut other.default_vhost, "lobby", 5);
    config.adaptors.push(other);
}

#[test]
fn lookups_without_a_client_belong_to_the_default_application_of_their_adaptor() {
    let applications = applications(hall_and_lobby);
    for (adaptor, application, rate) in [(0, "hall", 3), (1, "lobby", 5), (2, "hall", 3)] {
        assert_eq!(applications.default_application(adaptor), application);
        assert_eq!(applications.default_settings(adaptor).max_lookup_rate, Some(rate));
        assert!(applications.default_instance(adaptor).is_none(), "it does not exist yet");
    }
    let visit = |adaptor, path: &str| {
        applications.admit(adaptor, &request(&format!("rtmfp://host/{path}")), localhost()).unwrap()
    };
    let _others = [visit(0, "hall/room"), visit(0, "lobby"), visit(1, "hall")];
    assert!([0, 1].iter().all(|adaptor| applications.default_instance(*adaptor).is_none()));
    let (hall, lobby) = (visit(0, "hall"), visit(1, "lobby"));
    for (adaptor, seat) in [(0, &hall), (1, &lobby), (2, &hall)] {
        assert!(applications.default_instance(adaptor).is_some_and(|found| Arc::ptr_eq(&found, seat.instance())));
    }
}

#[test]
fn strangers_are_barred_by_the_rules_of_their_own_adaptor() {
    let applications = applications(|config| {
        hall_and_lobby(config);
        config.adaptors[0].access = Access::deny_all();
    });
    assert_eq!([0, 1, 2].map(|adaptor| applications.bars_strangers(adaptor, localhost())), [false, true, false]);
    assert_eq!([0, 1, 2].map(|adaptor| applications.adaptor_permits(adaptor, localhost())), [true, false, true]);
}

#[test]
fn a_group_has_one_key_within_its_scope_and_others_outside() {
    use introd_config::{GroupScope, JoinLeaveMode};
    use introd_netgroup::{GroupDigest, GroupKey};

    let group = GroupDigest([1; 32]);
    // The keys of the group in two instances of one application, in another application, and in one of scope `server`.
    let keys = |change: &dyn Fn(&mut Application)| {
        let applications = applications(|config| {
            let vhost = &mut config.default_adaptor.default_vhost;
            let open = Arc::clone(&vhost.defaults);
            vhost.applications.insert("open".to_owned(), Registered::new("open".into(), open));
            change(Arc::make_mut(&mut vhost.defaults));
        });
        ["a", "a/room", "b", "open"].map(|path| {
            let seat = applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost()).unwrap();
            seat.instance().group_key(&group)
        })
    };
    let of_all = GroupKey::of(&group, &[]);
    assert_eq!(keys(&|_| ()), [of_all; 4]);
    let [first, room, other, open] = keys(&|settings| settings.group_scope = GroupScope::Application);
    assert_eq!((first, open), (room, of_all));
    assert!(first != other && first != of_all && other != of_all, "it is in none with clients of scope `server`");
    let by_instance = keys(&|settings| settings.group_scope = GroupScope::Instance);
    let [first_instance, room, other, _] = by_instance;
    assert!(first_instance != room && room != other && first_instance != other && first_instance != first);
    // A script that handles groups does so for its own instance, whatever the scope.
    assert_eq!(keys(&|settings| settings.join_leave_events = JoinLeaveMode::All), by_instance);
}

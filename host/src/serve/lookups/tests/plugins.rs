//! Lookups that native plugins decide about.

use std::time::Duration;

use introd_config::{Application, Fallback, LookupMode};
use introd_plugin::LookupVerdict;
use rtmfp::PeerId;

use super::counted;
use crate::introducer::Counter;
use crate::serve::testing::{Says, World, with_application, with_plugins};

/// A world in which the plugin `/first` is asked about the lookups of the application `app`, and `/second` about those of `other`.
fn world(change: impl Fn(&mut Application)) -> World {
    World::with_config(|config| {
        for (name, paths) in [("app", &["/first"][..]), ("other", &["/second", "/first"])] {
            with_application(config, name, |settings| {
                with_plugins(settings, paths);
                settings.policy.deadline = Duration::from_millis(400);
                change(settings);
            });
        }
        config.default_adaptor.default_vhost.default_application = "app".to_owned();
    })
}

#[test]
fn the_plugins_of_the_askers_application_are_asked_and_then_those_of_the_targets() {
    let mut world = world(|_| ());
    let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
    let [asker, target] = [world.accepted(), world.accepted_by("rtmfp://host/other")];
    let _ = [&first, &second].map(|plugin| plugin.calls());
    let wanted = world.ends[target].id;
    world.look_up(asker, wanted);
    assert_eq!(
        first.calls(),
        [
            "lookup of app by a client of app: [true, false, false]",
            "lookup of other by a client of app: [true, true, true]"
        ]
    );
    assert_eq!(second.calls(), ["lookup of other by a client of app: [true, true, false]"]);
    assert_eq!((counted(&world), world.ends[asker].met.as_slice()), ([1, 1, 1, 0, 0], &[wanted][..]));
}

#[test]
fn plugins_are_told_how_often_the_asker_has_asked() {
    let mut world = world(|_| ());
    let first = world.plugin("/first");
    let asker = world.accepted();
    first.calls();
    world.look_up(asker, PeerId([9; 32]));
    while world.count(Counter::Lookups) < 3 {
        world.advance(Duration::from_millis(100));
    }
    let asked = "lookup of app by a client of app: [false, false, false]";
    assert_eq!(first.calls(), [asked.to_owned(), format!("{asked}, attempt 2"), format!("{asked}, attempt 3")]);
    // Another lookup has a tag of its own.
    world.look_up(asker, PeerId([8; 32]));
    assert_eq!(first.calls(), [asked]);
}

#[test]
fn a_plugin_denies_a_lookup_at_once_or_later() {
    for is_later in [false, true] {
        let mut world = world(|_| ());
        let first = world.plugin("/first");
        let [asker, target] = [(); 2].map(|()| world.accepted());
        first.lookups.lock().push_back(if is_later { Says::Later } else { Says::Now(LookupVerdict::Deny) });
        let wanted = world.ends[target].id;
        world.look_up(asker, wanted);
        if is_later {
            assert_eq!((counted(&world), world.worker.pending.len()), ([1, 0, 0, 0, 0], 1));
            let completion = first.late_lookups.lock().remove(0);
            completion.complete(LookupVerdict::Deny).unwrap();
            world.exchange();
        }
        assert_eq!((counted(&world), world.worker.pending.len()), ([1, 0, 0, 1, 0], 0));
    }
}

#[test]
fn a_plugin_that_fails_or_is_late_has_the_fallback_of_the_settings() {
    for (fallback, expected) in [(Fallback::Continue, [1, 1, 1, 0, 0]), (Fallback::Deny, [1, 0, 0, 1, 0])] {
        for (case, failures) in [("fails", 1), ("fails later", 1), ("late", 0)] {
            let mut world = world(|settings| {
                (settings.policy.on_failure, settings.policy.on_deadline) = (fallback, fallback);
            });
            let first = world.plugin("/first");
            let [asker, target] = [(); 2].map(|()| world.accepted());
            first.lookups.lock().push_back(if case == "fails" { Says::Fails } else { Says::Later });
            first.calls();
            let wanted = world.ends[target].id;
            world.look_up(asker, wanted);
            match case {
                "fails later" => {
                    let completion = first.late_lookups.lock().remove(0);
                    completion.fail("it does not know").unwrap();
                    world.exchange();
                }
                "late" => {
                    world.advance(Duration::from_millis(399));
                    assert_eq!(counted(&world), [1, 0, 0, 0, 0]);
                    world.advance(Duration::from_millis(1));
                    assert_eq!(first.calls()[1], "cancel");
                    let completion = first.late_lookups.lock().remove(0);
                    assert!(completion.complete(LookupVerdict::Deny).is_err());
                }
                _ => (),
            }
            assert_eq!(counted(&world), expected, "{case} {fallback:?}");
            assert_eq!(world.count(Counter::PluginTimeouts), 1 - failures);
            let instance = world.services.applications.plugins().instances()[0].clone();
            assert_eq!((instance.account().failures(), instance.account().timeouts()), (failures, 1 - failures));
        }
    }
}

#[test]
fn the_plugins_of_the_default_application_are_asked_about_nobodys_lookups() {
    for mode in [LookupMode::None, LookupMode::All] {
        let mut world = world(|settings| settings.peer_lookup_events = mode);
        let first = world.plugin("/first");
        let stranger = world.add();
        world.look_up(stranger, PeerId([9; 32]));
        assert_eq!(first.calls(), ["lookup of app by a stranger of : [false, false, false]"]);
        let counted = [Counter::UnknownTargets, Counter::Unanswered].map(|counter| world.count(counter));
        assert_eq!(counted, if mode == LookupMode::None { [1, 0] } else { [0, 1] });
    }
}

#[test]
fn the_policy_of_the_default_application_holds_for_its_plugins() {
    for (fallback, expected) in [(Fallback::Deny, [1, 0, 0, 1, 0]), (Fallback::Continue, [1, 0, 0, 0, 1])] {
        let mut world = world(|settings| settings.policy.on_failure = fallback);
        let first = world.plugin("/first");
        first.lookups.lock().push_back(Says::Fails);
        let stranger = world.add();
        world.look_up(stranger, PeerId([9; 32]));
        assert_eq!(counted(&world), expected);
    }
}

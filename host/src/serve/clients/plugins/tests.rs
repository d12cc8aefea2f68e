//! What native plugins are asked and told of clients.

use std::time::Duration;

use introd_config::{Application, Fallback};
use introd_plugin::{ConnectVerdict, GroupVerdict};
use introd_policy::Verdict;

use crate::introducer::Counter;
use crate::serve::testing::{Says, World, with_application, with_plugins};

/// A world in which the plugins `/first` and `/second` are asked about the clients of the application `app`, and then its script.
fn world(change: impl FnOnce(&mut Application)) -> World {
    World::with_config(|config| {
        with_application(config, "app", |settings| {
            with_plugins(settings, &["/first", "/second"]);
            settings.policy.deadline = Duration::from_secs(5);
            change(settings);
        });
    })
}

#[test]
fn plugins_are_asked_in_their_order_and_then_the_script() {
    let mut world = world(|_| ());
    let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
    let client = world.add();
    world.connect(client, "rtmfp://host/app/room");
    let asked = format!("connect app/room {}", world.ends[client].address);
    assert_eq!((first.calls(), second.calls()), (vec![asked.clone()], vec![asked]));
    let request = world.script.asked();
    world.decide(request, Verdict::Continue);
    assert_eq!(world.ends[client].codes(), ["Connect.Success"]);
    world.leave(client);
    let told = vec!["disconnect app: closed by the far end".to_owned()];
    assert_eq!((first.calls(), second.calls()), (told.clone(), told));
}

#[test]
fn a_client_that_a_plugin_rejects_reaches_no_policy_after_it() {
    let mut world = world(|_| ());
    let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
    first.connects.lock().push_back(Says::Now(ConnectVerdict::Reject("no".to_owned())));
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    assert_eq!(world.ends[client].codes(), ["Connect.Rejected"]);
    world.seconds(1);
    assert_eq!(first.calls()[1..], ["disconnect app: rejected"], "it was asked, so it is told of the end, and once");
    assert!(second.calls().is_empty() && world.script.take().is_empty());
    assert_eq!(world.services.applications.clients(), 0);
}

#[test]
fn a_plugin_may_decide_later() {
    for (verdict, expected) in
        [(ConnectVerdict::Accept, "Connect.Success"), (ConnectVerdict::Reject("no".to_owned()), "Connect.Rejected")]
    {
        let mut world = world(|_| ());
        let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
        first.connects.lock().push_back(Says::Later);
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        assert!(second.calls().is_empty() && world.ends[client].heard.is_empty());
        assert_eq!(world.worker.pending.len(), 1);
        let completion = first.late_connects.lock().remove(0);
        completion.complete(verdict).unwrap();
        world.exchange();
        if expected == "Connect.Success" {
            assert_eq!(second.calls().len(), 1);
            let request = world.script.asked();
            world.decide(request, Verdict::Continue);
        }
        assert_eq!(world.ends[client].codes(), [expected]);
    }
}

#[test]
fn a_plugin_that_is_late_has_the_fallback_of_the_settings_and_is_told() {
    for (fallback, is_rejected) in [(Fallback::Deny, true), (Fallback::Continue, false)] {
        let mut world = world(|settings| settings.policy.on_deadline = fallback);
        let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
        first.connects.lock().push_back(Says::Later);
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        first.calls();
        world.seconds(5);
        assert_eq!(world.ends[client].codes(), if is_rejected { vec!["Connect.Rejected"] } else { vec![] });
        let told = first.calls();
        assert_eq!(told[0], "cancel");
        assert_eq!((told.len(), second.calls().len()), if is_rejected { (2, 0) } else { (1, 1) });
        assert_eq!(world.count(Counter::PluginTimeouts), 1);
        let late = world.services.applications.plugins().instances();
        assert_eq!(late.iter().map(|plugin| plugin.account().timeouts()).sum::<u64>(), 1);
        assert!(world.script.cancelled().is_empty());
        let completion = first.late_connects.lock().remove(0);
        assert!(completion.complete(ConnectVerdict::Accept).is_err(), "it comes too late");
    }
}

#[test]
fn a_plugin_that_fails_has_the_fallback_of_the_settings_and_its_failure_is_counted() {
    for is_later in [false, true] {
        let mut world = world(|settings| settings.policy.on_failure = Fallback::Deny);
        let first = world.plugin("/first");
        first.connects.lock().push_back(if is_later { Says::Later } else { Says::Fails });
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        if is_later {
            let completion = first.late_connects.lock().remove(0);
            completion.fail("it does not know").unwrap();
            world.exchange();
        }
        assert_eq!(world.ends[client].codes(), ["Connect.Rejected"]);
        let instance = world.services.applications.plugins().instances()[0].clone();
        assert_eq!(instance.account().failures(), 1);
    }
}

#[test]
fn a_client_that_goes_while_a_plugin_decides_is_told_to_those_that_were_asked() {
    let mut world = world(|_| ());
    let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
    first.connects.lock().push_back(Says::Later);
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    first.calls();
    world.leave(client);
    assert_eq!(first.calls(), ["cancel", "disconnect app: closed by the far end"]);
    assert!(second.calls().is_empty() && world.worker.pending.is_empty());
    assert_eq!(world.services.applications.clients(), 0);
}

#[test]
fn a_client_that_goes_while_the_script_decides_is_told_to_the_plugins_once() {
    let mut world = world(|_| ());
    let first = world.plugin("/first");
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    first.calls();
    let request = world.script.asked();
    world.leave(client);
    assert_eq!(first.calls(), ["disconnect app: closed by the far end"]);
    assert_eq!((world.script.cancelled(), world.script.names()), (vec![request], vec!["Disconnect".to_owned()]));
}

#[test]
fn plugins_are_told_where_clients_are() {
    let mut world = world(|_| ());
    let first = world.plugin("/first");
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    first.calls();
    world.seconds(2);
    world.move_to(client, ([203, 0, 113, 150], 7).into());
    assert!(first.calls().is_empty(), "it is no client yet");
    world.decide(request, Verdict::Continue);
    world.seconds(2);
    world.move_to(client, ([203, 0, 113, 151], 7).into());
    assert_eq!(first.calls(), ["address 203.0.113.151:7 true None"]);
    world.report(client, &[([192, 168, 0, 1], 5).into()]);
    assert_eq!(first.calls(), ["address 203.0.113.151:7 false Some([5])"]);
}

#[test]
fn a_plugin_may_name_the_members_of_a_group_itself() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| with_plugins(settings, &["/first", "/second"]));
    });
    let [first, second] = ["/first", "/second"].map(|path| world.plugin(path));
    let [one, other] = [(); 2].map(|()| world.accepted());
    let _ = [&first, &second].map(|plugin| plugin.calls());
    world.join(one, 1);
    assert_eq!((first.calls(), second.calls()), (vec!["join app 1".to_owned()], vec!["join app 1".to_owned()]));
    first.joins.lock().push_back(Says::Now(GroupVerdict::Handled));
    world.join(other, 1);
    assert_eq!((first.calls(), second.calls()), (vec!["join app 2".to_owned()], vec![]));
    assert!([one, other].iter().all(|end| world.ends[*end].hints.is_empty()), "the plugin has named all");
    world.leave(other);
    for plugin in [first, second] {
        assert_eq!(plugin.calls()[0], "leave app 1");
    }
}

#[test]
fn where_a_plugin_fails_at_a_join_the_server_names_members_if_the_settings_say_so() {
    for (fallback, expected) in [(Fallback::Continue, 2), (Fallback::Deny, 0)] {
        let mut world = World::with_config(|config| {
            with_application(config, "app", |settings| {
                with_plugins(settings, &["/first"]);
                settings.policy.on_failure = fallback;
            });
        });
        let [one, other] = [(); 2].map(|()| world.accepted());
        world.join(one, 1);
        let first = world.plugin("/first");
        // The plugin is there for the instances that are made from now on.
        let [third, fourth] = ["rtmfp://host/app/new"; 2].map(|uri| world.accepted_by(uri));
        world.join(third, 1);
        first.joins.lock().push_back(Says::Fails);
        world.join(fourth, 1);
        let hints: usize = [third, fourth].iter().map(|end| world.ends[*end].hints.len()).sum();
        assert_eq!(hints, expected);
        assert!(world.ends[other].hints.is_empty());
    }
}

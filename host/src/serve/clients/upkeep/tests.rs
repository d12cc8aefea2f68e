//! What becomes due: idle clients, closing sessions, and the end of the worker.

use std::time::Duration;

use introd_config::Config;
use introd_flash::metadata::FlowKind;
use rtmfp::CloseReason;

use crate::serve::mail::Mail;
use crate::serve::testing::{World, with_application};

/// A world that looks for idle clients every ten seconds, and closes those that were idle for a minute.
fn impatient(enable: bool) -> World {
    World::with_config(|config: &mut Config| {
        config.server.idle_check_interval = Duration::from_secs(10);
        with_application(config, "app", |settings| {
            settings.idle_clients.enable = enable;
            settings.idle_clients.max_idle_time = Duration::from_secs(60);
            settings.max_idle_time = Duration::from_secs(100);
        });
    })
}

#[test]
fn a_client_that_sends_no_message_for_too_long_is_told_so_and_closed() {
    let mut world = impatient(true);
    let [idle, busy] = [(); 2].map(|()| world.accepted());
    let session_only = world.add();
    world.open(session_only);
    world.seconds(30);
    world.call(busy, "x", 0.0, Vec::new());
    world.seconds(29);
    assert!(world.ends[idle].heard.is_empty());
    // The next look comes within the interval.
    world.seconds(11);
    assert_eq!(world.ends[idle].codes(), ["Connect.IdleTimeout"]);
    world.seconds(1);
    assert_eq!(world.ends[idle].closed, Some(CloseReason::Far));
    assert!(world.ends[busy].heard.is_empty(), "it has sent a message meanwhile");
    world.seconds(29);
    assert_eq!(world.ends[busy].codes(), ["Connect.IdleTimeout"]);
    assert_eq!(world.ends[session_only].closed, None, "it is no client of an application with such a limit");
}

#[test]
fn idle_clients_stay_where_the_settings_do_not_say_otherwise() {
    let mut world = impatient(false);
    let client = world.accepted();
    world.seconds(500);
    assert!(world.ends[client].heard.is_empty() && world.ends[client].closed.is_none());
}

#[test]
fn clients_are_looked_at_once_in_an_interval() {
    let mut world = impatient(true);
    let mut looked = Vec::new();
    let start = world.now;
    world.seconds(1);
    for _ in 0..4 {
        looked.push(world.worker.clients.idle_check.duration_since(start).as_secs());
        world.seconds(10);
    }
    assert_eq!(looked, [10, 20, 30, 40]);
}

#[test]
fn a_time_in_which_the_worker_stood_still_counts_for_no_client() {
    let mut world = impatient(true);
    let client = world.accepted();
    world.seconds(50);
    let session = world.session(client);
    let before = world.worker.clients.clients[&session].active;
    world.worker.stood_still(Duration::from_secs(30));
    assert_eq!(world.worker.clients.clients[&session].active, (before.instant() + Duration::from_secs(30)).into());
    // A close that is due, too, comes later by so much.
    world.ends[client].is_cut_off = true;
    let id = world.ends[client].id;
    world.deliver(Mail::Disconnect { session, peer: id, by: "a plugin" });
    let due = world.worker.clients.agenda.closing.next().unwrap();
    world.worker.stood_still(Duration::from_secs(5));
    assert_eq!(world.worker.clients.agenda.closing.next(), Some(due + Duration::from_secs(5)));
}

#[test]
fn a_request_that_waits_has_the_time_in_which_the_worker_stood_still() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.policy.deadline = Duration::from_secs(5));
    });
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    world.worker.stood_still(Duration::from_secs(5));
    world.seconds(9);
    assert!(world.ends[client].heard.is_empty());
    world.seconds(1);
    assert_eq!(world.ends[client].codes().len(), 1);
}

#[test]
fn the_worker_wakes_up_for_whatever_is_due_first() {
    let mut world = impatient(true);
    let client = world.accepted();
    let clients = &mut world.worker.clients;
    let session = clients.clients.keys().next().unwrap();
    let due = |seconds: u64| world.now + Duration::from_secs(seconds);
    assert_eq!(clients.next_timeout(), Some(clients.idle_check));
    clients.agenda.silence.insert(due(4), session);
    assert_eq!(clients.next_timeout(), Some(due(4)));
    clients.agenda.address_changes.insert(due(3), session);
    assert_eq!(clients.next_timeout(), Some(due(3)));
    clients.agenda.closing.insert(due(2), session);
    assert_eq!(clients.next_timeout(), Some(due(2)));
    clients.doubts.next = Some(due(1));
    assert_eq!(clients.next_timeout(), Some(due(1)));
    assert!(world.ends[client].closed.is_none());
}

#[test]
fn a_worker_that_stops_says_goodbye_and_waits_for_its_clients_but_not_for_ever() {
    let mut world = World::with_config(|_| ());
    let [client, session_only] = [world.client("rtmfp://host/chat"), world.add()];
    world.open(session_only);
    let now = world.now;
    assert!(!world.worker.is_over(now), "it does not stop");
    world.worker.begin_stop(now);
    assert!(!world.worker.is_over(now));
    world.exchange();
    assert_eq!(world.ends[session_only].closed, Some(CloseReason::Far));
    assert_eq!(world.ends[client].rejected, [world.ends[client].control.unwrap()], "AIR notices the end by this");
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert!(world.ends[client].flows_of(FlowKind::stream(0)).is_empty());
    let now = world.now;
    assert!(world.worker.is_over(now), "all have closed");
    // A client that does not answer is waited for.
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    world.ends[client].is_cut_off = true;
    let now = world.now;
    world.worker.begin_stop(now);
    world.exchange();
    world.advance(Duration::from_millis(2999));
    let now = world.now;
    assert!(!world.worker.is_over(now));
    world.advance(Duration::from_millis(1));
    let now = world.now;
    assert!(world.worker.is_over(now));
}

#[test]
fn sessions_that_their_far_ends_have_closed_are_not_waited_for() {
    let mut world = World::with_config(|_| ());
    let [before, after, aborts] = [(); 3].map(|()| world.client("rtmfp://host/chat"));
    world.leave(before);
    assert!(world.worker.endpoint.session_count() > 1, "it stays a while to answer a repeated close");
    let now = world.now;
    world.worker.begin_stop(now);
    world.leave(after);
    assert!(!world.worker.is_over(now));
    let session = world.ends[aborts].session.unwrap();
    world.ends[aborts].endpoint.abort(now, session);
    world.exchange();
    assert!(world.worker.is_over(now) && world.worker.endpoint.session_count() > 0);
}

#[test]
fn an_instance_without_clients_ends_when_its_time_has_come() {
    let mut world = impatient(false);
    let client = world.accepted();
    world.leave(client);
    world.seconds(90);
    assert_eq!(world.services.applications.instances(), 1);
    world.seconds(30);
    assert_eq!(world.services.applications.instances(), 0);
}

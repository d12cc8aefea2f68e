//! What a session's events do to a client, and what is left when it is gone.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use introd_config::{Access, Config};
use introd_flash::client;
use introd_flash::command::Encoding;
use introd_flash::message::{Message, kind};
use introd_flash::metadata::FlowKind;
use introd_policy::message::AppEvent;
use rtmfp::{CloseReason, Event, Refusal};

use crate::introducer::Counter;
use crate::serve::clients::agenda::{CLOSE_TIMEOUT, EXCEPTION_TIMEOUT};
use crate::serve::testing::{Published, Setup, World, with_application};

fn scripted() -> World {
    World::with_config(|config| with_application(config, "app", |_| ()))
}

#[test]
fn before_a_client_is_accepted_its_calls_are_refused_and_its_flows_rejected() {
    let mut world = scripted();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    world.call(client, "anything", 7.0, Vec::new());
    assert_eq!(world.ends[client].codes(), ["Call.Failed"]);
    let flow = world.join(client, 1);
    assert_eq!(world.ends[client].rejected, [flow]);
    world.report(client, &[]);
    let told = world.script.names();
    assert_eq!(told, ["Connect"], "nothing of that reaches the script");
    assert!(world.ends[client].closed.is_none(), "the connection goes on");
}

#[test]
fn a_flow_of_no_known_kind_is_rejected_and_makes_nobody_a_client() {
    let mut world = World::with_config(|_| ());
    let stranger = world.add();
    world.open(stranger);
    let now = world.now;
    let flow = world.ends[stranger].open_flow(now, FlowKind::GroupPeer(1));
    world.ends[stranger].send(now, flow, vec![1]);
    world.exchange();
    assert_eq!(world.ends[stranger].rejected, [flow]);
    assert_eq!(world.services.applications.clients(), 0);
}

#[test]
fn a_client_that_goes_is_forgotten_everywhere_and_its_script_is_told_last() {
    let shared = Published::new();
    let mut setup = Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() };
    with_application(&mut setup.config, "app", |_| ());
    let mut world = World::new(setup);
    let [client, other] = [(); 2].map(|()| world.accepted());
    world.join(client, 1);
    world.join(other, 1);
    let id = world.ends[client].id;
    let instance = Arc::clone(world.worker.clients.instance(world.session(other)).unwrap());
    let groups = Arc::clone(&world.services.groups);
    let members = || groups.groups().iter().map(|(_, size)| size).sum::<usize>();
    assert_eq!((members(), instance.clients(), world.worker.clients.clients.len()), (2, 2, 2));
    let silences = world.worker.clients.agenda.silence.len();
    world.leave(client);
    assert_eq!(world.script.names().last().map(String::as_str), Some("Disconnect"));
    assert_eq!((members(), instance.clients(), world.worker.clients.clients.len()), (1, 1, 1));
    assert_eq!(world.worker.clients.agenda.silence.len(), silences - 1);
    assert!(world.services.directory.lookup(&id).is_none() && shared.of(id).is_none());
    assert_eq!(world.count(Counter::GroupLeaves), 1);
    assert!(world.services.directory.lookup(&world.ends[other].id).is_some());
}

#[test]
fn a_client_that_moves_is_found_where_it_is_and_its_script_and_other_servers_are_told() {
    let shared = Published::new();
    let mut setup = Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() };
    with_application(&mut setup.config, "app", |_| ());
    let mut world = World::new(setup);
    let client = world.accepted();
    let (session, id, to) = (world.session(client), world.ends[client].id, ([203, 0, 113, 200], 9000).into());
    world.seconds(2);
    world.move_to(client, to);
    assert_eq!(world.session(client), session);
    assert_eq!(world.services.directory.lookup(&id).unwrap().observed, to);
    assert_eq!(shared.of(id).unwrap().0[0], "203.0.113.200:9000 (observed)");
    let events = world.script.take();
    let [AppEvent::FarAddressChange { client: of, address }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((of.session, *address), (session, to));
    assert!(world.ends[client].closed.is_none(), "the rules permit the address");
}

#[test]
fn a_client_that_moves_to_an_address_that_the_rules_deny_is_closed() {
    let mut world = World::with_config(|_| ());
    let [client, session_only] = [world.client("rtmfp://host/chat"), world.add()];
    world.open(session_only);
    let mut config = Config::clone(&world.services.applications.config());
    config.default_adaptor.default_vhost.access = Access::deny_all();
    world.services.applications.reconfigure(config);
    assert!(world.ends[client].closed.is_none(), "the rules are applied when the address changes");
    world.seconds(2);
    for (end, port) in [(client, 9000), (session_only, 9001)] {
        world.move_to(end, ([203, 0, 113, 200], port).into());
    }
    assert_eq!(world.ends[client].codes(), ["Connect.Rejected"]);
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert_eq!(world.ends[session_only].closed, None, "it is no client, and is checked when it asks to connect");
}

#[test]
fn a_close_rejects_the_control_flow_and_ends_the_session_a_moment_later() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (session, id) = (world.session(client), world.ends[client].id);
    world.deliver(crate::serve::mail::Mail::Disconnect { session, peer: id, by: "a plugin" });
    let control = world.ends[client].control.unwrap();
    assert_eq!(world.ends[client].rejected, [control], "this is how AIR notices the end");
    assert!(world.worker.clients.peer(session).is_none(), "it is no client any more");
    world.advance(EXCEPTION_TIMEOUT - Duration::from_millis(1));
    assert_eq!(world.ends[client].closed, None);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert!(world.worker.clients.clients.is_empty() && world.services.directory.is_empty());
}

#[test]
fn a_client_that_does_not_take_its_last_messages_is_closed_after_a_while() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (session, id) = (world.session(client), world.ends[client].id);
    world.ends[client].is_cut_off = true;
    world.deliver(crate::serve::mail::Mail::Disconnect { session, peer: id, by: "a plugin" });
    world.advance(CLOSE_TIMEOUT - Duration::from_millis(1));
    assert!(world.worker.endpoint.session(session).is_some());
    world.advance(Duration::from_millis(1));
    assert!(world.worker.endpoint.session(session).is_none());
}

#[test]
fn a_client_that_rejects_the_servers_control_flow_is_gone() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (now, session) = (world.now, world.session(client));
    let flow = world.ends[client].flows_of(FlowKind::stream(0))[0];
    world.ends[client].reject_flow(now, flow);
    world.exchange();
    assert!(world.worker.clients.peer(session).is_none());
    world.seconds(3);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
}

#[test]
fn a_client_that_closes_its_control_flow_is_gone() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (now, far) = (world.now, &mut world.ends[client]);
    let control = far.control.unwrap();
    far.close_flow(now, control);
    world.exchange();
    world.seconds(3);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert_eq!(world.services.applications.clients(), 0);
}

#[test]
fn a_session_that_goes_on_making_too_much_work_is_closed() {
    let mut world = World::with_config(|_| ());
    let [client, session_only] = [world.client("rtmfp://host/chat"), world.add()];
    world.open(session_only);
    for (end, counted) in [(client, 1), (session_only, 2)] {
        let session = world.session(end);
        world.event(Event::Overspent { session, is_persistent: false });
        assert_eq!(world.count(Counter::ClientsSlowed), counted);
    }
    world.seconds(5);
    assert!([client, session_only].iter().all(|end| world.ends[*end].closed.is_none()), "it is slowed, and not closed");
    for end in [client, session_only] {
        let session = world.session(end);
        world.event(Event::Overspent { session, is_persistent: true });
        if end == client {
            world.event(Event::Overspent { session, is_persistent: true });
        }
    }
    assert_eq!(world.ends[client].codes(), ["Connect.Closed"], "it is told once");
    assert_eq!(world.ends[session_only].closed, Some(CloseReason::Far), "there is nobody to tell");
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert_eq!(world.count(Counter::ClientsSlowed), 2);
}

#[test]
fn a_client_that_is_not_accepted_yet_and_makes_too_much_work_is_closed_as_well() {
    let mut world = scripted();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let session = world.session(client);
    world.event(Event::Overspent { session, is_persistent: true });
    world.advance(CLOSE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(world.ends[client].closed, None);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
}

#[test]
fn a_client_is_charged_for_what_its_messages_lead_to() {
    let slowed_after = |work: &dyn Fn(&mut World, usize)| {
        let mut setup = Setup::default();
        setup.endpoint.max_work = NonZeroU32::new(10_000);
        let mut world = World::new(setup);
        let client = world.client("rtmfp://host/chat");
        world.seconds(2);
        (1..3000).find(|_| {
            work(&mut world, client);
            world.count(Counter::ClientsSlowed) > 0
        })
    };
    // A datagram and an acknowledgement cost some units as well.
    let media = Message { kind: kind::VIDEO, timestamp: 0, payload: &[0; 1000] }.to_bytes();
    let video = slowed_after(&|world, client| world.say(client, media.clone())).unwrap();
    assert!((800..1300).contains(&video), "{video} short messages of media");
    let text = "x".repeat(1000);
    let calls = slowed_after(&|world, client| world.call(client, "x", 0.0, vec![text.as_str().into()])).unwrap();
    assert!((14..=16).contains(&calls), "{calls} calls: the bytes are decoded, and others are told");
    let reports = slowed_after(&|world, client| {
        world.say(client, client::set_peer_info(&[], Encoding::Amf0).unwrap());
    });
    assert!((40..48).contains(&reports.unwrap()), "{reports:?} reports of addresses");
}

#[test]
fn a_limit_that_keeps_a_session_out_is_named() {
    let mut world = World::with_config(|_| ());
    for (host, reason) in [Refusal::Sessions, Refusal::SessionsOfPrefix, Refusal::Keyings, Refusal::KeyingsOfPrefix]
        .into_iter()
        .enumerate()
    {
        world.event(Event::Refused { from: ([198, 51, 100, host as u8], 1).into(), reason });
    }
    let told = world.services.refusals.told();
    assert_eq!(told, ["MaxPendingHandshakes", "MaxPendingHandshakes", "MaxSessions", "MaxSessionsPerAddress"]);
}

//! What the story and the log have of clients.

use std::time::Duration;

use introd_config::Access;
use introd_flash::server::Rejection;
use introd_policy::Verdict;
use introd_policy::message::ClientCommand;

use crate::serve::mail::Mail;
use crate::serve::testing::{World, with_application};
use crate::stories::{Event, EventFilter, EventKind};

/// The names of the events in the story of a far end.
fn story(world: &World, end: usize) -> Vec<&'static str> {
    let events = world.services.stories.of_peer(world.ends[end].id, usize::MAX).events;
    events.iter().map(|event| event.kind.name()).collect()
}

/// The last event of a kind.
fn last(world: &World, kind: &str) -> Event {
    let filter = EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
    world.services.stories.find(&filter, 1).events.pop().unwrap_or_else(|| panic!("no {kind}"))
}

/// Who ended a connection, and why.
fn ended(world: &World) -> (String, String) {
    match last(world, "disconnect").kind {
        EventKind::Disconnect { reason, by } => (by.to_string(), reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Which policy refused a connect, and why.
fn refused(world: &World) -> (String, String) {
    match last(world, "connect_refused").kind {
        EventKind::ConnectRefused { policy, reason } => (policy.to_string(), reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The application and the instance of an event.
fn place(event: &Event) -> (&str, &str) {
    let place = event.place.as_ref().unwrap();
    (&place.application, &place.instance)
}

fn with_script() -> World {
    World::with_config(|config| with_application(config, "app", |_| ()))
}

#[test]
fn the_story_of_a_client_has_its_connect_its_addresses_its_moves_and_its_end() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat/room");
    let (id, address) = (world.ends[client].id, world.ends[client].address);
    let connect = last(&world, "connect");
    assert_eq!((connect.peer, connect.address, place(&connect)), (Some(id), Some(address), ("chat", "room")));
    let EventKind::Connect { agent, .. } = &connect.kind else { panic!() };
    assert!(!agent.is_empty());
    world.report(client, &[([192, 168, 1, 5], 7).into()]);
    let reported = [([192, 168, 1, 5], 7).into()].into_iter().collect();
    assert_eq!(last(&world, "addresses").kind, EventKind::Addresses { reported });
    world.seconds(2);
    world.move_to(client, ([198, 51, 100, 7], 9).into());
    let moved = last(&world, "moved");
    assert_eq!((moved.address, moved.kind), (Some(([198, 51, 100, 7], 9).into()), EventKind::Moved { from: address }));
    world.leave(client);
    let gone = last(&world, "disconnect");
    assert_eq!((gone.peer, gone.address), (Some(id), Some(([198, 51, 100, 7], 9).into())));
    assert_eq!((place(&gone), ended(&world).0), (("chat", "room"), "the client".to_owned()));
    assert_eq!(story(&world, client), ["connect", "addresses", "moved", "disconnect"]);
}

#[test]
fn a_refusal_names_the_policy_and_its_reason() {
    // By the server, before there is an instance.
    let mut world = World::with_config(|config| config.default_adaptor.default_vhost.access = Access::deny_all());
    let client = world.add();
    world.connect(client, "rtmfp://host/chat/room");
    let (policy, reason) = refused(&world);
    assert_eq!((policy.as_str(), reason.as_str()), ("the server", "connections from 203.0.113.1 are not allowed"));
    let event = last(&world, "connect_refused");
    assert_eq!((event.peer, place(&event)), (Some(world.ends[client].id), ("chat", "room")));
    world.seconds(5);
    assert_eq!(story(&world, client), ["connect_refused"], "it was no client");
    // By a script, with the reason that it gave.
    let mut world = with_script();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    world.decide(request, Verdict::Reject(Box::new(Rejection::new("NetConnection.Connect.Rejected", "not today"))));
    assert_eq!(refused(&world), ("script".to_owned(), "not today".to_owned()));
    assert_eq!(place(&last(&world, "connect_refused")), ("app", "_definst_"));
    // A name that is longer than any event may be is cut.
    let mut world = World::with_config(|config| config.default_adaptor.default_vhost.access = Access::deny_all());
    let client = world.add();
    world.connect(client, &format!("rtmfp://host/{}", "a".repeat(1000)));
    assert_eq!(place(&last(&world, "connect_refused")).0.len(), crate::stories::MAX_TEXT);
}

#[test]
fn a_path_that_names_no_application_is_refused_as_others_are() {
    let mut world = World::with_config(|_| ());
    let client = world.add();
    let lines = introd_log::testing::logged(tracing::Level::INFO, || {
        world.connect(client, "rtmfp://host/../x");
    });
    assert_eq!(world.ends[client].codes(), ["Connect.InvalidApp"]);
    let (policy, reason) = refused(&world);
    let expected = "application path with a part that is not a name";
    assert_eq!((policy.as_str(), reason.as_str()), ("the server", expected));
    let event = last(&world, "connect_refused");
    assert_eq!((event.peer, place(&event)), (Some(world.ends[client].id), ("../x", "")));
    assert_eq!(world.count(crate::introducer::Counter::ConnectsRejected), 1);
    let line = lines.iter().find(|line| line.contains("connect refused")).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(line.contains(&format!("reason={expected}")), "{line}");
    // A path that is longer than any event may be is cut.
    let client = world.add();
    world.connect(client, &format!("rtmfp://host/{}", "a".repeat(2000)));
    let event = last(&world, "connect_refused");
    assert_eq!(
        (refused(&world).1.as_str(), place(&event).0.len()),
        ("application path too long", crate::stories::MAX_TEXT)
    );
}

#[test]
fn the_reason_of_a_client_that_is_rejected_may_be_for_the_log_alone() {
    let mut world = with_script();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    let rejection = Rejection { private_reason: Some("banned".to_owned()), ..Rejection::rejected("no") };
    world.decide(request, Verdict::Reject(Box::new(rejection)));
    assert_eq!(refused(&world), ("script".to_owned(), "banned".to_owned()));
    let heard = format!("{:?}", world.ends[client].heard);
    assert!(heard.contains("no") && !heard.contains("banned"), "{heard}");
}

#[test]
fn the_log_has_a_line_for_each_refusal_with_the_address_the_peer_the_policy_and_the_reason() {
    let mut world = with_script();
    let client = world.add();
    let lines = introd_log::testing::logged(tracing::Level::INFO, || {
        world.connect(client, "rtmfp://host/app/room");
        let request = world.script.asked();
        world.decide(request, Verdict::Reject(Box::new(Rejection::new("NetConnection.Connect.Rejected", "not today"))));
    });
    let (id, address) = (world.ends[client].id, world.ends[client].address);
    let line = lines.iter().find(|line| line.contains("connect refused")).unwrap_or_else(|| panic!("{lines:?}"));
    let rest = format!("address={address} peer={id} application=app instance=room policy=\"script\" reason=not today");
    assert!(line.ends_with(&rest), "{line}");
}

#[test]
fn an_end_says_who_wanted_it_and_why() {
    type End = fn(&mut World, usize);
    let cases: [(End, &str, &str); 6] = [
        (|world, client| world.leave(client), "the client", "closed by the far end"),
        (
            |world, client| {
                let client = world.client_id(client);
                world.command(ClientCommand::Disconnect { client, reason: None });
            },
            "script",
            "disconnected",
        ),
        (
            |world, client| {
                let client = world.client_id(client);
                world.command(ClientCommand::Disconnect { client, reason: Some("floods the chat".into()) });
            },
            "script",
            "floods the chat",
        ),
        (
            |world, client| {
                let (session, peer) = (world.session(client), world.ends[client].id);
                world.deliver(Mail::Disconnect { session, peer, by: "an administrator" });
            },
            "an administrator",
            "disconnected",
        ),
        (
            |world, _| {
                world.worker.begin_stop(world.now);
                world.exchange();
            },
            "the server",
            "the server stops",
        ),
        (
            |world, client| {
                world.ends[client].is_cut_off = true;
                world.seconds(600);
            },
            "the server",
            "the far end fell silent",
        ),
    ];
    for (end, by, reason) in cases {
        let mut world = with_script();
        let client = world.accepted();
        end(&mut world, client);
        world.advance(Duration::from_secs(3));
        assert_eq!(ended(&world), (by.to_owned(), reason.to_owned()));
        assert_eq!(story(&world, client), ["connect", "disconnect"], "{by}");
    }
}

#[test]
fn the_story_of_a_member_has_its_joins_its_leaves_and_those_that_it_was_told_of() {
    let mut world = World::with_config(|_| ());
    let [one, other] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.join(one, 5);
    world.join(other, 5);
    let group = introd_netgroup::GroupDigest([5; 32]);
    let hints: Vec<_> = {
        let filter = EventFilter { kind: Some("hint".to_owned()), ..EventFilter::default() };
        world.services.stories.find(&filter, 10).events
    };
    let told: Vec<_> = hints.iter().map(|event| (event.peer.unwrap(), event.kind.other().unwrap())).collect();
    let ids = [one, other].map(|end| world.ends[end].id);
    assert!(told.contains(&(ids[0], ids[1])) && told.contains(&(ids[1], ids[0])), "{told:?}");
    assert!(hints.iter().all(|event| matches!(event.kind, EventKind::Hint { group: of, .. } if of == group)));
    world.leave(other);
    assert_eq!(last(&world, "group_leave").kind, EventKind::GroupLeave { group });
    let own: Vec<_> = story(&world, other).into_iter().filter(|kind| *kind != "hint").collect();
    assert_eq!(own, ["connect", "group_join", "group_leave", "disconnect"]);
    // A message that is no join.
    let (now, far) = (world.now, &mut world.ends[one]);
    let flow = far.open_flow(now, introd_flash::metadata::FlowKind::GroupControl);
    far.send(now, flow, vec![77]);
    world.exchange();
    let refused = last(&world, "group_refused");
    let EventKind::GroupRefused { reason } = &refused.kind else { panic!() };
    assert!(refused.peer == Some(ids[0]) && !reason.is_empty());
}

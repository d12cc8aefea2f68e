//! Who is accepted, who is not, and what is left of a client that was not.

use std::sync::Arc;
use std::time::Duration;

use introd_config::{Access, Application, Config, Fallback};
use introd_flash::amf::Value;
use introd_flash::client::{CLIENT_ADDRESS, Incoming};
use introd_flash::server::Rejection;
use introd_flash::user_control::UserControl;
use introd_policy::Verdict;
use introd_policy::message::AppEvent;
use rtmfp::CloseReason;

use crate::introducer::Counter;
use crate::serve::testing::{Published, Setup, World, with_application};

/// A world in which the application `app` has a script.
fn scripted(change: impl FnOnce(&mut Application)) -> World {
    World::with_config(|config| with_application(config, "app", change))
}

/// What is left of clients: how many are in applications, how many are found, and how many requests wait.
fn left(world: &World) -> (u64, usize, usize) {
    (world.services.applications.clients(), world.services.directory.len(), world.worker.pending.len())
}

#[test]
fn a_client_of_an_application_without_policies_is_accepted_and_found() {
    let mut world = World::with_config(|_| ());
    let client = world.add();
    world.connect(client, "rtmfp://host/chat/room");
    let (session, far) = (world.session(client), &world.ends[client]);
    let known = world.services.directory.lookup(&far.id).unwrap();
    assert_eq!((known.owner, known.observed), (session, far.address));
    let [Incoming::Result { status, .. }, Incoming::UserControl(advice)] = far.heard.as_slice() else {
        panic!("{:?}", far.heard)
    };
    assert_eq!(status.code, "NetConnection.Connect.Success");
    let seen = status.info.as_ref().and_then(|info| info.get(CLIENT_ADDRESS));
    assert_eq!(seen, Some(&far.address.to_string().into()));
    let keepalive = world.services.applications.config().default_adaptor.rtmfp.keepalive_nat;
    let millis = |period: Duration| period.as_millis() as u32;
    let (server, peer) = (millis(keepalive.server), millis(keepalive.peers));
    assert_eq!(*advice, UserControl::SetKeepaliveTimers { server, peer }, "it is taken to be behind a NAT");
    let instance = world.worker.clients.instance(session).unwrap();
    assert_eq!((instance.name().to_string().as_str(), instance.id().0), ("chat/room", known.instance));
    assert_eq!(world.worker.clients.peer(session), Some(far.id));
    assert_eq!(left(&world), (1, 1, 0));
}

#[test]
fn a_script_is_told_who_asks_and_nobody_is_a_client_before_it_has_decided() {
    let mut world = scripted(|_| ());
    world.worker.info.listeners[0].public = Some(([198, 51, 100, 7], 443).into());
    let client = world.add_proven();
    world.connect(client, "rtmfp://host/app/room?x=1");
    let (session, id, address) = (world.session(client), world.ends[client].id, world.ends[client].address);
    let events = world.script.take();
    let [AppEvent::Connect { request, client: of, info }] = events.as_slice() else { panic!("{events:?}") };
    let known = world.worker.endpoint.session(session).unwrap();
    assert_eq!((of.worker, of.session), (0, session));
    assert_eq!((info.far_id, info.far_address, info.is_proven), (id, address, true));
    assert_eq!((info.near_nonce, info.far_nonce), (known.near_nonce, known.far_nonce));
    assert_eq!((info.near_id, info.near_address), (world.services.near_id, ([198, 51, 100, 7], 443).into()));
    assert_eq!(info.potential_near_addresses, world.services.network.near_addresses());
    assert_eq!((info.request.path.application.as_str(), info.request.query.as_str()), ("app", "x=1"));
    assert!(world.ends[client].heard.is_empty() && world.services.directory.is_empty());
    assert!(world.worker.clients.instance(session).is_none() && world.worker.clients.peer(session).is_none());
    assert_eq!(left(&world), (1, 0, 1));
    world.decide(*request, Verdict::Continue);
    assert_eq!(world.ends[client].codes(), ["Connect.Success"]);
    assert_eq!(world.worker.clients.peer(session), Some(id));
    assert_eq!(left(&world), (1, 1, 0));
    assert!(world.script.take().is_empty(), "it knows that it has accepted the client");
    // A second verdict has no effect.
    world.decide(*request, Verdict::Reject(Box::new(Rejection::rejected("no"))));
    assert!(world.ends[client].closed.is_none() && world.worker.clients.peer(session).is_some());
}

#[test]
fn where_nothing_else_is_known_the_address_of_the_socket_is_the_near_address() {
    let mut world = scripted(|_| ());
    let client = world.add();
    world.worker.info.listeners.clear();
    world.connect(client, "rtmfp://host/app");
    let events = world.script.take();
    let [AppEvent::Connect { info, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((info.near_address, info.is_proven), (world.ends[client].address, false));
}

#[test]
fn a_client_that_a_script_rejects_is_told_why_and_gone() {
    let mut world = scripted(|_| ());
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    let rejection = Rejection { application: Some(Value::Number(7.0)), ..Rejection::rejected("not today") };
    world.decide(request, Verdict::Reject(Box::new(rejection)));
    let [Incoming::Error { status, .. }] = world.ends[client].heard.as_slice() else { panic!() };
    assert_eq!(status.description, "[ Server.Reject ] : not today");
    assert_eq!(status.info.as_ref().and_then(|info| info.get("application")), Some(&Value::Number(7.0)));
    assert_eq!(world.services.directory.len(), 0);
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert_eq!(world.script.names(), ["Disconnect"], "the script was told of the client");
    assert_eq!(left(&world), (0, 0, 0));
}

#[test]
fn a_reason_that_cannot_be_written_is_left_out_and_the_redirect_stays() {
    let mut world = scripted(|_| ());
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    let rejection = Rejection {
        application: Some(Value::ByteArray(vec![1])),
        redirect: Some("rtmfp://other/app".to_owned()),
        ..Rejection::new("Some.Code", "some reason")
    };
    world.decide(request, Verdict::Reject(Box::new(rejection)));
    let [Incoming::Error { status, .. }] = world.ends[client].heard.as_slice() else { panic!() };
    assert_eq!((status.code.as_str(), status.description.as_str()), ("Some.Code", "some reason"));
    let info = status.info.as_ref().unwrap();
    assert_eq!(info.get("application"), None);
    assert_eq!(info.get("ex").and_then(|ex| ex.get("redirect")), Some(&"rtmfp://other/app".into()));
}

#[test]
fn a_script_that_is_late_has_the_fallback_of_the_settings() {
    for (fallback, expected) in [(Fallback::Continue, "Connect.Success"), (Fallback::Deny, "Connect.Rejected")] {
        let mut world = scripted(|settings| {
            settings.policy.deadline = Duration::from_secs(5);
            settings.policy.on_deadline = fallback;
        });
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        let request = world.script.asked();
        world.advance(Duration::from_millis(4999));
        assert!(world.ends[client].heard.is_empty() && world.script.cancelled().is_empty());
        world.advance(Duration::from_millis(1));
        assert_eq!(world.ends[client].codes(), [expected]);
        assert_eq!(world.script.cancelled(), [request], "its verdict is of no use any more");
        assert_eq!(world.count(Counter::PluginTimeouts), 0);
        let told = world.script.names();
        assert_eq!(told, if fallback == Fallback::Continue { vec!["Accepted"] } else { vec![] });
        world.decide(request, Verdict::Continue);
        assert!(world.ends[client].heard.is_empty());
    }
}

#[test]
fn a_script_that_has_no_room_has_the_fallback_of_the_settings() {
    for (fallback, expected) in [(Fallback::Continue, "Connect.Success"), (Fallback::Deny, "Connect.Rejected")] {
        let mut world = scripted(|settings| settings.policy.on_failure = fallback);
        world.script.set_room(0);
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        assert_eq!(world.ends[client].codes(), [expected]);
        assert_eq!((world.count(Counter::ApplicationBusy), world.script.take().len()), (1, 0));
        world.script.set_room(usize::MAX);
        world.seconds(1);
        assert_eq!(left(&world).0, u64::from(fallback == Fallback::Continue));
        assert!(world.script.names().is_empty(), "it was not told of the client");
    }
}

#[test]
fn a_script_that_fails_and_then_has_no_room_counts_as_busy() {
    let mut world = scripted(|settings| settings.policy.on_failure = Fallback::Continue);
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    world.script.set_room(0);
    world.decide(request, Verdict::Failed("it failed".to_owned()));
    assert_eq!(world.ends[client].codes(), ["Connect.Success"]);
    assert_eq!(world.count(Counter::ApplicationBusy), 1, "it was not told that the client is accepted");
}

#[test]
fn a_client_for_which_there_is_no_room_is_rejected_and_counted() {
    let mut world = World::with_config(|config| {
        config.default_adaptor.default_vhost.max_app_instances = Some(1);
        config.default_adaptor.default_vhost.max_connections = Some(2);
    });
    world.client("rtmfp://host/one");
    let refused = |world: &mut World, uri: &str| {
        let end = world.add();
        world.connect(end, uri);
        assert_eq!(world.ends[end].codes(), ["Connect.Rejected"]);
        world.count(Counter::InstancesRefused)
    };
    assert_eq!(refused(&mut world, "rtmfp://host/two"), 1);
    world.client("rtmfp://host/one");
    assert_eq!(refused(&mut world, "rtmfp://host/one"), 1, "that is not for want of instances");
    assert_eq!(left(&world), (2, 2, 0));
}

#[test]
fn the_rules_of_access_are_applied_when_a_client_asks_and_when_it_is_accepted() {
    let deny = |config: &mut Config| config.default_adaptor.default_vhost.access = Access::deny_all();
    let mut world = World::with_config(deny);
    let client = world.add();
    world.connect(client, "rtmfp://host/chat");
    assert_eq!(world.ends[client].codes(), ["Connect.Rejected"]);
    let mut world = scripted(|_| ());
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let mut config = Config::clone(&world.services.applications.config());
    deny(&mut config);
    world.services.applications.reconfigure(config);
    let request = world.script.asked();
    world.decide(request, Verdict::Continue);
    assert_eq!(world.ends[client].codes(), ["Connect.Rejected"]);
    assert!(world.services.directory.is_empty());
}

#[test]
fn a_client_that_goes_while_it_waits_leaves_nothing() {
    let mut world = scripted(|_| ());
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    let session = world.ends[client].session.unwrap();
    world.ends[client].endpoint.close(world.now, session);
    world.exchange();
    assert_eq!(world.script.cancelled(), [request]);
    assert_eq!(world.script.names(), ["Disconnect"]);
    assert_eq!(left(&world), (0, 0, 0));
    world.decide(request, Verdict::Continue);
    assert!(world.ends[client].heard.is_empty() && world.services.directory.is_empty());
}

#[test]
fn other_servers_are_told_of_a_client_that_is_accepted() {
    for (is_proven, copies) in [(false, 1), (true, 2)] {
        let shared = Published::new();
        let mut world = World::new(Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() });
        let client = if is_proven { world.add_proven() } else { world.add() };
        world.connect(client, "rtmfp://host/chat");
        let (id, session) = (world.ends[client].id, world.session(client));
        let (addresses, published) = shared.of(id).unwrap();
        assert_eq!(
            addresses,
            [format!("{} (observed)", world.ends[client].address), "198.51.100.1:1935 (relay)".into()]
        );
        assert_eq!((published.id, published.is_proven, published.is_silent), (session, is_proven, false));
        // Whoever proves the id has it; a copy of a certificate waits while the first session lives.
        let again = if is_proven { world.add_again(client) } else { world.add_copy(client) };
        world.connect(again, "rtmfp://host/chat");
        assert_eq!(world.ends[again].codes(), ["Connect.Success"]);
        let holder = if copies == 2 { again } else { client };
        assert_eq!(shared.of(id).unwrap().1.id, world.session(holder));
        assert_eq!(world.services.directory.lookup(&id).unwrap().owner, world.session(holder));
    }
}

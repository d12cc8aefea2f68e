use introd_config::{Application, LookupMode, RelayCallScope};
use introd_flash::amf::{AmfLimits, Value};
use introd_flash::client::{self, ConnectOptions, Incoming};
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::FlowKind;
use rtmfp::{PeerId, SessionId};

use super::{CALLERS, MAX_ARGUMENTS};
use crate::introducer::Counter;
use crate::serve::mail::{Mail, RelayError, RelayedCall};
use crate::serve::testing::{World, with_application, with_plugins};

/// A world in which all applications without settings of their own have these.
fn with_settings(change: impl FnOnce(&mut Application)) -> World {
    World::with_config(|config| {
        let defaults = &mut config.default_adaptor.default_vhost.defaults;
        change(std::sync::Arc::make_mut(defaults));
    })
}

/// Has a client call another, and wait for the answer.
fn relay(world: &mut World, caller: usize, peer: impl ToString, arguments: &[Value]) {
    let arguments = [Value::String(peer.to_string())].into_iter().chain(arguments.iter().cloned()).collect();
    world.call(caller, "relay", 7.0, arguments);
}

/// Takes what has come of the calls of a client: `called`, or why the other was not called.
fn outcomes(world: &mut World, caller: usize) -> Vec<String> {
    let heard = std::mem::take(&mut world.ends[caller].heard).into_iter();
    heard
        .filter_map(|incoming| match incoming {
            Incoming::Result { transaction: 7.0, values, .. } => {
                assert_eq!(values, [Value::Null, Value::Null]);
                Some("called".to_owned())
            }
            Incoming::Error { transaction: 7.0, status } => {
                assert_eq!(status.code, "NetConnection.Call.Failed");
                Some(status.description)
            }
            _ => None,
        })
        .collect()
}

/// Takes the calls that a client got.
fn calls(world: &mut World, end: usize) -> Vec<Command> {
    let heard = std::mem::take(&mut world.ends[end].heard).into_iter();
    heard
        .filter_map(|incoming| match incoming {
            Incoming::Call(command) => Some(command),
            _ => None,
        })
        .collect()
}

/// Clients of these paths, which have heard nothing yet.
fn clients<const N: usize>(world: &mut World, paths: [&str; N]) -> [usize; N] {
    let clients = paths.map(|path| world.client(&format!("rtmfp://host/{path}")));
    clients.iter().for_each(|client| world.ends[*client].heard.clear());
    clients
}

const NOT_FOUND: &str = "Method not found (relay).";

#[test]
fn a_client_calls_another_of_its_application_and_hears_that_it_did() {
    let mut world = with_settings(|_| ());
    let [caller, called] = clients(&mut world, ["key/one", "key/two"]);
    let (sender, peer) = (world.ends[caller].id, world.ends[called].id);
    relay(&mut world, caller, peer, &["invite".into(), Value::Number(5.0)]);
    let expected = vec![sender.to_string().into(), "invite".into(), Value::Number(5.0)];
    assert_eq!(calls(&mut world, called), [Command::new("onRelay", 0.0, expected)]);
    assert_eq!(outcomes(&mut world, caller), ["called"]);
    // Without a responder there is no answer, as in Adobe's examples. Case does not count in the id.
    let id = peer.to_string().to_uppercase();
    world.call(caller, "relay", 0.0, vec![id.into()]);
    assert_eq!(calls(&mut world, called), [Command::new("onRelay", 0.0, vec![sender.to_string().into()])]);
    assert!(world.ends[caller].heard.is_empty());
    // A client may call itself.
    relay(&mut world, caller, sender, &[]);
    assert_eq!(world.ends[caller].codes(), ["onRelay", ""]);
    assert_eq!([Counter::RelayCalls, Counter::RelayCallsFailed].map(|counter| world.count(counter)), [3, 0]);
}

#[test]
fn no_client_out_of_reach_is_called_and_none_is_told_apart_from_one_that_is_not_there() {
    let mut world = with_settings(|_| ());
    let [caller, other, gone] = clients(&mut world, ["key", "other", "key"]);
    let peers = [other, gone].map(|end| world.ends[end].id);
    world.leave(gone);
    for peer in [peers[0], peers[1], PeerId([9; 32])] {
        relay(&mut world, caller, peer, &["x".into()]);
        assert_eq!(outcomes(&mut world, caller), ["No client of this application has that peer ID."]);
    }
    for wrong in ["", "zz", &"f".repeat(63), &"g".repeat(64), &"f".repeat(66)] {
        relay(&mut world, caller, wrong, &[]);
        let [outcome] = &outcomes(&mut world, caller)[..] else { panic!("{wrong}") };
        assert!(outcome.starts_with("The first argument of relay is the peer ID"), "{outcome}");
    }
    for arguments in [vec![], vec![Value::Number(1.0)], vec![Value::Null], vec![Value::Array(vec!["x".into()])]] {
        world.call(caller, "relay", 7.0, arguments);
        assert!(outcomes(&mut world, caller)[0].starts_with("The first argument"));
    }
    assert!(calls(&mut world, other).is_empty());
    assert_eq!([Counter::RelayCalls, Counter::RelayCallsFailed].map(|counter| world.count(counter)), [12, 12]);
}

#[test]
fn the_settings_say_which_clients_may_call_each_other() {
    // What comes of calls within the instance, to another instance, and to another application.
    let out_of_reach = "No client of this application has that peer ID.";
    for (scope, expected) in [
        (RelayCallScope::Auto, ["called", "called", out_of_reach]),
        (RelayCallScope::Application, ["called", "called", out_of_reach]),
        (RelayCallScope::Instance, ["called", out_of_reach, out_of_reach]),
        (RelayCallScope::None, [NOT_FOUND; 3]),
    ] {
        let mut world = with_settings(|settings| settings.relay_calls = scope);
        let [caller, same, room, other] = clients(&mut world, ["key", "key", "key/room", "other"]);
        let peers = [same, room, other].map(|end| world.ends[end].id);
        let outcomes = peers.map(|peer| {
            relay(&mut world, caller, peer, &[]);
            outcomes(&mut world, caller).concat()
        });
        assert_eq!(outcomes, expected, "{scope:?}");
    }
}

#[test]
fn where_a_policy_decides_which_clients_meet_no_call_gets_round_it() {
    type Change = fn(&mut Application);
    let cases: [(&str, Change, &str); 4] = [
        ("a plugin", |settings| with_plugins(settings, &["/first"]), NOT_FOUND),
        ("lookups", |settings| settings.peer_lookup_events = LookupMode::All, NOT_FOUND),
        ("some lookups", |settings| settings.peer_lookup_events = LookupMode::Partial, NOT_FOUND),
        (
            "a plugin, and the administrator wants it",
            |settings| {
                with_plugins(settings, &["/first"]);
                settings.relay_calls = RelayCallScope::Application;
            },
            "called",
        ),
    ];
    for (what, change, expected) in cases {
        let mut world = with_settings(change);
        let _plugin = world.plugin("/first");
        let [caller, called] = clients(&mut world, ["key", "key"]);
        let peer = world.ends[called].id;
        relay(&mut world, caller, peer, &[]);
        assert_eq!(outcomes(&mut world, caller), [expected], "{what}");
    }
    // A script has the call, whatever the settings say.
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.relay_calls = RelayCallScope::Application);
    });
    let [caller, called] = [(); 2].map(|()| world.accepted());
    let peer = world.ends[called].id;
    relay(&mut world, caller, peer, &[]);
    assert_eq!(world.script.names(), ["Call"]);
    assert!(calls(&mut world, called).is_empty());
}

#[test]
fn a_client_calls_others_as_often_as_its_application_allows() {
    let mut world = with_settings(|settings| settings.max_relay_call_rate = Some(3));
    let [caller, called] = clients(&mut world, ["key", "key"]);
    let peer = world.ends[called].id;
    let flood = |world: &mut World| {
        (0..10).for_each(|_| relay(world, caller, peer, &[]));
        let outcomes = outcomes(world, caller);
        assert_eq!(outcomes.len(), 10);
        outcomes.iter().filter(|outcome| *outcome == "called").count()
    };
    assert_eq!((flood(&mut world), calls(&mut world, called).len()), (3, 3));
    assert_eq!(world.services.refusals.told(), ["MaxRelayCallRate"]);
    world.seconds(1);
    assert_eq!((flood(&mut world), calls(&mut world, called).len()), (3, 3));
    // Calls that reach nobody count as well: an id cannot be guessed faster.
    world.seconds(1);
    (0..10).for_each(|_| relay(&mut world, caller, PeerId([9; 32]), &[]));
    let too_many = outcomes(&mut world, caller).iter().filter(|outcome| outcome.starts_with("Too many")).count();
    assert_eq!(too_many, 7);
}

#[test]
fn a_client_is_called_as_often_as_eight_others_may_call() {
    let mut world = with_settings(|settings| settings.max_relay_call_rate = Some(2));
    let [called] = clients(&mut world, ["key"]);
    let peer = world.ends[called].id;
    let callers = [(); CALLERS as usize + 1].map(|()| clients(&mut world, ["key"])[0]);
    let outcomes: Vec<String> = callers
        .into_iter()
        .flat_map(|caller| {
            (0..2).for_each(|_| relay(&mut world, caller, peer, &[]));
            outcomes(&mut world, caller)
        })
        .collect();
    let (got, refused) = outcomes.split_at(2 * CALLERS as usize);
    assert!(got.iter().all(|outcome| outcome == "called"), "{got:?}");
    assert_eq!(refused, ["The client takes no more calls now."; 2]);
    assert_eq!(calls(&mut world, called).len(), 2 * CALLERS as usize);
}

#[test]
fn arguments_are_bounded_and_nested_ones_do_no_harm() {
    let mut world = with_settings(|settings| settings.max_relay_call_rate = None);
    let [caller, called] = clients(&mut world, ["key", "key"]);
    let peer = world.ends[called].id;
    let size = |value: &Value| value.size();
    let text = |length: usize| Value::String("x".repeat(length));
    let fits = MAX_ARGUMENTS - size(&text(0));
    for (arguments, expected) in [
        (vec![text(fits)], "called"),
        (vec![text(fits + 1)], "The arguments of relay take more than 16 kB."),
        (vec![text(fits / 2), text(fits / 2 + 1)], "The arguments of relay take more than 16 kB."),
        (vec![Value::Null; MAX_ARGUMENTS / size(&Value::Null) + 1], "The arguments of relay take more than 16 kB."),
        ((0..20).fold(vec![Value::Null], |inner, _| vec![Value::Array(inner)]), "called"),
    ] {
        relay(&mut world, caller, peer, &arguments);
        assert_eq!(outcomes(&mut world, caller), [expected]);
        let got = calls(&mut world, called);
        assert_eq!(got.len(), usize::from(expected == "called"));
        assert!(got.iter().all(|call| call.arguments[1..] == arguments));
    }
    // What is nested too deeply is no command at all.
    let deep = (0..10_000).fold(vec![Value::Null], |inner, _| vec![Value::Array(inner)]);
    if let Ok(message) = Command::new("relay", 7.0, deep).to_message(Encoding::Amf0, 0) {
        world.say(caller, message);
    }
    assert!(outcomes(&mut world, caller).is_empty() && calls(&mut world, called).is_empty());
    relay(&mut world, caller, peer, &[]);
    assert_eq!(outcomes(&mut world, caller), ["called"], "both are still there");
}

#[test]
fn a_client_that_takes_nothing_is_called_no_more_and_not_closed_for_it() {
    let mut world = with_settings(|settings| settings.max_relay_call_rate = None);
    let [caller, called] = clients(&mut world, ["key", "key"]);
    let (peer, session) = (world.ends[called].id, world.session(called));
    world.ends[called].is_cut_off = true;
    (0..200).for_each(|_| relay(&mut world, caller, peer, &["x".repeat(10_000).into()]));
    let outcomes = outcomes(&mut world, caller);
    let taken = outcomes.iter().take_while(|outcome| *outcome == "called").count();
    assert!((1..20).contains(&taken), "{taken}");
    assert!(outcomes[taken..].iter().all(|outcome| outcome == "The client takes no more calls now."));
    assert!(world.worker.endpoint.session(session).is_some(), "others cannot have it closed");
    world.ends[called].is_cut_off = false;
    world.seconds(20);
    assert_eq!(calls(&mut world, called).len(), taken);
    relay(&mut world, caller, peer, &[]);
    assert_eq!(super::tests::outcomes(&mut world, caller), ["called"]);
}

#[test]
fn clients_of_both_encodings_call_each_other() {
    let mut world = with_settings(|_| ());
    let [modern] = clients(&mut world, ["key"]);
    let old = world.add();
    world.open(old);
    let (now, far) = (world.now, &mut world.ends[old]);
    let control = far.open_flow(now, FlowKind::stream(0));
    far.control = Some(control);
    let options = ConnectOptions { amf3: false, ..ConnectOptions::default() };
    world.say(old, client::connect("rtmfp://host/key", &options).unwrap());
    assert_eq!(world.ends[old].codes(), ["Connect.Success"]);
    let [old_id, modern_id] = [old, modern].map(|end| world.ends[end].id);
    let object = Value::object([("text", "ä".into()), ("list", Value::Array(vec![Value::Number(1.0), Value::Null]))]);
    for (caller, called, peer) in [(modern, old, old_id), (old, modern, modern_id)] {
        relay(&mut world, caller, peer, std::slice::from_ref(&object));
        assert_eq!(outcomes(&mut world, caller), ["called"]);
        let got = calls(&mut world, called);
        assert_eq!(got[0].arguments[1], object);
    }
    // AMF0 has no byte arrays.
    let bytes = Value::ByteArray(vec![1, 2, 3]);
    let extended = |peer: PeerId| {
        let arguments = vec![peer.to_string().into(), bytes.clone()];
        Command::new("relay", 7.0, arguments).to_message(Encoding::Amf3, 0).unwrap()
    };
    world.say(modern, extended(old_id));
    assert_eq!(outcomes(&mut world, modern), ["An argument cannot be written in AMF0, which the client uses."]);
    assert!(calls(&mut world, old).is_empty());
    world.say(modern, extended(modern_id));
    let heard = std::mem::take(&mut world.ends[modern].heard);
    let got = heard.iter().find_map(|incoming| match incoming {
        Incoming::Call(command) => Some(command.arguments[1].clone()),
        _ => None,
    });
    assert_eq!(got, Some(bytes.clone()));
    assert!(client::read(&extended(old_id), AmfLimits::default()).is_ok());
}

#[test]
fn a_call_goes_to_the_worker_of_the_client_and_what_comes_of_it_goes_back() {
    let mut world = with_settings(|_| ());
    let [caller] = clients(&mut world, ["key"]);
    let (sender, own) = (world.ends[caller].id, world.session(caller));
    let instance = world.worker.clients.instance(own).unwrap().id().0;
    let (peer, session) = (PeerId([9; 32]), SessionId::from_wire(1 << 26 | 5));
    world.services.directory.connect(peer, session, instance, ([203, 0, 113, 77], 7).into(), false);
    relay(&mut world, caller, peer, &["x".into()]);
    let Ok(Mail::Relay(call)) = world.elsewhere.try_recv() else { panic!() };
    assert_eq!((call.session, call.peer, call.sender, call.caller), (session, peer, sender, Some((own, 7.0))));
    assert_eq!(call.arguments, ["x".into()]);
    assert!(outcomes(&mut world, caller).is_empty(), "nothing has come of it yet");
    let relayed = |outcome| Mail::Relayed { session: own, transaction: 7.0, outcome };
    world.deliver(relayed(Ok(())));
    world.deliver(relayed(Err(RelayError::Busy)));
    assert_eq!(outcomes(&mut world, caller), ["called", "The client takes no more calls now."]);
    // The caller is gone meanwhile.
    world.deliver(Mail::Relayed { session: SessionId::from_wire(77), transaction: 7.0, outcome: Ok(()) });
    // A full mailbox.
    world.call(caller, "relay", 0.0, vec![peer.to_string().into()]);
    assert!(world.elsewhere.try_recv().is_ok());
    world.elsewhere.close();
    relay(&mut world, caller, peer, &[]);
    assert_eq!(outcomes(&mut world, caller), ["The server is busy."]);
    assert_eq!(world.count(Counter::MailboxFull), 1);
}

#[test]
fn a_call_that_comes_for_a_session_that_is_not_the_peers_any_more_is_not_made() {
    let mut world = with_settings(|_| ());
    let [called] = clients(&mut world, ["key"]);
    let (id, session) = (world.ends[called].id, world.session(called));
    let caller = Some((SessionId::from_wire(1 << 26 | 5), 3.0));
    let call = |session, peer| {
        Mail::Relay(Box::new(RelayedCall { session, peer, sender: PeerId([7; 32]), caller, arguments: Vec::new() }))
    };
    for (session, peer, expected) in [
        (session, PeerId([9; 32]), Err(RelayError::NotConnected)),
        (SessionId::from_wire(77), id, Err(RelayError::NotConnected)),
        (session, id, Ok(())),
    ] {
        world.deliver(call(session, peer));
        let Ok(Mail::Relayed { session, transaction: 3.0, outcome }) = world.elsewhere.try_recv() else { panic!() };
        assert_eq!((Some((session, 3.0)), outcome), (caller, expected));
    }
    assert_eq!((calls(&mut world, called).len(), world.count(Counter::RelayCallsFailed)), (1, 2));
}

//! What scripts are told of their clients, and what their commands do.

use std::time::Duration;

use introd_config::Application;
use introd_flash::amf::{Object, Value};
use introd_flash::client::Incoming;
use introd_flash::command::{Command, Encoding};
use introd_flash::user_control::UserControl;
use introd_policy::Verdict;
use introd_policy::message::{AppEvent, ClientCommand, ClientId};
use rtmfp::{CloseReason, InterfaceId, SessionId};

use crate::introducer::Counter;
use crate::serve::testing::{Setup, World, with_application};

fn scripted() -> World {
    scripted_with(|_| ())
}

fn scripted_with(change: impl FnOnce(&mut Application)) -> World {
    World::with_config(|config| with_application(config, "app", change))
}

#[test]
fn a_script_closes_a_client() {
    let mut world = scripted();
    let client = world.accepted();
    let of = world.client_id(client);
    world.command(ClientCommand::Disconnect { client: of, reason: None });
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
    assert_eq!(world.script.names(), ["Disconnect"]);
    // A command for a client that is gone does nothing.
    for session in [of.session, SessionId::from_wire(77)] {
        world.command(ClientCommand::Disconnect { client: ClientId { worker: 0, session }, reason: None });
    }
    assert!(world.script.take().is_empty());
}

#[test]
fn the_answer_to_a_call_comes_under_the_scripts_own_token_and_once() {
    let mut world = scripted();
    let client = world.accepted();
    let of = world.client_id(client);
    let call = |method: &str, token| ClientCommand::Call {
        client: of,
        method: method.to_owned(),
        arguments: vec![Value::Number(5.0)],
        token,
    };
    for (method, token) in [("quiet", None), ("first", Some(41)), ("second", Some(42))] {
        world.command(call(method, token));
    }
    let heard: Vec<(String, f64)> = std::mem::take(&mut world.ends[client].heard)
        .into_iter()
        .filter_map(|incoming| match incoming {
            Incoming::Call(Command { name, transaction, arguments, .. }) => {
                assert_eq!(arguments, [Value::Number(5.0)]);
                Some((name, transaction))
            }
            _ => None,
        })
        .collect();
    let [(_, quiet), (_, first), (_, second)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((*quiet, first != second), (0.0, true));
    let waiting = |world: &World| {
        let dealings = world.worker.clients.clients[&of.session].dealings.as_ref();
        dealings.map_or(0, |dealings| dealings.calls.len())
    };
    assert_eq!(waiting(&world), 2);
    world.call(client, "_error", *second, vec![Value::Number(2.0)]);
    for _ in 0..2 {
        world.call(client, "_result", *first, vec![Value::Number(1.0)]);
    }
    assert_eq!(waiting(&world), 0);
    let events = world.script.take();
    let [
        AppEvent::Answer { client: whose, token: 42, outcome: Err(wrong) },
        AppEvent::Answer { token: 41, outcome: Ok(right), .. },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (*whose, wrong.as_slice(), right.as_slice()),
        (of, &[Value::Number(2.0)][..], &[Value::Number(1.0)][..])
    );
}

#[test]
fn a_call_that_cannot_be_made_fails_at_once() {
    let mut world = scripted();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let request = world.script.asked();
    let of = world.client_id(client);
    let call = |token| ClientCommand::Call { client: of, method: "x".to_owned(), arguments: Vec::new(), token };
    world.command(call(Some(9)));
    world.command(call(None));
    let events = world.script.take();
    let [AppEvent::Answer { client: whose, token: 9, outcome: Err(why) }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(*whose == of && why.is_empty());
    world.decide(request, Verdict::Continue);
    assert_eq!(world.ends[client].codes(), ["Connect.Success"], "the calls were not made later");
}

#[test]
fn a_clients_call_goes_to_the_script_and_its_answer_back() {
    let mut world = scripted();
    let client = world.accepted();
    world.call(client, "hello", 7.0, vec!["x".into()]);
    let events = world.script.take();
    let [AppEvent::Call { client: of, call }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((call.name.as_str(), call.transaction), ("hello", 7.0));
    assert!(world.ends[client].heard.is_empty(), "the script answers");
    let answer = |outcome| ClientCommand::Answer { client: *of, transaction: 7.0, outcome };
    world.command(answer(Ok(Value::Number(3.0))));
    let [Incoming::Result { transaction: 7.0, values, .. }] = world.ends[client].heard.as_slice() else { panic!() };
    assert_eq!(values.last(), Some(&Value::Number(3.0)));
    world.ends[client].heard.clear();
    // AMF3 has no property without a name.
    let unsendable = Value::Object(Object::plain(vec![(String::new(), Value::Null)]));
    world.command(answer(Ok(unsendable)));
    assert_eq!(world.ends[client].codes(), ["Call.Failed"]);
}

#[test]
fn a_call_is_refused_where_no_script_takes_it() {
    let mut world = scripted();
    let [client, elsewhere] = [world.accepted(), world.client("rtmfp://host/chat")];
    world.call(elsewhere, "hello", 7.0, Vec::new());
    assert_eq!(world.ends[elsewhere].codes(), ["Call.Failed"]);
    world.script.set_room(0);
    world.call(client, "hello", 7.0, Vec::new());
    assert_eq!(world.ends[client].codes(), ["Call.Failed"]);
    assert_eq!((world.count(Counter::ApplicationBusy), world.script.take().len()), (1, 0));
}

#[test]
fn what_a_script_has_no_room_for_is_counted() {
    let mut world = scripted();
    let client = world.accepted();
    world.seconds(2);
    world.script.set_room(0);
    world.move_to(client, ([203, 0, 113, 99], 1).into());
    assert_eq!(world.count(Counter::ApplicationBusy), 1);
    world.report(client, &[]);
    assert_eq!(world.count(Counter::ApplicationBusy), 2);
    world.leave(client);
    assert_eq!(world.count(Counter::ApplicationBusy), 3);
}

#[test]
fn a_ping_of_a_script_is_a_message_to_the_client() {
    let mut world = scripted();
    let client = world.accepted();
    let of = world.client_id(client);
    world.command(ClientCommand::Ping { client: of });
    let expected = Incoming::UserControl(UserControl::PingRequest { timestamp: 0 });
    assert_eq!(world.ends[client].heard, [expected]);
}

#[test]
fn a_scripts_statistics_count_messages_and_their_bytes_each_way() {
    let mut setup = Setup { max_unsent_age: Some(Duration::from_secs(5)), ..Setup::default() };
    with_application(&mut setup.config, "app", |_| ());
    let mut world = World::new(setup);
    let client = world.accepted();
    let of = world.client_id(client);
    let stats = |world: &mut World| {
        world.command(ClientCommand::GetStats { client: of, token: 8 });
        match world.script.take().pop() {
            Some(AppEvent::Stats { client, token: 8, stats: Some(stats) }) if client == of => stats,
            other => panic!("{other:?}"),
        }
    };
    let before = stats(&mut world);
    // The answer to connect, and the advice on keepalives. The connect itself had come before.
    assert_eq!((before.msg_in, before.bytes_in, before.msg_out, before.msg_dropped), (0, 0, 2, 0));
    let message = Command::new("x", 0.0, vec![]).to_message(Encoding::Amf0, 0).unwrap();
    let length = message.len() as u64;
    for _ in 0..3 {
        world.say(client, message.clone());
    }
    let after = stats(&mut world);
    assert_eq!((after.msg_in, after.bytes_in), (3, 3 * length));
    assert_eq!((after.msg_out, after.bytes_out), (before.msg_out, before.bytes_out));
    for _ in 0..2 {
        world.command(ClientCommand::Ping { client: of });
    }
    let after = stats(&mut world);
    let ping = UserControl::PingRequest { timestamp: 0 }.to_message().len() as u64;
    assert_eq!((after.msg_out, after.bytes_out), (before.msg_out + 2, before.bytes_out + 2 * ping));
    assert_eq!(after.ping_rtt, 0, "nothing takes time here");
    // A ping that is on its way for a while.
    world.seconds(1);
    let (mut datagram, server) = (Vec::new(), world.server);
    world.worker.endpoint.ping(world.now, of.session, &[]);
    world.worker.endpoint.poll_transmit(world.now, &mut datagram).unwrap();
    world.now += Duration::from_millis(800);
    world.ends[client].endpoint.handle_datagram(world.now, InterfaceId(0), server, &mut datagram);
    world.exchange();
    let smoothed = world.worker.endpoint.session(of.session).unwrap().smoothed_rtt.unwrap();
    assert!(smoothed >= Duration::from_millis(50), "{smoothed:?}");
    assert_eq!(u128::from(stats(&mut world).ping_rtt), smoothed.as_millis());
    // What waits for longer than the settings allow is given up, and counted.
    world.ends[client].is_cut_off = true;
    let large = || ClientCommand::Call {
        client: of,
        method: "x".to_owned(),
        arguments: vec!["x".repeat(40_000).into()],
        token: None,
    };
    for _ in 0..3 {
        world.command(large());
    }
    assert_eq!(stats(&mut world).msg_dropped, 0);
    world.seconds(6);
    assert!(stats(&mut world).msg_dropped > 0);
}

#[test]
fn a_script_introduces_an_asker_to_its_client() {
    let mut world = scripted();
    let client = world.accepted();
    let asker = world.add();
    let (of, initiator, target) = (world.client_id(client), world.ends[asker].address, world.ends[client].id);
    // The asker looks for the client at the client's own address, and its hello does not get through a NAT.
    let now = world.now;
    world.ends[client].is_cut_off = true;
    let at = world.ends[client].address;
    let wanted = rtmfp::crypto::Epd::fingerprint(target).to_vec();
    world.ends[asker].endpoint.open(now, wanted, &[(rtmfp::InterfaceId(0), at)]);
    world.exchange();
    world.ends[client].is_cut_off = false;
    world.command(ClientCommand::Introduce { client: of, initiator, tag: smallvec::smallvec![7; 16] });
    assert_eq!(world.count(Counter::Forwards), 1);
    let hellos = world.ends[client].endpoint.counters().hellos;
    assert_eq!(hellos, 1, "the client was told of the asker");
}

#[test]
fn a_script_names_a_member_to_a_client_while_that_is_in_the_group() {
    let mut world = scripted_with(|settings| settings.join_leave_events = introd_config::JoinLeaveMode::All);
    let [client, other] = [(); 2].map(|()| world.accepted());
    world.join(other, 1);
    let flow = world.join(client, 1);
    let events = world.script.take();
    let [_, AppEvent::GroupJoin { client: of, membership, groupspec_digest }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*of, *groupspec_digest), (world.client_id(client), [1; 32]));
    assert!(world.ends[client].hints.is_empty(), "the script names members");
    let peer = world.ends[other].id;
    let hint = |membership| ClientCommand::Hint { client: *of, membership, peer };
    world.command(hint(*membership));
    world.command(hint(membership + 1));
    assert_eq!((world.ends[client].hints.as_slice(), world.count(Counter::GroupHints)), (&[peer][..], 1));
    let now = world.now;
    world.ends[client].close_flow(now, flow);
    world.exchange();
    world.command(hint(*membership));
    assert_eq!((world.ends[client].hints.len(), world.count(Counter::GroupHints)), (1, 1));
    let events = world.script.take();
    let [AppEvent::GroupLeave { membership: left, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(left, membership);
}

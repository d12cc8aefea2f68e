//! What a connection asks for and what it does: flows, streams, keepalive advice, and messages that a client does not take.

use std::sync::Arc;
use std::time::Duration;

use introd_config::{Adaptor, KeepAlive};
use introd_flash::amf::Value;
use introd_flash::client::{self, Incoming};
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::FlowKind;
use introd_flash::user_control::UserControl;
use introd_policy::message::ClientCommand;
use rtmfp::CloseReason;
use rtmfp::flow::FlowConfig;

use crate::serve::testing::{Setup, World, with_application};

#[test]
fn the_flow_of_a_stream_is_opened_for_its_first_message_and_goes_with_the_stream() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    world.say(client, client::create_stream(4.0).unwrap());
    let answered = world.ends[client].heard.pop();
    let Some(Incoming::Result { values, .. }) = answered else { panic!("{answered:?}") };
    assert_eq!(values.last(), Some(&Value::Number(1.0)));
    assert!(world.ends[client].flows_of(FlowKind::stream(1)).is_empty());
    let now = world.now;
    let flow = world.ends[client].open_flow(now, FlowKind::stream(1));
    let publish = Command::new("publish", 0.0, vec!["cam".into()]).to_message(Encoding::Amf0, 0).unwrap();
    world.ends[client].send(now, flow, publish);
    world.exchange();
    assert_eq!(world.ends[client].codes(), ["NetStream.Publish.Start"]);
    let far = &world.ends[client];
    let in_return = |kind| far.flows_of(kind).iter().map(|flow| far.returns.get(flow).copied()).collect::<Vec<_>>();
    for stream in [0, 1] {
        assert_eq!(in_return(FlowKind::stream(stream)), [far.control], "{stream}");
    }
    world.call(client, "deleteStream", 0.0, vec![Value::Number(1.0)]);
    assert!(world.ends[client].flows_of(FlowKind::stream(1)).is_empty());
    assert_eq!(world.ends[client].flows_of(FlowKind::stream(0)).len(), 1, "the control flow stays");
    assert!(world.ends[client].closed.is_none());
}

/// The advice on keepalives that a client has had since it was last asked.
fn advice(world: &mut World, client: usize) -> Vec<(u32, u32)> {
    let heard = std::mem::take(&mut world.ends[client].heard);
    let advice = heard.into_iter().filter_map(|incoming| match incoming {
        Incoming::UserControl(UserControl::SetKeepaliveTimers { server, peer }) => Some((server, peer)),
        _ => None,
    });
    advice.collect()
}

#[test]
fn keepalive_advice_is_that_of_the_clients_adaptor_and_depends_on_its_nat() {
    let keepalive =
        |server, peers| KeepAlive { server: Duration::from_secs(server), peers: Duration::from_secs(peers) };
    let mut world = World::with_config(|config| {
        let rtmfp = &mut config.default_adaptor.rtmfp;
        (rtmfp.keepalive_nat, rtmfp.keepalive_no_nat) = (keepalive(10, 11), keepalive(20, 21));
        let mut other = Adaptor { name: "other".into(), ..config.default_adaptor.clone() };
        (other.rtmfp.keepalive_nat, other.rtmfp.keepalive_no_nat) = (keepalive(30, 31), keepalive(40, 41));
        config.adaptors.push(other);
    });
    for (adaptor, behind_nat, direct) in
        [(0, (10_000, 11_000), (20_000, 21_000)), (1, (30_000, 31_000), (40_000, 41_000))]
    {
        world.worker.info.listeners[0].adaptor = adaptor;
        let client = world.add();
        world.connect(client, "rtmfp://host/chat");
        assert_eq!(advice(&mut world, client), [behind_nat]);
        let (own, session) = (world.ends[client].address, world.session(client));
        world.report(client, &[([192, 168, 0, 1], 5).into()]);
        assert_eq!(advice(&mut world, client), [behind_nat]);
        world.report(client, &[([192, 168, 0, 1], 5).into(), own]);
        assert_eq!(advice(&mut world, client), [direct]);
        assert_eq!(world.worker.clients.clients[&session].silence.interval, direct.0);
    }
}

#[test]
fn the_watch_over_a_clients_silence_begins_when_it_is_accepted_and_once() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let watches = |world: &World| world.worker.clients.agenda.silence.len();
    assert_eq!(watches(&world), 0);
    let request = world.script.asked();
    world.decide(request, introd_policy::Verdict::Continue);
    let first = world.now + world.services.applications.config().default_adaptor.rtmfp.keepalive_nat.server;
    assert_eq!((watches(&world), world.worker.clients.agenda.silence.next()), (1, Some(first)));
    world.seconds(1);
    world.report(client, &[]);
    assert_eq!((watches(&world), world.worker.clients.agenda.silence.next()), (1, Some(first)));
}

#[test]
fn a_client_that_does_not_take_its_messages_is_closed_when_its_queue_is_full() {
    let mut setup = Setup::default();
    with_application(&mut setup.config, "app", |_| ());
    setup.endpoint.flow = Arc::new(FlowConfig { send_buffer: 20_000, ..FlowConfig::default() });
    let mut world = World::new(setup);
    let client = world.accepted();
    let (of, session) = (world.client_id(client), world.session(client));
    let send = |world: &mut World| {
        let arguments = vec!["x".repeat(3000).into()];
        world.command(ClientCommand::Call { client: of, method: "x".to_owned(), arguments, token: None });
    };
    (0..20).for_each(|_| send(&mut world));
    assert!(world.worker.endpoint.session(session).is_some(), "it takes them");
    world.ends[client].is_cut_off = true;
    (0..5).for_each(|_| send(&mut world));
    assert!(world.worker.endpoint.session(session).is_some(), "there is room for some");
    (0..10).for_each(|_| send(&mut world));
    assert!(world.worker.endpoint.session(session).is_none());
}

#[test]
fn a_refused_client_has_its_answer_and_is_closed() {
    let mut world = World::with_config(|_| ());
    let client = world.add();
    world.open(client);
    // No name has a dot alone.
    world.ask(client, "rtmfp://host/../x");
    assert_eq!(world.ends[client].codes(), ["Connect.InvalidApp"]);
    world.seconds(1);
    assert_eq!(world.ends[client].closed, Some(CloseReason::Far));
}

use std::time::Duration;

use rtmfp::SessionId;
use tokio::sync::oneshot;

use crate::introducer::Counter;
use crate::serve::inquiry::{ClientLine, ClientReport, Inquiry, WorkerReport};
use crate::serve::mail::Mail;
use crate::serve::testing::World;

fn client_report(world: &mut World, session: SessionId) -> Option<ClientReport> {
    let (reply, mut answer) = oneshot::channel();
    world.deliver(Mail::Inquiry(Inquiry::Client(session, reply)));
    answer.try_recv().unwrap()
}

fn worker_report(world: &mut World) -> WorkerReport {
    let (reply, mut answer) = oneshot::channel();
    world.deliver(Mail::Inquiry(Inquiry::Worker(reply)));
    answer.try_recv().unwrap()
}

#[test]
fn a_worker_tells_its_numbers_and_what_it_knows_of_a_client() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/other/room");
    world.join(client, 5);
    world.now += Duration::from_secs(7);
    let session = world.session(client);
    let report = client_report(&mut world, session).unwrap();
    assert_eq!((report.session, report.peer), (session, world.ends[client].id));
    assert_eq!(report.instance.name().to_string(), "other/room");
    assert_eq!((report.connected_for, report.memberships.len(), report.is_proven), (Duration::from_secs(7), 1, false));
    let (digest, key) = report.memberships[0];
    assert_eq!(world.services.groups.keys_of(&digest, 9), [key]);
    assert!(report.stats.msg_in > 0 && report.stats.bytes_in > report.stats.msg_in);
    assert!(report.stats.msg_out > 0 && report.stats.bytes_out > report.stats.msg_out);
    let counts = report.instance.traffic().counts();
    assert_eq!((counts.accepted, counts.rejected, counts.disconnected), (1, 0, 0));
    assert!(counts.messages_out > 0 && counts.bytes_out > counts.messages_out);
    let worker = worker_report(&mut world);
    assert_eq!((worker.sessions, worker.clients, worker.pending), (1, 1, 0));
    assert_eq!(worker.endpoint.sessions_opened, 1);
    assert!(client_report(&mut world, SessionId::from_wire(77)).is_none());
    // An asker that has given up changes nothing.
    let (reply, _) = oneshot::channel();
    world.deliver(Mail::Inquiry(Inquiry::Worker(reply)));
}

#[test]
fn a_worker_tells_how_long_its_clients_have_been_connected_and_whether_they_have_proven_their_ids() {
    let mut world = World::with_config(|_| ());
    let first = world.add_proven();
    world.connect(first, "rtmfp://host/app");
    world.now += Duration::from_secs(5);
    let second = world.client("rtmfp://host/app");
    let waiting = world.add();
    world.open(waiting);
    world.now += Duration::from_secs(2);
    let sessions = [first, second, waiting].map(|end| world.session(end));
    let asked = [sessions[1], SessionId::from_wire(77), sessions[0], sessions[2]];
    let (reply, mut answer) = oneshot::channel();
    world.deliver(Mail::Inquiry(Inquiry::Clients(Box::from(asked), reply)));
    let line = |seconds, is_proven| Some(ClientLine { connected_for: Duration::from_secs(seconds), is_proven });
    assert_eq!(answer.try_recv().unwrap(), [line(2, false), None, line(7, true), None]);
}

#[test]
fn connects_traffic_and_ends_are_counted_for_the_worker_and_the_instance() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/other/room");
    let session = world.session(client);
    let report = client_report(&mut world, session).unwrap();
    let counted = |world: &World| {
        let counts = world.services.counters.snapshot();
        [Counter::Connects, Counter::Disconnects, Counter::ConnectsRejected].map(|counter| counts.get(counter))
    };
    assert_eq!(counted(&world), [1, 0, 0]);
    let counts = world.services.counters.snapshot();
    assert_eq!(counts.get(Counter::MessagesOut), report.stats.msg_out);
    assert_eq!(counts.get(Counter::BytesOut), report.stats.bytes_out);
    assert_eq!(counts.get(Counter::MessagesIn), report.stats.msg_in);
    assert_eq!(counts.get(Counter::BytesIn), report.stats.bytes_in);
    let peer = world.ends[client].id;
    world.deliver(Mail::Disconnect { session, peer, by: "an administrator" });
    world.seconds(30);
    assert_eq!(counted(&world), [1, 1, 0]);
    assert_eq!(report.instance.traffic().counts().disconnected, 1);
    assert!(client_report(&mut world, session).is_none());
}

//! A worker as a whole: its mail, its replies, the handshakes that it permits, and its loop over real sockets.

mod draining;
mod handover;
mod running;

use std::net::SocketAddr;
use std::time::Duration;

use introd_flash::server::Rejection;
use introd_policy::message::ClientCommand;
use introd_policy::{Reply, Verdict};
use introd_udp::{Interface, LocalAddress};
use rtmfp::{InterfaceId, PeerId, SessionId};

use super::{MAIL_BATCH, MAIL_BATCH_BEHIND};
use crate::introducer::Counter;
use crate::serve::datagram::SessionDatagram;
use crate::serve::mail::Mail;
use crate::serve::strays::Stray;
use crate::serve::testing::{World, with_application};

fn scripted() -> World {
    World::with_config(|config| with_application(config, "app", |_| ()))
}

#[test]
fn mail_is_taken_in_batches_and_none_of_it_is_lost() {
    let mut world = World::with_config(|_| ());
    let (session, contest) = (SessionId::from_wire(5), |session| Mail::Contest { session, peer: PeerId([1; 32]) });
    (0..1000).for_each(|_| world.worker.info.send(session, contest(session)));
    assert_eq!(world.worker.mailbox.len(), 1000);
    let first = world.worker.mailbox.try_recv().ok();
    world.worker.take_mail(world.now, first);
    assert_eq!(world.worker.mailbox.len(), 1000 - MAIL_BATCH - 1, "the sockets have their turn");
    world.worker.take_mail(world.now, None);
    assert_eq!(world.worker.mailbox.len(), 1000 - MAIL_BATCH - 1, "there is nothing to begin with");
    world.worker.backlog.heed(Duration::from_secs(1));
    let next = world.worker.mailbox.try_recv().ok();
    world.worker.take_mail(world.now, next);
    assert_eq!(
        world.worker.mailbox.len(),
        1000 - MAIL_BATCH - 1 - MAIL_BATCH_BEHIND - 1,
        "lookups wait at the sockets"
    );
    assert_eq!(world.count(Counter::MailboxFull), 0);
}

#[test]
fn the_last_message_of_a_batch_is_delivered() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (session, peer) = (world.session(client), world.ends[client].id);
    (0..MAIL_BATCH - 1).for_each(|_| world.worker.info.send(session, Mail::Wake));
    world.worker.info.send(session, Mail::Disconnect { session, peer, by: "a plugin" });
    world.worker.take_mail(world.now, Some(Mail::Wake));
    assert!(world.worker.mailbox.is_empty());
    assert!(world.worker.clients.peer(session).is_none(), "it was the one after the batch");
}

#[test]
fn a_command_does_not_overtake_the_verdict_that_its_script_gave_before() {
    let mut world = scripted();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let (request, of) = (world.script.asked(), world.client_id(client));
    world.services.replies.push(request, Reply::Verdict(Verdict::Continue));
    let command = ClientCommand::Call { client: of, method: "hello".to_owned(), arguments: vec![], token: None };
    world.deliver(Mail::Command(command, None));
    assert_eq!(world.ends[client].codes(), ["Connect.Success", "hello"]);
}

#[test]
fn a_plugin_disconnects_a_client_if_it_is_still_that_peers() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let session = world.session(client);
    world.deliver(Mail::Disconnect { session, peer: PeerId([9; 32]), by: "a plugin" });
    world.deliver(Mail::Disconnect { session: SessionId::from_wire(77), peer: world.ends[client].id, by: "a plugin" });
    assert!(world.worker.clients.peer(session).is_some());
    world.deliver(Mail::Disconnect { session, peer: world.ends[client].id, by: "a plugin" });
    assert!(world.worker.clients.peer(session).is_none());
}

#[test]
fn a_datagram_that_another_worker_received_is_taken_with_its_address() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let (session, from) = (world.session(client), SocketAddr::from(([203, 0, 113, 99], 9)));
    world.seconds(2);
    let (now, far) = (world.now, &mut world.ends[client]);
    far.endpoint.ping(now, far.session.unwrap(), &[]);
    let mut bytes = Vec::new();
    far.endpoint.poll_transmit(now, &mut bytes).unwrap();
    far.address = from;
    let interface = Interface { socket: 0, local: LocalAddress::ANY };
    world.deliver(Mail::Datagram(SessionDatagram { interface, from, bytes: bytes.into_boxed_slice() }));
    let known = world.worker.endpoint.session(session).unwrap();
    assert_eq!((known.heard, known.far_address), (world.now, from));
}

#[test]
fn a_datagram_for_a_session_of_another_worker_is_passed_on() {
    let mut world = World::with_config(|_| ());
    let from = SocketAddr::from(([203, 0, 113, 99], 9));
    let datagram = |interface| SessionDatagram { interface, from, bytes: Box::from([1, 2, 3]) };
    let stray = |worker, interface| Stray { worker, datagram: datagram(interface) };
    world.worker.pass_on(stray(1, InterfaceId(0)));
    let Ok(Mail::Datagram(datagram)) = world.elsewhere.try_recv() else { panic!() };
    assert_eq!((datagram.interface.socket, datagram.from, &*datagram.bytes), (0, from, &[1, 2, 3][..]));
    world.worker.pass_on(stray(1, InterfaceId(77)));
    world.worker.pass_on(stray(9, InterfaceId(0)));
    assert!(world.elsewhere.try_recv().is_err(), "there is no such interface, and no such worker");
    assert_eq!(world.count(Counter::MailboxFull), 0);
    (0..10_000).for_each(|_| world.worker.pass_on(stray(1, InterfaceId(0))));
    assert_eq!(world.count(Counter::MailboxFull), 10_000 - 4096);
}

#[test]
fn handshakes_beyond_a_rate_are_refused_and_succeed_when_they_are_repeated() {
    let mut world = World::with_config(|config| config.server.limits.max_connection_rate_per_address = Some(1));
    let [first, second] = [(); 2].map(|()| world.add());
    world.ends[second].address = SocketAddr::new(world.ends[first].address.ip(), 9);
    let is_open = |world: &World, end: usize| {
        let far = &world.ends[end];
        far.endpoint.session(far.session.unwrap()).is_some()
    };
    world.open(first);
    world.open(second);
    assert_eq!((is_open(&world, first), is_open(&world, second)), (true, false));
    assert_eq!(world.services.refusals.told(), ["MaxConnectionRatePerAddress"]);
    world.seconds(10);
    assert!(is_open(&world, second));
}

#[test]
fn a_reply_to_a_request_that_is_gone_reaches_no_other() {
    let mut world = scripted();
    let [first, second] = [(); 2].map(|()| world.add());
    world.connect(first, "rtmfp://host/app");
    let request = world.script.asked();
    world.decide(request, Verdict::Continue);
    world.connect(second, "rtmfp://host/app");
    let newer = world.script.asked();
    world.decide(request, Verdict::Reject(Box::new(Rejection::rejected("late"))));
    assert!(world.ends[second].heard.is_empty() && world.worker.pending.len() == 1);
    world.decide(newer, Verdict::Continue);
    assert_eq!(world.ends[second].codes(), ["Connect.Success"]);
}

#[test]
fn the_worker_wakes_up_for_a_request_that_is_late() {
    let mut world = scripted();
    let before = world.worker.next_deadline();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let deadline =
        world.now + world.services.applications.config().default_adaptor.default_vhost.defaults.policy.deadline;
    assert!(before.is_some_and(|before| before > deadline));
    assert_eq!(world.worker.next_deadline(), Some(deadline));
}

#[test]
fn the_worker_turns_once_a_beat_and_sooner_if_something_is_due() {
    let mut world = scripted();
    assert_eq!(world.worker.next_turn(world.now), world.now + introd_liveness::BEAT);
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    let deadline = world.worker.next_deadline().unwrap();
    let before = deadline - introd_liveness::BEAT / 2;
    assert_eq!(world.worker.next_turn(before), deadline);
}

#[test]
fn after_a_standstill_what_would_be_due_is_put_off_until_the_sockets_are_empty() {
    let mut world = scripted();
    let client = world.add();
    world.connect(client, "rtmfp://host/app");
    world.worker.begin_turn(world.now);
    let due = world.worker.pending.next_deadline().unwrap();
    let later = world.now + Duration::from_secs(100);
    // The turn that the standstill interrupts gives nobody up.
    assert!(world.worker.endpoint.poll_timeout().is_some_and(|at| at <= later));
    world.worker.timed_out(later);
    assert!(world.worker.endpoint.poll_timeout().is_some_and(|at| at <= later));
    world.worker.begin_turn(later);
    assert!(world.worker.standstill.is_catching_up());
    assert_eq!(world.worker.pending.next_deadline(), Some(due + Duration::from_secs(99)));
    world.worker.has_read(later, true);
    assert!(world.worker.standstill.is_catching_up());
    assert!(world.worker.endpoint.poll_timeout().is_some_and(|at| at <= later));
    world.worker.has_read(later, false);
    assert!(!world.worker.standstill.is_catching_up());
    assert!(world.worker.endpoint.poll_timeout().is_none_or(|at| at > later));
}

#[test]
fn a_worker_that_is_in_time_does_what_is_due() {
    let mut world = World::with_config(|_| ());
    world.client("rtmfp://host/chat");
    let due = world.worker.endpoint.poll_timeout().unwrap();
    world.worker.begin_turn(due);
    world.worker.timed_out(due);
    assert!(world.worker.endpoint.poll_timeout().is_none_or(|at| at > due));
}

//! A worker while the server drains.

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::PeerId;
use tokio::sync::oneshot;

use crate::introducer::Counter;
use crate::serve::drain::DrainRequest;
use crate::serve::inquiry::Inquiry;
use crate::serve::mail::Mail;
use crate::serve::testing::World;

fn elsewhere() -> SocketAddr {
    ([198, 51, 100, 77], 1935).into()
}

fn request(to: &[SocketAddr]) -> DrainRequest {
    DrainRequest { to: to.to_vec(), deadline: None }
}

fn is_open(world: &World, end: usize) -> bool {
    let far = &world.ends[end];
    far.session.is_some_and(|session| far.endpoint.session(session).is_some())
}

#[test]
fn a_new_client_gets_no_session_and_those_that_are_there_go_on() {
    let mut world = World::with_config(|_| ());
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.drain(Some(&request(&[])));
    let new = world.add();
    world.open(new);
    world.seconds(20);
    assert!(!is_open(&world, new) && world.worker.endpoint.session_count() == 2);
    assert!(world.worker.endpoint.counters().turned_away >= 2, "it repeats its hello");
    // Lookups, of clients and of strangers, joins and calls go on.
    let wanted = world.ends[second].id;
    world.look_up(first, wanted);
    assert_eq!(world.ends[first].met, [wanted]);
    let stranger = world.add();
    world.look_up(stranger, wanted);
    assert_eq!(world.ends[stranger].met, [wanted]);
    world.look_up(stranger, PeerId([9; 32]));
    assert_eq!((world.count(Counter::Redirects), world.count(Counter::UnknownTargets)), (2, 1));
    for end in [first, second] {
        world.join(end, 5);
    }
    assert_eq!(world.count(Counter::GroupJoins), 2);
    assert_eq!(world.ends[second].hints, [world.ends[first].id]);
    assert!(is_open(&world, first) && is_open(&world, second) && world.services.drain.left() == 2);
    assert!(!world.services.drain.is_over(world.now));
}

#[test]
fn it_is_over_when_the_last_client_has_gone() {
    let mut world = World::with_config(|_| ());
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.drain(Some(&request(&[])));
    world.seconds(10);
    world.leave(first);
    assert_eq!((world.services.drain.left(), world.services.drain.is_over(world.now)), (1, false));
    world.leave(second);
    assert_eq!((world.services.drain.left(), world.services.drain.is_over(world.now)), (0, true));
}

#[test]
fn a_new_client_is_sent_to_the_other_servers() {
    let mut world = World::with_config(|_| ());
    world.drain(Some(&request(&[elsewhere()])));
    let new = world.add();
    world.open(new);
    assert!(!is_open(&world, new));
    assert_eq!(world.lost_by_ends, [elsewhere()], "it says hello there at once");
}

#[test]
fn a_client_that_asks_again_gets_in_when_the_drain_is_cancelled() {
    let mut world = World::with_config(|_| ());
    world.drain(Some(&request(&[elsewhere()])));
    let new = world.add();
    world.open(new);
    assert!(!is_open(&world, new));
    world.drain(None);
    world.seconds(10);
    assert!(is_open(&world, new));
    world.ask(new, "rtmfp://host/chat");
    assert_eq!(world.ends[new].codes(), ["Connect.Success"]);
}

#[test]
fn an_inquiry_that_comes_after_the_beginning_is_answered_when_hellos_are_turned_away_already() {
    let mut world = World::with_config(|_| ());
    let new = world.add();
    world.services.drain.begin(world.now, std::time::SystemTime::UNIX_EPOCH, &request(&[]));
    let (reply, mut answer) = oneshot::channel();
    world.worker.take_mail(world.now, Some(Mail::Inquiry(Inquiry::Worker(reply))));
    assert!(answer.try_recv().is_ok());
    // What came in the same moment was handled before the worker's next turn.
    world.open(new);
    world.advance(Duration::from_secs(5));
    assert!(!is_open(&world, new));
}

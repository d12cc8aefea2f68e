//! Which of several sessions that show an id holds it, and for how long.

use std::sync::Arc;
use std::time::Duration;

use rtmfp::{PeerId, SessionId};

use super::{PERIOD, PINGS};
use crate::serve::mail::Mail;
use crate::serve::testing::{Published, Setup, World};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A client, and another that shows its certificate.
struct Rivals {
    world: World,
    shared: Arc<Published>,
    id: PeerId,
    ends: [usize; 2],
    sessions: [SessionId; 2],
}

/// The copy connects when the first client is there, or not any more.
fn rivals(is_first_there: bool) -> Rivals {
    let shared = Published::new();
    let mut world = World::new(Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() });
    let first = world.client("rtmfp://host/chat");
    world.join(first, 1);
    let own = world.session(first);
    world.ends[first].is_cut_off = !is_first_there;
    world.seconds(1);
    let copy = world.add_copy(first);
    world.connect(copy, "rtmfp://host/chat");
    world.join(copy, 1);
    let (id, other) = (world.ends[first].id, world.session(copy));
    Rivals { world, shared, id, ends: [first, copy], sessions: [own, other] }
}

impl Rivals {
    /// The place of the session that holds the id: the directory, the registry and the group agree.
    fn holder(&self) -> usize {
        let owner = self.world.services.directory.lookup(&self.id).unwrap().owner;
        assert_eq!(self.shared.of(self.id).unwrap().1.id, owner);
        let group = introd_netgroup::GroupKey::of(&introd_netgroup::GroupDigest([1; 32]), &[]);
        let member = self.world.services.groups.handle(&group, &self.id);
        assert_eq!(member, Some(owner));
        self.sessions.iter().position(|session| *session == owner).unwrap()
    }

    /// How many sessions are in doubt.
    fn in_doubt(&self) -> usize {
        self.world.worker.clients.doubts.doubted.len()
    }
}

#[test]
fn a_client_that_answers_keeps_its_id() {
    let mut rivals = rivals(true);
    assert_eq!((rivals.holder(), rivals.in_doubt()), (0, 0), "it has answered a ping");
    rivals.world.seconds(60);
    assert_eq!(rivals.holder(), 0);
    assert_eq!(rivals.world.worker.clients.doubts.next, None, "nobody is in doubt");
}

#[test]
fn the_id_of_a_client_that_answers_no_ping_passes_on_after_some_seconds() {
    let mut rivals = rivals(false);
    let time = PERIOD * u32::from(PINGS);
    assert_eq!((rivals.holder(), rivals.in_doubt()), (0, 1));
    rivals.world.advance(time - MILLISECOND);
    assert_eq!(rivals.holder(), 0);
    rivals.world.advance(MILLISECOND);
    assert_eq!(rivals.holder(), 1);
    // When the first client lives after all, it gets its id back.
    rivals.world.seconds(5);
    rivals.world.ends[rivals.ends[0]].is_cut_off = false;
    rivals.world.call(rivals.ends[0], "x", 0.0, Vec::new());
    rivals.world.advance(PERIOD);
    assert_eq!((rivals.holder(), rivals.in_doubt()), (0, 0));
}

#[test]
fn a_client_that_was_passed_over_gets_its_id_back_by_the_answer_to_a_late_ping() {
    let mut rivals = rivals(false);
    rivals.world.seconds(4);
    assert_eq!(rivals.holder(), 1);
    rivals.world.ends[rivals.ends[0]].is_cut_off = false;
    let (now, session) = (rivals.world.now, rivals.sessions[0]);
    rivals.world.worker.endpoint.ping(now, session, &[]);
    rivals.world.exchange();
    assert_eq!((rivals.holder(), rivals.in_doubt()), (0, 0));
}

#[test]
fn a_client_in_doubt_is_pinged_as_often_as_it_takes_and_no_more() {
    let mut rivals = rivals(false);
    rivals.world.lost.clear();
    let mut pinged = Vec::new();
    for _ in 0..6 {
        rivals.world.advance(PERIOD);
        pinged.push(!std::mem::take(&mut rivals.world.lost).is_empty());
    }
    // The first ping went at once. The endpoint itself may repeat what was lost.
    assert_eq!(pinged[..2], [true, true]);
    let pings = rivals.world.worker.clients.doubts.doubted[&rivals.sessions[0]].pings;
    assert_eq!(pings, PINGS);
}

#[test]
fn a_client_in_doubt_is_pinged_when_its_time_has_come_and_not_before() {
    let mut rivals = rivals(false);
    let pings = |rivals: &Rivals| rivals.world.worker.clients.doubts.doubted[&rivals.sessions[0]].pings;
    let due = rivals.world.worker.clients.doubts.next.unwrap();
    rivals.world.worker.handle_timeout(due - MILLISECOND);
    assert_eq!((pings(&rivals), rivals.world.worker.clients.doubts.next), (1, Some(due)));
    // The worker is a little late.
    rivals.world.now = due + MILLISECOND;
    rivals.world.worker.handle_timeout(rivals.world.now);
    assert_eq!(pings(&rivals), 2);
    assert_eq!(rivals.world.worker.clients.doubts.next, Some(due + MILLISECOND + PERIOD));
}

#[test]
fn what_came_at_the_moment_of_the_doubt_is_no_answer() {
    let mut rivals = rivals(true);
    let (session, peer) = (rivals.sessions[0], rivals.id);
    rivals.world.call(rivals.ends[0], "x", 0.0, Vec::new());
    rivals.world.ends[rivals.ends[0]].is_cut_off = true;
    rivals.world.deliver(Mail::Contest { session, peer });
    assert_eq!(rivals.world.worker.endpoint.heard(session), Some(rivals.world.now));
    rivals.world.advance(PERIOD);
    assert_eq!(rivals.in_doubt(), 1);
}

#[test]
fn a_second_contest_does_not_begin_the_pings_anew_while_the_first_goes_on() {
    let mut rivals = rivals(false);
    let (session, peer) = (rivals.sessions[0], rivals.id);
    for _ in 0..5 {
        rivals.world.advance(PERIOD / 2);
        rivals.world.deliver(Mail::Contest { session, peer });
    }
    rivals.world.advance(PERIOD / 2);
    assert_eq!(rivals.holder(), 1, "three periods after the first");
    // A session that was passed over may be in doubt again.
    rivals.world.deliver(Mail::Contest { session, peer });
    let doubt = &rivals.world.worker.clients.doubts.doubted[&session];
    assert_eq!((doubt.pings, doubt.is_passed_over), (1, false));
}

#[test]
fn only_a_client_with_that_id_is_put_in_doubt() {
    let mut rivals = rivals(true);
    let session = rivals.sessions[0];
    rivals.world.ends[rivals.ends[0]].is_cut_off = true;
    rivals.world.deliver(Mail::Contest { session, peer: PeerId([9; 32]) });
    rivals.world.deliver(Mail::Contest { session: SessionId::from_wire(77), peer: rivals.id });
    assert_eq!(rivals.in_doubt(), 0);
    rivals.world.deliver(Mail::Contest { session, peer: rivals.id });
    assert_eq!(rivals.in_doubt(), 1);
}

#[test]
fn two_clients_in_doubt_are_asked_at_the_time_of_the_first() {
    let mut rivals = rivals(false);
    let first = rivals.world.worker.clients.doubts.next.unwrap();
    rivals.world.advance(PERIOD / 2);
    let (session, peer) = (rivals.sessions[1], rivals.id);
    rivals.world.ends[rivals.ends[1]].is_cut_off = true;
    rivals.world.deliver(Mail::Contest { session, peer });
    assert_eq!((rivals.in_doubt(), rivals.world.worker.clients.doubts.next), (2, Some(first)));
}

#[test]
fn the_id_of_a_client_that_goes_passes_on_at_once_and_with_its_memberships() {
    let mut rivals = rivals(true);
    rivals.world.leave(rivals.ends[0]);
    assert_eq!(rivals.holder(), 1);
    let groups = rivals.world.worker.clients.clients[&rivals.sessions[1]].groups.as_ref().unwrap();
    assert!(!groups.memberships[0].is_waiting);
    rivals.world.leave(rivals.ends[1]);
    assert!(rivals.world.services.directory.is_empty() && rivals.shared.of(rivals.id).is_none());
}

#[test]
fn a_client_that_waits_for_its_id_and_goes_leaves_the_other_as_it_is() {
    let mut rivals = rivals(true);
    rivals.world.leave(rivals.ends[1]);
    assert_eq!(rivals.holder(), 0);
}

#[test]
fn a_client_in_doubt_that_goes_is_forgotten() {
    let mut rivals = rivals(false);
    assert_eq!(rivals.in_doubt(), 1);
    let session = rivals.sessions[0];
    let now = rivals.world.now;
    rivals.world.worker.endpoint.abort(now, session);
    rivals.world.exchange();
    assert_eq!((rivals.holder(), rivals.in_doubt()), (1, 0));
    rivals.world.advance(2 * PERIOD);
    assert_eq!(rivals.world.worker.clients.doubts.next, None);
}

#[test]
fn the_holder_of_an_id_that_others_wait_for_is_pinged() {
    let mut rivals = rivals(true);
    let (session, peer) = (rivals.sessions[0], rivals.id);
    rivals.world.ends[rivals.ends[0]].is_cut_off = true;
    rivals.world.deliver(Mail::Holds { session, peer, is_contested: false });
    assert_eq!(rivals.in_doubt(), 0);
    rivals.world.deliver(Mail::Holds { session, peer, is_contested: true });
    assert_eq!(rivals.in_doubt(), 1);
}

#[test]
fn where_nobody_else_lives_a_client_that_answers_no_ping_keeps_its_id() {
    let mut rivals = rivals(false);
    rivals.world.leave(rivals.ends[1]);
    rivals.world.seconds(5);
    assert_eq!((rivals.holder(), rivals.in_doubt()), (0, 0));
}

#[test]
fn the_worker_of_the_holder_is_told_of_a_copy() {
    let mut world = World::new(Setup::default());
    let copy = world.add();
    let (id, elsewhere) = (world.ends[copy].id, SessionId::from_wire(1 << 26 | 5));
    let prefix = elsewhere.prefix();
    assert_eq!(prefix, 1);
    world.services.directory.connect(id, elsewhere, 0, ([192, 0, 2, 9], 9).into(), false);
    world.connect(copy, "rtmfp://host/chat");
    let mail = world.elsewhere.try_recv();
    assert!(matches!(mail, Ok(Mail::Contest { session, peer }) if session == elsewhere && peer == id));
}

/// The same, in another process, of whose worker the clients come over in the order of their arrival.
fn replaced(rivals: Rivals) -> Rivals {
    let shared = Published::new();
    let setup = Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() };
    let mut world = rivals.world.replaced(setup);
    world.seconds(1);
    Rivals { world, shared, ..rivals }
}

#[test]
fn a_client_that_came_back_and_holds_the_id_holds_it_in_another_process_as_well() {
    let mut rivals = rivals(false);
    rivals.world.seconds(5);
    assert_eq!(rivals.holder(), 1, "the dead session was passed over");
    let mut rivals = replaced(rivals);
    assert_eq!(rivals.holder(), 1);
    // The first session lives after all.
    let first = rivals.ends[0];
    rivals.world.ends[first].is_cut_off = false;
    rivals.world.call(first, "x", 0.0, Vec::new());
    rivals.world.advance(PERIOD);
    assert_eq!(rivals.holder(), 0);
    let rivals = replaced(rivals);
    assert_eq!(rivals.holder(), 0);
}

#[test]
fn a_holder_that_vanishes_is_passed_over_by_another_process_too() {
    let mut rivals = rivals(true);
    assert_eq!(rivals.holder(), 0);
    let first = rivals.ends[0];
    rivals.world.ends[first].is_cut_off = true;
    let mut rivals = replaced(rivals);
    assert_eq!(rivals.holder(), 0);
    rivals.world.seconds(5);
    assert_eq!(rivals.holder(), 1);
}

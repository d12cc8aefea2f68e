//! The plugin that starts groups, behind the tables of the ABI.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use introd_native::{GroupChange, InstancePath, MemberChoice, ServerAccess};
use introd_netgroup::GroupDigest;
use introd_policy::{Peer, Verdict};
use introd_tests::libraries::library;
use rtmfp::{PeerId, SessionId};

use crate::bench::Bench;

/// A server that keeps the hints: to which session, about which peer. It has room for so many.
struct Server {
    room: usize,
    hints: Mutex<Vec<(u32, u8)>>,
}

impl ServerAccess for Server {
    fn find(&self, _: &PeerId) -> Option<Peer> {
        None
    }

    fn introduce(&self, _: &PeerId, _: &Peer, _: SocketAddr, _: &[u8]) -> bool {
        false
    }

    fn disconnect(&self, _: SessionId, _: PeerId) -> bool {
        false
    }

    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool {
        assert_eq!(group, GroupDigest([9; 32]));
        let mut hints = self.hints.lock().unwrap();
        let has_room = hints.len() < self.room;
        if has_room {
            hints.push((session.get(), about.0[0]));
        }
        has_room
    }
}

/// Lets client 1 join a group with these settings; the hints that are sent, how many, and how many are lost.
fn join(elements: &[(&str, &str)], room: usize) -> (Vec<(u32, u8)>, [i64; 2]) {
    let bench = Bench::new(library("group-bootstrap"), elements);
    let server = Arc::new(Server { room, hints: Mutex::default() });
    let access: Weak<dyn ServerAccess> = Arc::<Server>::downgrade(&server);
    bench.plugins.set_server_access(access);
    // Neighbours from 10 on, the newest from 20 on, and random ones of which the first is a neighbour.
    let choose = |choice, count: usize| {
        let first: usize = match choice {
            MemberChoice::Neighbors => 10,
            MemberChoice::Newest => 20,
            MemberChoice::Random => 30,
        };
        (first..first + count)
            .map(|number| if number == 30 { 10 } else { number as u8 })
            .map(|number| (PeerId([number; 32]), SessionId::from_wire(u32::from(number))))
            .collect()
    };
    let change = GroupChange {
        group: GroupDigest([9; 32]),
        session: SessionId::from_wire(1),
        peer: PeerId([1; 32]),
        place: InstancePath { application: "app", instance: "room" },
        members: 50,
        choose: &choose,
    };
    assert_eq!(bench.instance.group_join(&change), Verdict::Handled);
    bench.instance.group_leave(&change);
    let counted = ["hints", "hints_lost"].map(|name| bench.metric(name));
    (std::mem::take(&mut *server.hints.lock().unwrap()), counted)
}

#[test]
fn a_newcomer_is_told_of_members_once_each_and_they_of_it_unless_they_are_random() {
    let (hints, counted) = join(&[("neighbors", "2"), ("newest", "1"), ("random", "3")], 100);
    assert_eq!(hints, [(1, 10), (10, 1), (1, 11), (11, 1), (1, 20), (20, 1), (1, 31), (1, 32)]);
    assert_eq!(counted, [8, 0]);
    let (hints, _) = join(&[("neighbors", "1"), ("newest", "1"), ("random", "0"), ("tell", "newcomer")], 100);
    assert_eq!(hints, [(1, 10), (1, 20)]);
    let (hints, counted) = join(&[("neighbors", "0"), ("newest", "0"), ("random", "0")], 100);
    assert_eq!((hints, counted), (vec![], [0, 0]));
    // As the server does without the plugin: six neighbours, both ways, and three random members, one of them known already.
    assert_eq!(join(&[], 100).0.len(), 14);
}

#[test]
fn hints_for_which_there_is_no_room_are_counted() {
    assert_eq!(join(&[("neighbors", "3"), ("random", "0")], 4).1, [4, 2]);
}

#[test]
fn the_work_of_a_join_is_bounded() {
    for name in ["neighbors", "newest", "random"] {
        assert!(Bench::try_new(library("group-bootstrap"), &[(name, "32")]).is_ok());
        let Err(error) = Bench::try_new(library("group-bootstrap"), &[(name, "33")]) else { panic!("made") };
        assert!(error.to_string().ends_with(&format!("<{name}> must be a number up to 32, not 33")), "{error}");
    }
}

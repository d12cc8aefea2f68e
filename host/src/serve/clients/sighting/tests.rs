//! Clients are counted where they are seen, from their first report until they are gone.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::network::{Noticed, Standing};
use crate::serve::testing::World;

const GATEWAY: [u8; 4] = [172, 17, 0, 1];

/// A server in a container, whose clients are all seen at its gateway.
fn container() -> World {
    let world = World::with_config(|_| ());
    let interfaces = vec!["172.17.0.2/16".parse().unwrap()];
    world.services.network.set(Standing { interfaces, ..Standing::at(Arc::from([])) });
    world
}

fn hidden(world: &mut World, home: u8) -> usize {
    let end = world.add();
    world.ends[end].address = (GATEWAY, 40_000 + u16::from(home)).into();
    world.connect(end, "rtmfp://host/chat");
    world.report(end, &[home_address(home)]);
    end
}

fn home_address(home: u8) -> SocketAddr {
    ([10, 0, home, 7], 5).into()
}

/// How many clients the server says are hidden.
fn noticed(world: &World) -> Option<usize> {
    let network = &world.services.network;
    network.crowds().judge(&network.standing());
    match network.crowds().noticed()[..] {
        [] => None,
        [Noticed { ip, clients }] => {
            assert_eq!(ip, IpAddr::from(GATEWAY));
            Some(clients)
        }
        ref more => panic!("{more:?}"),
    }
}

#[test]
fn clients_count_where_they_are_seen_once_they_report_and_until_they_move_or_leave() {
    let mut world = container();
    let all: Vec<usize> = (0..20).map(|home| hidden(&mut world, home)).collect();
    assert_eq!(noticed(&world), Some(20));
    // A second report changes nothing.
    world.report(all[0], &[home_address(99)]);
    assert_eq!(noticed(&world), Some(20));
    // One moves to an address of its own, and comes back.
    world.move_to(all[1], ([203, 0, 113, 50], 5).into());
    assert_eq!(noticed(&world), Some(19));
    world.seconds(5);
    world.move_to(all[1], (GATEWAY, 45_000).into());
    assert_eq!(noticed(&world), Some(20));
    for left in (10..20).rev() {
        world.leave(all[left]);
        assert_eq!(noticed(&world), Some(left));
    }
    world.leave(all[9]);
    assert_eq!(noticed(&world), None);
}

#[test]
fn a_client_that_has_reported_nothing_does_not_count() {
    let mut world = container();
    for number in 0..25 {
        let end = world.add();
        world.ends[end].address = (GATEWAY, 40_000 + number).into();
        world.connect(end, "rtmfp://host/chat");
    }
    assert_eq!(noticed(&world), None);
}

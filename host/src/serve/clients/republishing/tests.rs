//! Clients are published again when the network of the server has changed.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::SessionId;

use super::*;
use crate::network::Standing;
use crate::serve::testing::{Published, Setup, World};

fn standing(near_addresses: &[&str]) -> Standing {
    Standing::at(near_addresses.iter().map(|text| text.parse::<SocketAddr>().unwrap()).collect())
}

#[test]
fn a_server_that_gets_its_network_late_publishes_the_clients_that_it_has() {
    let shared = Published::new();
    let mut world = World::new(Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() });
    world.services.network.set(standing(&[]));
    world.exchange();
    let clients = [(); 3].map(|()| world.client("rtmfp://host/chat"));
    // One that asks to connect, and is none yet; one that is gone.
    let waiting = world.add();
    world.open(waiting);
    world.leave(clients[2]);
    world.services.network.set(standing(&["203.0.113.9:1935", "[2001:db8::9]:1935"]));
    world.exchange();
    world.seconds(1);
    for client in &clients[..2] {
        let (published, _) = shared.of(world.ends[*client].id).unwrap();
        let relays: Vec<&String> = published.iter().filter(|text| text.ends_with("(relay)")).collect();
        assert_eq!(relays, ["203.0.113.9:1935 (relay)", "[2001:db8::9]:1935 (relay)"]);
    }
    assert_eq!([waiting, clients[2]].map(|end| shared.of(world.ends[end].id)), [None, None]);
    // It changes again.
    world.services.network.set(standing(&["203.0.113.10:1935"]));
    world.exchange();
    world.seconds(1);
    let (published, _) = shared.of(world.ends[clients[0]].id).unwrap();
    assert_eq!(published.last().unwrap(), "203.0.113.10:1935 (relay)");
}

#[test]
fn many_clients_are_published_some_at_a_time() {
    let shared = Published::new();
    let mut world = World::new(Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() });
    let client = world.client("rtmfp://host/chat");
    let now = world.now;
    let (turn, clients, _) = world.worker.turn(now);
    clients.republish_all(&turn);
    let session = clients.agenda.republishing.waiting[0];
    // As if there were many more.
    clients.agenda.republishing.waiting = vec![SessionId::from_wire(77); 2 * BATCH];
    clients.agenda.republishing.waiting[0] = session;
    turn.services().network.set(standing(&["203.0.113.9:1935"]));
    clients.republish(&turn);
    assert_eq!((clients.agenda.republishing.waiting.len(), clients.next_timeout()), (BATCH, Some(now + INTERVAL)));
    clients.republish(&turn);
    assert_eq!(clients.agenda.republishing.waiting.len(), BATCH, "the next ones wait");
    assert!(!shared.of(world.ends[client].id).unwrap().0.contains(&"203.0.113.9:1935 (relay)".to_owned()));
    world.advance(INTERVAL);
    assert!(shared.of(world.ends[client].id).unwrap().0.contains(&"203.0.113.9:1935 (relay)".to_owned()));
}

#[test]
fn without_a_registry_nothing_is_published() {
    let mut world = World::with_config(|_| ());
    world.client("rtmfp://host/chat");
    let now = world.now;
    let (turn, clients, _) = world.worker.turn(now);
    clients.republish_all(&turn);
    assert!(clients.agenda.republishing.next.is_none() && clients.agenda.republishing.waiting.is_empty());
}

//! The addresses that clients report: who learns of them, and how often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_policy::message::AppEvent;

use crate::serve::testing::{Published, Setup, World, with_application};

fn address(port: u16) -> SocketAddr {
    ([192, 168, 0, 1], port).into()
}

#[test]
fn what_a_client_reports_is_found_by_lookups_other_servers_and_its_script() {
    let shared = Published::new();
    let mut setup = Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() };
    with_application(&mut setup.config, "app", |_| ());
    let mut world = World::new(setup);
    let client = world.accepted();
    let (id, of) = (world.ends[client].id, world.client_id(client));
    // An address that is not believed is told to nobody.
    world.report(client, &[address(1), ([127, 0, 0, 1], 2).into(), address(3)]);
    let expected = [address(1), address(3)];
    assert_eq!(world.services.directory.lookup(&id).unwrap().reported.as_slice(), expected);
    let published = shared.of(id).unwrap().0;
    assert!(published.contains(&"192.168.0.1:3 (reported)".to_owned()), "{published:?}");
    let events = world.script.take();
    let [AppEvent::ReportedAddressesChange { client: whose, addresses }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*whose, addresses.as_slice()), (of, &expected[..]));
}

#[test]
fn reports_that_come_too_fast_are_passed_on_later_and_the_last_one_counts() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.accepted();
    for port in 1..=20 {
        world.report(client, &[address(port)]);
    }
    let told = |world: &World| -> Vec<u16> {
        let events = world.script.take();
        let ports = events.iter().map(|event| match event {
            AppEvent::ReportedAddressesChange { addresses, .. } => addresses[0].port(),
            other => panic!("{other:?}"),
        });
        ports.collect()
    };
    assert_eq!(told(&world), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(world.worker.clients.agenda.address_changes.len(), 1);
    world.advance(Duration::from_millis(1999));
    assert!(told(&world).is_empty());
    world.advance(Duration::from_millis(1));
    assert_eq!(told(&world), [20]);
    world.seconds(60);
    assert!(told(&world).is_empty(), "there is no other to pass on");
}

#[test]
fn a_report_of_a_client_that_is_gone_by_then_is_told_to_nobody() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.accepted();
    for port in 1..=9 {
        world.report(client, &[address(port)]);
    }
    world.leave(client);
    world.script.take();
    world.seconds(3);
    assert!(world.script.take().is_empty() && world.worker.clients.agenda.address_changes.is_empty());
}

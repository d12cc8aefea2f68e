use std::net::{IpAddr, SocketAddr};

use introd_flash::amf::Value;
use introd_flash::client::Incoming;

use super::is_like;
use crate::serve::nat_tests::MAX_RATE_OF_NETWORK;
use crate::serve::testing::{World, with_application};

const TAG: &str = "0123456789abcdef";

/// Has a client call a method, and returns what it heard: the values, or why the call failed.
fn call(world: &mut World, end: usize, method: &str, arguments: &[&str]) -> Result<Vec<Value>, String> {
    world.ends[end].heard.clear();
    world.call(end, method, 7.0, arguments.iter().map(|text| Value::from(*text)).collect());
    let heard = std::mem::take(&mut world.ends[end].heard);
    let answer = heard.into_iter().find_map(|incoming| match incoming {
        Incoming::Result { transaction: 7.0, values, .. } => Some(Ok(values)),
        Incoming::Error { transaction: 7.0, status } => Some(Err(status.description)),
        _ => None,
    });
    answer.expect("an answer")
}

fn ticket(world: &mut World, end: usize) -> String {
    let values = call(world, end, "introd.testNat", &[TAG]).unwrap();
    values[1].get("ticket").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn a_client_hears_where_the_server_listens_and_gets_a_ticket() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/app");
    let values = call(&mut world, end, "introd.testNat", &[TAG]).unwrap();
    assert_eq!(values[1].get("addresses"), Some(&Value::Array(vec![world.server.to_string().into()])));
    // The worker of a test has no sockets, so that it does not know where the client's packets come to.
    assert_eq!(["otherPort", "otherAddress"].map(|name| values[1].get(name)), [Some(&Value::Null); 2]);
    let ticket = values[1].get("ticket").and_then(Value::as_str).unwrap();
    let address = world.services.nat_tests.redeem(world.now, ticket);
    assert_eq!(address, Some(world.ends[end].address));
}

#[test]
fn a_packet_goes_to_the_address_of_a_ticket_and_to_no_other() {
    let mut world = World::with_config(|_| ());
    let [silent, caller] = [(); 2].map(|()| world.client("rtmfp://host/app"));
    let ticket = ticket(&mut world, silent);
    let address = world.ends[silent].address;
    // The client is gone, and its address with it.
    world.leave(silent);
    world.ends[silent].is_cut_off = true;
    world.lost.clear();
    assert_eq!(call(&mut world, caller, "introd.testBinding", &[&ticket, TAG]), Ok(vec![Value::Null, Value::Null]));
    assert_eq!(world.lost, [address]);
    world.lost.clear();
    let forged = ticket.replace(&ticket[..2], "ff");
    for ticket in ["", "x", &"0".repeat(60), &forged] {
        let refused = call(&mut world, caller, "introd.testBinding", &[ticket, TAG]).unwrap_err();
        assert!(refused.starts_with("The ticket is not one of this server"), "{refused}");
    }
    let other_family =
        world.services.nat_tests.ticket(world.now, SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 5)));
    assert!(call(&mut world, caller, "introd.testBinding", &[&other_family, TAG]).is_err());
    assert!(world.lost.is_empty(), "{:?}", world.lost);
}

#[test]
fn wrong_tags_are_refused() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/app");
    let ticket = ticket(&mut world, end);
    for tag in ["", "0123", "0123456789abcdefg", "0123456789abcdeg", &"00".repeat(500)] {
        let refused = call(&mut world, end, "introd.testNat", &[tag]).unwrap_err();
        assert_eq!(refused, "The tag is not a text of 16 hexadecimal digits.");
        assert!(call(&mut world, end, "introd.testBinding", &[&ticket, tag]).is_err());
    }
    for arguments in [&[][..], &[ticket.as_str()]] {
        assert!(call(&mut world, end, "introd.testBinding", arguments).is_err());
    }
    assert!(call(&mut world, end, "introd.testNat", &[]).is_err());
}

#[test]
fn without_a_relay_no_address_is_that_of_one() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/app");
    let server = world.server.to_string();
    for arguments in [&[][..], &["", "x", "192.0.2.1", &"9".repeat(500)], &[server.as_str(); 100]] {
        let values = call(&mut world, end, "introd.relayAddresses", arguments);
        assert_eq!(values, Ok(vec![Value::Null, Value::Array(Vec::new())]), "{arguments:?}");
    }
}

#[test]
fn the_calls_of_a_network_are_limited() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/app");
    let is_taken = |world: &mut World| call(world, end, "introd.testNat", &[TAG]).is_ok();
    let taken = (0..2 * MAX_RATE_OF_NETWORK).filter(|_| is_taken(&mut world)).count() as u64;
    assert_eq!(taken, MAX_RATE_OF_NETWORK);
    let refused = call(&mut world, end, "introd.testNat", &[TAG]).unwrap_err();
    assert_eq!(refused, "Too many NAT tests: try again in a second.");
}

#[test]
fn a_client_of_an_application_with_a_script_tests_its_nat_as_well() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let end = world.accepted();
    assert!(call(&mut world, end, "introd.testNat", &[TAG]).is_ok());
}

#[test]
fn packets_leave_from_addresses_that_clients_of_the_other_address_can_reach() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for (other, near, expected) in [
        ("203.0.113.9", "203.0.113.1", true),
        ("2001:db8::9", "2001:db8::1", true),
        ("127.0.0.2", "127.0.0.1", true),
        ("127.0.0.2", "203.0.113.1", false),
        ("203.0.113.9", "127.0.0.1", false),
        // A container's bridge, or the network behind the server.
        ("172.17.0.1", "203.0.113.1", false),
        ("10.0.0.2", "10.0.0.1", false),
        ("203.0.113.9", "10.0.0.1", false),
        ("2001:db8::9", "203.0.113.1", false),
        ("fe80::9", "2001:db8::1", false),
    ] {
        assert_eq!(is_like(ip(other), ip(near)), expected, "{other} {near}");
    }
}

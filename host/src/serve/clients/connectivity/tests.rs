use std::sync::Arc;

use introd_flash::client::Incoming;
use introd_policy::message::ClientCommand;

use super::*;
use crate::serve::testing::{World, with_application};

const NOTHING: Server = Server { is_relaying: false, mode: RelayMode::None, finds_outside: false };

const METHOD: &str = "introd.connectivity";

/// The facts in words, without the advice.
fn words(facts: &Value) -> String {
    let word = |name: &str| match facts.get(name).unwrap_or_else(|| panic!("no {name} in {facts:?}")) {
        Value::Null => "-".to_owned(),
        Value::Boolean(is_so) => is_so.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let names =
        ["publicAddress", "publicPort", "family", "reportedAddresses", "behindNAT", "portPreserved", "nat", "problem"];
    assert!(word("advice").starts_with("This peer "));
    names.map(word).join(" ")
}

#[test]
fn the_facts_follow_from_the_address_that_is_seen_and_those_that_are_reported() {
    for (observed, reported, expected) in [
        ("203.0.113.5:1935", &[][..], "203.0.113.5 1935 IPv4 0 - - unknown noReportedAddresses"),
        ("203.0.113.5:1935", &["203.0.113.5:1935"], "203.0.113.5 1935 IPv4 1 false true none -"),
        ("203.0.113.5:1935", &["10.0.0.5:1935"], "203.0.113.5 1935 IPv4 1 true true port_preserving -"),
        ("203.0.113.5:40000", &["10.0.0.5:1935"], "203.0.113.5 40000 IPv4 1 true false port_changing portChanging"),
        // IPv6 says nothing about a NAT of IPv4, and the other way round.
        ("203.0.113.5:1935", &["[2001:db8::5]:1935"], "203.0.113.5 1935 IPv4 1 - - unknown noReportedAddresses"),
        ("[2001:db8::5]:7", &["10.0.0.5:7"], "2001:db8::5 7 IPv6 1 - - ipv6 -"),
        ("[2001:db8::5]:7", &["[2001:db8::5]:7"], "2001:db8::5 7 IPv6 1 false true ipv6 ipv6Only"),
        ("[2001:db8::5]:7", &["[fd00::5]:7", "10.0.0.5:7"], "2001:db8::5 7 IPv6 2 true true ipv6 -"),
        // In the server's own network.
        ("192.168.1.5:1935", &["192.168.1.5:1935"], "192.168.1.5 1935 IPv4 1 false true none privateAddress"),
        ("[fd00::5]:7", &[], "fd00::5 7 IPv6 0 - - ipv6 privateAddress"),
        // As a socket of both families shows an IPv4 address.
        ("[::ffff:203.0.113.5]:7", &["203.0.113.5:7"], "203.0.113.5 7 IPv4 1 false true none -"),
    ] {
        let reported: Vec<SocketAddr> = reported.iter().map(|text| text.parse().unwrap()).collect();
        let facts = facts(observed.parse().unwrap(), &reported, &NOTHING);
        assert_eq!(words(&facts), expected, "{observed} {reported:?}");
    }
}

#[test]
fn there_is_a_relay_for_a_client_if_the_server_makes_pairs_and_the_application_uses_it() {
    let of = |mode: RelayMode, change: fn(&mut introd_config::Relay)| {
        let mut world = World::with_config(|config| {
            let listen =
                |local: &str| introd_config::Listen { local: local.parse().unwrap(), public: None, is_optional: true };
            let relay = &mut config.default_adaptor.relay;
            (relay.is_named, relay.ports) = (true, vec![vec![listen("127.0.0.1:0")]; 2]);
            change(relay);
            Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults).relay_mode = mode;
        });
        let client = world.client("rtmfp://host/chat");
        world.call(client, METHOD, 5.0, vec![]);
        let facts = std::mem::take(&mut world.ends[client].heard).into_iter().find_map(|incoming| match incoming {
            Incoming::Result { transaction: 5.0, mut values, .. } => values.pop(),
            _ => None,
        });
        let facts = facts.expect("an answer");
        (facts.get("relay").cloned(), facts.get("relayMode").cloned())
    };
    let told = |is_relaying: bool, mode: &str| (Some(Value::Boolean(is_relaying)), Some(mode.into()));
    assert_eq!(of(RelayMode::None, |_| ()), told(false, "None"));
    assert_eq!(of(RelayMode::Fallback, |_| ()), told(true, "Fallback"));
    assert_eq!(of(RelayMode::All, |_| ()), told(true, "All"));
    assert_eq!(of(RelayMode::All, |relay| relay.max_pairs = 0), told(false, "All"));
    assert_eq!(of(RelayMode::All, |relay| relay.max_pairs_per_client = 0), told(false, "All"));
    assert_eq!(of(RelayMode::All, |relay| relay.max_pairs_per_address = 0), told(false, "All"));
}

#[test]
fn a_client_beside_the_server_is_found_outside_if_the_server_knows_its_public_address() {
    let [own, reported] = ["192.168.1.5:7", "192.168.1.5:7"].map(|text| text.parse().unwrap());
    let problem = |server: &Server| words(&facts(own, &[reported], server)).ends_with(" privateAddress");
    assert!(problem(&NOTHING));
    assert!(!problem(&Server { finds_outside: true, ..NOTHING }));
}

/// Takes the answer to a client's call.
fn answer(world: &mut World, client: usize, transaction: f64) -> Option<Result<String, String>> {
    std::mem::take(&mut world.ends[client].heard).into_iter().find_map(|incoming| match incoming {
        Incoming::Result { transaction: of, values, .. } if of == transaction => {
            Some(Ok(words(values.last().expect("a value"))))
        }
        Incoming::Error { transaction: of, status } if of == transaction => Some(Err(status.description)),
        _ => None,
    })
}

#[test]
fn a_client_learns_what_the_server_sees_now() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    let ask = |world: &mut World, transaction: f64| {
        world.call(client, METHOD, transaction, vec![]);
        answer(world, client, transaction)
    };
    let own = world.ends[client].address;
    let (ip, port) = (own.ip(), own.port());
    assert_eq!(ask(&mut world, 5.0), Some(Ok(format!("{ip} {port} IPv4 0 - - unknown noReportedAddresses"))));
    world.report(client, &[own]);
    assert_eq!(ask(&mut world, 6.0), Some(Ok(format!("{ip} {port} IPv4 1 false true none -"))));
    assert_eq!(ask(&mut world, 0.0), None, "it wants no answer");
    // Arguments are of no interest.
    world.call(client, METHOD, 7.0, vec![Value::Null, "x".into()]);
    assert!(answer(&mut world, client, 7.0).unwrap().is_ok());
    let moved = SocketAddr::from(([198, 51, 100, 77], 7));
    world.move_to(client, moved);
    world.seconds(1);
    assert_eq!(
        ask(&mut world, 8.0),
        Some(Ok("198.51.100.77 7 IPv4 1 true false port_changing portChanging".to_owned()))
    );
    for unknown in ["introd.Connectivity", "introd", "introd.connectivity.x", "introd/connectivity"] {
        world.call(client, unknown, 10.0, vec![]);
        assert_eq!(answer(&mut world, client, 10.0), Some(Err(format!("Method not found ({unknown}).").to_owned())));
    }
}

#[test]
fn a_script_is_asked_first_and_may_leave_the_answer_to_the_server() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.accepted();
    world.script.take();
    world.call(client, METHOD, 5.0, vec![]);
    assert_eq!((world.script.names(), answer(&mut world, client, 5.0)), (vec!["Call".to_owned()], None));
    let of = world.client_id(client);
    world.command(ClientCommand::AnswerByServer { client: of, transaction: 5.0, method: ServerMethod::Connectivity });
    let own = world.ends[client].address;
    let expected = format!("{} {} IPv4 0 - - unknown noReportedAddresses", own.ip(), own.port());
    assert_eq!(answer(&mut world, client, 5.0), Some(Ok(expected)));
}

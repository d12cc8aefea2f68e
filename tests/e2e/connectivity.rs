//! `introd.connectivity`: what the server tells a client of the client's network.

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;
use introd_tests::program::{Files, Server};

use crate::harness::clients::{LOOPBACK, call, connect};

/// Calls the method.
async fn ask(client: &mut Client) -> Value {
    match call(client, "introd.connectivity", 77.0, Vec::new()).await {
        Incoming::Result { mut values, .. } => values.pop().expect("a value"),
        other => panic!("{other:?}"),
    }
}

/// Compares what the server says with what the client knows of itself.
fn check(client: &Client, facts: &Value) {
    let info = client.connect_info();
    let seen = info.seen.expect("the server tells its clients where it sees them");
    let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| facts.get(name).and_then(Value::as_number);
    assert_eq!(text("publicAddress"), Some(seen.ip().to_string()), "{facts:?}");
    assert_eq!(number("publicPort"), Some(f64::from(seen.port())), "{facts:?}");
    assert_eq!(text("family").as_deref(), Some("IPv4"), "{facts:?}");
    assert_eq!(facts.get("behindNAT"), Some(&Value::Boolean(false)), "{facts:?}");
    assert_eq!(facts.get("portPreserved"), Some(&Value::Boolean(true)), "{facts:?}");
    assert_eq!(text("nat").as_deref(), Some("none"), "{facts:?}");
    assert_eq!(facts.get("problem"), Some(&Value::Null), "{facts:?}");
    assert!(number("reportedAddresses").is_some_and(|count| count >= 1.0), "{facts:?}");
    assert!(text("advice").is_some_and(|advice| advice.contains("behind no NAT")), "{facts:?}");
}

#[tokio::test]
async fn a_client_learns_its_network_from_the_server_with_a_script_and_without() {
    let files = Files::new();
    files.script("scripted", "function application.onConnect() return true end", "");
    let own = "Client.introd = { connectivity = function(client) return 'of ' .. application.name end }";
    files.script("own", own, "");
    let server = Server::configured(files.path(), 2);
    for (number, path) in ["any", "scripted"].into_iter().enumerate() {
        let mut client = connect(&server.uri_of(path), LOOPBACK, 1 + number as u64).await;
        let facts = ask(&mut client).await;
        check(&client, &facts);
        // Again: it is no answer of the first time.
        assert_eq!(ask(&mut client).await, facts, "{path}");
    }
    let mut client = connect(&server.uri_of("own"), LOOPBACK, 9).await;
    assert_eq!(ask(&mut client).await, Value::from("of own/room"), "the script's own function comes first");
    assert!(!server.stop().stderr.contains("ERROR"));
}

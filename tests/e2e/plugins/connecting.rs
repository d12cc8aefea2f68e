//! Plugins decide which clients may connect, and are told of them.

use std::time::{Duration, Instant};

use introd_client::{Client, ClientFailure};
use introd_tests::program::{Ended, Files, Server};
use rtmfp::Event;

use super::puppet;
use crate::harness::clients::{LOOPBACK, TIMEOUT, client, rejection, try_connect};
use crate::harness::log;

fn server(plugins: &[String], policy: &str) -> (Files, Server) {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins><Policy>{policy}</Policy>", plugins.concat()));
    let server = Server::configured(files.path(), 1);
    (files, server)
}

async fn arrives(server: &Server) -> Result<Client, ClientFailure> {
    try_connect(&server.uri(0), LOOPBACK, 1, Vec::new()).await
}

async fn is_rejected(server: &Server) -> String {
    rejection(&server.uri(0), LOOPBACK, 1, Vec::new()).await
}

/// What the plugins said, without the ids of peers.
fn said(ended: &Ended) -> Vec<String> {
    let without_ids = |said: &str| said.split(' ').filter(|word| word.len() != 64).collect::<Vec<_>>().join(" ");
    log::said(&ended.stderr).into_iter().map(without_ids).collect()
}

#[tokio::test]
async fn a_plugin_that_rejects_a_client_says_why() {
    let plugins = [puppet("<name>a</name>"), puppet("<name>b</name><connect>reject not with that</connect>")];
    let (_files, server) = server(&plugins, "");
    let told = is_rejected(&server).await;
    assert!(told.contains("NetConnection.Connect.Rejected") && told.contains("not with that"), "{told}");
    let uri = server.uri(0);
    let ended = server.stop();
    let connect = |who: &str| format!("{who} connect app/room {uri} []");
    let gone = |who: &str| format!("{who} disconnect rejected");
    let said = said(&ended);
    assert_eq!(
        said[..6],
        ["a created".into(), "b created".into(), connect("a"), connect("b"), gone("a"), gone("b")],
        "{said:?}"
    );
}

#[tokio::test]
async fn a_plugin_redirects_a_client_to_another_server() {
    let (_files, server) = server(&[puppet("<connect>move rtmfp://other.example/app</connect>")], "");
    let told = is_rejected(&server).await;
    assert!(told.contains("rtmfp://other.example/app"), "{told}");
}

#[tokio::test]
async fn a_verdict_on_a_connect_may_come_later() {
    let plugins = [puppet("<name>a</name><after>300</after>"), puppet("<name>b</name><after>1</after>")];
    let (_files, server) = server(&plugins, "");
    let begin = Instant::now();
    let connected = arrives(&server).await.expect("a connection");
    assert!(begin.elapsed() >= Duration::from_millis(300));
    connected.close().await;
    let said = said(&server.stop());
    let places = ["a connect", "b connect", "a disconnect", "b disconnect"]
        .map(|what| said.iter().position(|said| said.starts_with(what)).unwrap_or_else(|| panic!("{what}: {said:?}")));
    assert!(places.is_sorted(), "{said:?}");
    assert_eq!(said.iter().filter(|said| said.contains("disconnect")).count(), 2, "{said:?}");
}

#[tokio::test]
async fn a_late_verdict_on_a_connect_falls_back_to_on_deadline() {
    for (fallback, is_let_in) in [("deny", false), ("ignore", false), ("continue", true)] {
        let policy = format!("<Deadline>200</Deadline><OnDeadline>{fallback}</OnDeadline>");
        let (_files, server) = server(&[puppet("<name>a</name><connect>never</connect>")], &policy);
        match arrives(&server).await {
            Ok(client) => {
                assert!(is_let_in, "{fallback}");
                client.close().await;
            }
            Err(failure) => {
                assert!(!is_let_in, "{fallback}");
                assert!(failure.to_string().contains("a plugin takes too long"), "{failure}");
            }
        }
        let ended = server.stop();
        assert_eq!(ended.counter("plugin_timeouts"), 1, "{ended:?}");
        assert!(said(&ended).contains(&"a cancel Some(Err(TooLate))".to_owned()), "{ended:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_pending_verdict() {
    let (_files, server) = server(&[puppet("<name>a</name><connect>never</connect>")], "<Deadline>60000</Deadline>");
    // It asks, and is gone.
    tokio::select! {
        _ = arrives(&server) => panic!("nobody lets it in"),
        () = log::logged(&server, "<<a connect ", 1) => (),
    }
    let ended = server.stop();
    let said = said(&ended);
    let cancel =
        said.iter().position(|said| said == "a cancel Some(Err(TooLate))").unwrap_or_else(|| panic!("{ended:?}"));
    let gone = said.iter().position(|said| said.starts_with("a disconnect")).unwrap_or_else(|| panic!("{ended:?}"));
    assert!(cancel < gone, "{said:?}");
    assert_eq!(ended.counter("plugin_timeouts"), 0);
}

#[tokio::test]
async fn a_plugin_that_fails_lets_no_client_in() {
    for verdict in ["fail", "panic"] {
        let (_files, server) = server(&[puppet(&format!("<connect>{verdict}</connect>"))], "");
        for _ in 0..2 {
            let told = is_rejected(&server).await;
            assert!(told.contains("a plugin has failed"), "{told}");
        }
        let ended = server.stop();
        assert_eq!(ended.counter("plugin_puppet_call_failures"), 2, "{ended:?}");
        assert_eq!(ended.stderr.matches("a plugin has panicked").count(), usize::from(verdict == "panic"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_plugin_is_told_of_addresses_and_disconnects() {
    let (_files, server) = server(&[puppet("<name>a</name><timer>1</timer>")], "");
    client(server.addresses[0], 1).await.close().await;
    let said = said(&server.stop());
    let place =
        |what: &str| said.iter().position(|said| said.starts_with(what)).unwrap_or_else(|| panic!("{what}: {said:?}"));
    assert!(said.iter().any(|said| said.starts_with("a addresses false Some([127.0.0.1:")), "{said:?}");
    let places = ["a created", "a connect", "a addresses", "a disconnect", "a destroyed"].map(place);
    assert!(places.is_sorted(), "{said:?}");
    place("a timer 7");
}

#[tokio::test]
async fn a_plugin_disconnects_a_client() {
    let (_files, server) = server(&[puppet("<name>a</name><disconnect/>")], "");
    let mut asker = client(server.addresses[0], 1).await;
    let _ = asker.meet(rtmfp::PeerId([5; 32]), Duration::from_millis(200)).await;
    loop {
        let event = tokio::time::timeout(TIMEOUT, asker.next()).await.expect("in time").expect("its sockets work");
        if matches!(event, Event::Closed { session, .. } if session == asker.session()) {
            break;
        }
    }
    let ended = server.stop();
    assert!(said(&ended).contains(&"a disconnects Ok(())".to_owned()), "{ended:?}");
}

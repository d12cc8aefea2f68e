//! The page shows what the relay does.

use introd_tests::program::{Files, Peer, Server, probe};

use super::browser_at;
use crate::harness::browser::meanwhile;
use crate::relay_policy::relay_ports;

#[tokio::test]
async fn relayed_pairs_are_counted_on_the_page_and_a_server_without_a_relay_says_so() {
    let (files, plain) = (Files::new(), Files::new());
    files.adaptor(&relay_ports()).application("<RTMFP><Relay mode=\"All\"/></RTMFP>");
    let (server, without) = (Server::administered(files.path(), 2), Server::administered(plain.path(), 1));
    let (admin, other) = (server.admin[0], without.admin[0]);
    let uri = server.uri(0);
    let met = meanwhile(move || {
        let peer = Peer::stay(&uri);
        let met = probe(&["--json", "--peer", &peer.id, &uri]);
        peer.leave();
        met
    })
    .await;
    assert_eq!(met.code, Some(0), "{met:?}");
    let browser = browser_at(admin, "#/introductions").await;
    meanwhile(move || {
        // A pair that nobody uses ends after half a minute; it has been made, whenever the page is opened.
        browser.wait_for_text(".facts dt", "Pairs made, and opened");
        let made = "[...document.querySelectorAll('.facts div')].some((one) => /^Pairs made, and opened\\s+1, [01]$/.test(one.innerText))";
        browser.wait(made);
        browser.wait_for_text(".facts dt", "Pairs refused");
        browser.wait_for_text("caption", "Pairs that the server relays");
        browser.picture("page-relay-light");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        browser.open(other, "#/introductions");
        browser.wait_for_text("main p", "The server has no relay");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}

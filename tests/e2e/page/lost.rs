//! A page whose server does not answer says so, and goes on by itself.

use introd_tests::program::{Files, Server, introd};
use rustix::process::Signal;

use super::browser_at;
use crate::harness::browser::meanwhile;

#[tokio::test]
async fn a_lost_connection_is_shown_and_recovers() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let browser = browser_at(admin, "#/overview").await;
    meanwhile(move || {
        // It stands still, as a machine without a network does.
        server.signal(Signal::STOP);
        browser.wait_for_text("#connection.lost", "No connection to the server");
        assert_eq!(browser.text("h1"), "Overview", "what was there stays");
        server.signal(Signal::CONT);
        browser.wait_for_text("#connection", "Live");
        // It ends, and another one starts in its place.
        assert_eq!(server.stop().code, Some(0));
        browser.wait_for_text("#connection.lost", "No connection to the server");
        let address = admin.to_string();
        let again =
            Server::by(introd(&["run", "--listen", "127.0.0.1:0", "--workers", "1"]).args(["--admin", &address]));
        browser.wait_for_text("#connection", "Live");
        drop(again);
    })
    .await;
}

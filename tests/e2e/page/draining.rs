//! An administrator drains the server by the page.

use introd_tests::program::Server;

use crate::admin::with_password;
use crate::harness::browser::{Browser, meanwhile};
use crate::harness::clients::client;

#[tokio::test]
async fn the_server_drains_and_stops_draining_by_the_page() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    // Somebody is there, or the drained server ends at once.
    let mut there = client(server.addresses[0], 1).await;
    let work = meanwhile(move || {
        let browser = Browser::start();
        browser.log_in(admin, "admin", "s3cret");
        browser.open(admin, "#/server");
        browser.press("main button", "Drain");
        browser.wait("document.activeElement.closest('dialog') !== null");
        browser.keys_at_the_focus("\u{e007}");
        browser.wait_for_text("main .facts", "Clients left");
        browser.press("main button", "Stop draining");
        browser.wait("document.querySelector('dialog[open]') !== null");
        browser.click("dialog button[type=submit]");
        browser.wait_for_text("main", "The server takes new sessions.");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
    tokio::select! {
        () = work => (),
        failure = there.stay() => panic!("{failure}"),
    }
}

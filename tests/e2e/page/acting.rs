//! An administrator acts by the page; one who may not is told why.

use introd_tests::program::{Files, Server};
use rtmfp::Event;

use super::browser_at;
use crate::admin::with_password;
use crate::harness::browser::{Browser, meanwhile};
use crate::harness::clients::{TIMEOUT, client};

#[tokio::test]
async fn a_kicked_client_disappears() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 2);
    let admin = server.admin[0];
    let mut kicked = client(server.addresses[0], 1).await;
    let mut other = client(server.addresses[0], 2).await;
    let (id, stays) = (kicked.id().to_string(), other.id().to_string());
    let browser = Browser::started().await;
    let working = meanwhile(move || {
        browser.log_in(admin, "admin", "s3cret");
        browser.open(admin, "#/clients");
        browser.wait_for_text("main tbody th", &id[..12]);
        browser.wait_for_text("main tbody th", &stays[..12]);
        browser.picture("page-clients-light");
        let button = format!("button[aria-label='Disconnect {}']", &id[..12]);
        // Thinking better of it changes nothing.
        browser.click(&button);
        browser.wait_for_text("dialog", &id);
        browser.keys_at_the_focus("\u{e00c}");
        browser.wait("document.querySelector('dialog') === null");
        browser.click(&button);
        browser.wait_for_text("dialog", &id);
        browser.picture("page-dialog-light");
        browser.keys_at_the_focus("sends too much\u{e007}");
        browser.wait_until_gone("main tbody th", &id[..12]);
        browser.wait_for_text("#notice", "is disconnected");
        assert_eq!(browser.texts("main tbody th").len(), 1);
        browser.wait_for_text("main tbody th", &stays[..12]);
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
    let closed = async {
        loop {
            if let Event::Closed { session, .. } = kicked.next().await.expect("its sockets work")
                && session == kicked.session()
            {
                return;
            }
        }
    };
    tokio::select! {
        ((), closed) = async { tokio::join!(working, tokio::time::timeout(4 * TIMEOUT, closed)) } => {
            closed.expect("the client is told");
        }
        failure = other.stay() => panic!("{failure}"),
    }
    let log = server.stop().stderr;
    assert!(log.contains("sends too much"), "{log}");
}

#[tokio::test]
async fn who_may_not_act_sees_why_and_no_buttons() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let browser = browser_at(server.admin[0], "#/server").await;
    meanwhile(move || {
        browser.wait_for_text("main .note", "introd passwd");
        assert_eq!(browser.count("main button"), 0);
    })
    .await;
}

#[tokio::test]
async fn the_level_of_the_log_changes_by_the_page() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    meanwhile(move || {
        let browser = Browser::start();
        browser.log_in(admin, "admin", "s3cret");
        browser.open(admin, "#/server");
        change_level(&browser, "warn");
        browser.wait_for_text("#notice", "The level of the log is warn.");
        browser.wait_for_text("main .facts", "warn");
        // What cannot be done is said, with the reason that the server gives.
        change_level(&browser, "loud=very");
        browser.wait_for_text("#notice.error", "Change failed");
        browser.wait_for_text("main .facts", "warn");
    })
    .await;
}

/// Types another level of the log into the dialog for it.
fn change_level(browser: &Browser, level: &str) {
    browser.press("main button", "Change the level of the log");
    browser.wait("document.activeElement.closest('dialog') !== null");
    browser.value("document.activeElement.select()");
    browser.keys_at_the_focus(&format!("{level}\u{e007}"));
}

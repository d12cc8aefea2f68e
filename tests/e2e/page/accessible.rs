//! Everybody can use the page: axe-core finds nothing serious in any view, and the keyboard reaches everything.

use std::path::PathBuf;

use introd_netgroup::channel::join;
use introd_tests::program::Server;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::admin::with_password;
use crate::harness::browser::{Browser, Look, meanwhile};
use crate::harness::clients::client;
use crate::harness::members::{Member, digest};

/// The program that looks for what readers with disabilities stumble over.
fn axe() -> String {
    let given = std::env::var_os("INTROD_AXE").map(PathBuf::from);
    let path = given.unwrap_or_else(|| introd_tests::cargo::workspace().join("target/axe-core/package/axe.min.js"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. tests/run fetches axe-core; INTROD_AXE names the file where it is elsewhere",
            path.display()
        )
    })
}

/// What axe finds in the page as it is shown: rules of WCAG 2.2, levels A and AA, and good practice.
fn findings(browser: &Browser, axe: &str) -> Vec<String> {
    if browser.value("window.axe === undefined") == true {
        browser.run(axe);
    }
    // Colours change over a moment when the look changes or the pointer moves: what is between two of them is not what readers see.
    browser.wait("document.getAnimations().length === 0");
    browser.value("void (window.axeFound = null, axe.run().then((found) => { window.axeFound = found; }))");
    let found = browser.wait("window.axeFound");
    assert!(found["passes"].as_array().unwrap().len() > 10, "it has looked");
    let violations = found["violations"].as_array().unwrap();
    let serious = violations.iter().filter(|one| one["impact"] == "serious" || one["impact"] == "critical");
    serious.map(|one| format!("{} {}: {}", one["impact"], one["id"], nodes(one))).collect()
}

fn nodes(violation: &Value) -> String {
    violation["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| format!("{} {}; ", node["html"], node["failureSummary"]))
        .collect()
}

#[tokio::test]
async fn no_view_has_serious_findings_in_light_dark_or_narrow() {
    let axe = axe();
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let group = digest("chess");
    let mut members = JoinSet::new();
    for number in 0..8 {
        let mut member = Member::joined(&server, number, &join(&group)).await;
        members.spawn(async move { member.client.stay().await });
    }
    let mut other = client(server.addresses[0], 100).await;
    let peer = other.id().to_string();
    let group = group.to_string();
    let work = meanwhile(move || {
        let browser = Browser::start();
        browser.log_in(admin, "admin", "s3cret");
        let views = [
            ("overview", "#/overview".to_owned(), ".tiles"),
            ("clients", "#/clients".to_owned(), "main tbody th a"),
            ("groups", "#/groups".to_owned(), "main tbody th a"),
            ("group", format!("#/group/{group}"), ".ring .dot"),
            ("introductions", "#/introductions".to_owned(), "main tbody"),
            ("applications", "#/applications".to_owned(), "main tbody th"),
            ("server", "#/server".to_owned(), "main .facts"),
            ("peer", format!("#/peer/{peer}"), "main p.id"),
            ("address", "#/address/127.0.0.1".to_owned(), "main p.id"),
            ("unknown", "#/nothing".to_owned(), "h1"),
        ];
        let mut all = Vec::new();
        for (look, width, name) in
            [(Look::Light, 1200, "light"), (Look::Dark, 1200, "dark"), (Look::Light, 360, "narrow")]
        {
            browser.look(look, width);
            for (view, path, there) in &views {
                browser.open(admin, path);
                browser.wait(&format!("document.querySelector({}) !== null", serde_json::json!(there)));
                let found = findings(&browser, &axe);
                all.extend(found.into_iter().map(|finding| format!("{name} {view}: {finding}")));
                // Nothing is cut off, and nobody scrolls the page sideways.
                let wider =
                    browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth");
                assert_eq!(wider, false, "{name} {view} is wider than its window");
                browser.picture(&format!("page-{view}-{name}"));
            }
        }
        // A dialog too.
        browser.open(admin, "#/clients");
        browser.click("main tbody button");
        browser.wait("document.querySelector('dialog[open]') !== null");
        all.extend(findings(&browser, &axe).into_iter().map(|finding| format!("dialog: {finding}")));
        assert!(all.is_empty(), "{}", all.join("\n"));
    });
    tokio::select! {
        () = work => (),
        failure = other.stay() => panic!("{failure}"),
    }
    assert!(members.try_join_next().is_none(), "the members are there until the end");
}

#[tokio::test]
async fn the_keyboard_reaches_the_content_the_menu_and_the_search() {
    let files = introd_tests::program::Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    meanwhile(move || {
        let browser = Browser::start();
        browser.open(admin, "");
        browser.wait_for_text("#connection", "Live");
        // The first stop of Tab leads past the menu.
        browser.keys("body", "\u{e004}");
        assert_eq!(browser.value("document.activeElement.className"), "skip");
        browser.keys_at_the_focus("\u{e007}");
        assert_eq!(browser.value("document.activeElement.id"), "main");
        assert_eq!(browser.text("h1"), "Overview", "the view is the same");
        // A view that was asked for gets the focus at its beginning, and the menu says where the reader is.
        browser.value("document.querySelector('#menu a[href=\"#/groups\"]').focus()");
        browser.keys_at_the_focus("\u{e007}");
        browser.wait("document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'Groups'");
        assert_eq!(browser.text("#menu a[aria-current=page]"), "Groups");
        assert_eq!(browser.value("document.title"), "Groups – introd");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}

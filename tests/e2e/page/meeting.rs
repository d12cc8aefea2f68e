//! The page shows a meeting as it happens.

use std::sync::Arc;

use introd_client::{Client, EchoReply};
use introd_tests::program::{Files, Server};

use super::browser_at;
use crate::harness::browser::{Browser, meanwhile};
use crate::harness::clients::{TIMEOUT, client};

/// Does something with the browser while clients go on.
async fn with_clients<T: Send + 'static>(
    browser: &Arc<Browser>,
    clients: [&mut Client; 2],
    task: impl FnOnce(&Browser) -> T + Send + 'static,
) -> T {
    let own = Arc::clone(browser);
    let [one, other] = clients;
    tokio::select! {
        value = meanwhile(move || task(&own)) => value,
        failure = one.stay() => panic!("{failure}"),
        failure = other.stay() => panic!("{failure}"),
    }
}

#[tokio::test]
async fn a_meeting_is_shown_as_it_happens() {
    let files = Files::new();
    let server = Server::administered(files.path(), 2);
    let (admin, address) = (server.admin[0], server.addresses[0]);
    let browser = browser_at(admin, "#/overview").await;
    assert_eq!(browser.count(".events .event"), 0, "nothing has happened");

    let mut asker = client(address, 1).await;
    let mut target = client(address, 2).await;
    let [of_asker, of_target] = [asker.id(), target.id()].map(|id| id.to_string()[..12].to_owned());
    let (shown_asker, shown_target) = (of_asker.clone(), of_target.clone());
    with_clients(&browser, [&mut asker, &mut target], move |browser| {
        browser.wait_for_text(".event[data-kind=connect]", &shown_asker);
        browser.wait_for_text(".event[data-kind=connect]", &shown_target);
        browser.wait("document.querySelector('.tiles dd').innerText === '2'");
    })
    .await;

    let id = target.id();
    tokio::select! {
        () = async {
            let meeting = asker.meet(id, TIMEOUT).await.expect("an introduction");
            assert_eq!(asker.echo(meeting.session, TIMEOUT).await, Ok(EchoReply::Echoed));
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    with_clients(&browser, [&mut asker, &mut target], move |browser| {
        // Nobody reloads the page.
        browser.wait_for_text(".event[data-kind=lookup]", &format!("asked for {of_target}"));
        browser.wait_for_text(".event[data-kind=met]", &format!("met {of_target}"));
        browser.picture("page-overview-light");
        // The link leads to the story of the peer.
        browser.click(".event[data-kind=met] a.id");
        browser.wait_for_text("h1", "Peer");
        browser.wait_for_text("main .events .event", "met");
        browser.wait_for_text("main .facts", "Address");
        browser.picture("page-story-light");
        assert!(browser.text("main p.id").starts_with(&of_asker));
        browser.open(admin, "#/introductions");
        browser.wait("[...document.querySelectorAll('tbody th')].some((one) => one.innerText === 'met')");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn the_search_finds_a_peer_by_the_beginning_of_its_id_and_what_happened_at_an_address() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let address = server.addresses[0];
    let mut one = client(address, 3).await;
    let mut other = client(address, 4).await;
    let id = one.id().to_string();
    let at = one.peer().ports.local_addresses().next().unwrap().to_string();
    let browser = browser_at(server.admin[0], "").await;
    with_clients(&browser, [&mut one, &mut other], move |browser| {
        let search = |text: &str| {
            browser.value("document.getElementById('wanted').value = ''");
            browser.keys("#wanted", &format!("{text}\u{e007}"));
        };
        search(&id[..10].to_uppercase());
        browser.wait_for_text("main p.id", &id);
        browser.wait_for_text("main .event[data-kind=connect]", "connected");
        search(&at);
        browser.wait_for_text("h1", "Address");
        browser.wait_for_text("main tbody th", &id[..12]);
        browser.wait_for_text("main .event[data-kind=connect]", &id[..12]);
        search("ffffffffff");
        browser.wait_for_text("main tbody", "No client is connected that fits.");
        search("who is there?");
        browser.wait_for_text("#notice.error", "Search for a peer id");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}

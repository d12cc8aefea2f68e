//! What a client calls itself is shown as text.

use introd_client::{Client, Destination};
use introd_flash::client::ConnectOptions;
use introd_tests::program::{Files, Server};

use super::browser_at;
use crate::harness::browser::meanwhile;
use crate::harness::clients::{LOOPBACK, TIMEOUT, peer_on};

const AGENT: &str = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>";

#[tokio::test]
async fn an_agent_that_is_markup_stays_text() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let browser = browser_at(server.admin[0], "#/overview").await;
    let (peer, id) = peer_on(LOOPBACK, 1);
    let destination = Destination::resolve(&server.uri_of("app"), |_| true).await.unwrap();
    let options = ConnectOptions { agent: AGENT.to_owned(), ..ConnectOptions::default() };
    let mut client =
        Client::connect(peer, id, destination, &options, TIMEOUT).await.unwrap_or_else(|failure| panic!("{failure}"));
    let admin = server.admin[0];
    tokio::select! {
        () = meanwhile(move || {
            browser.wait_for_text(".event[data-kind=connect]", "<img src=x onerror=");
            browser.open(admin, &format!("#/peer/{id}"));
            browser.wait_for_text(".event[data-kind=connect]", "<img src=x onerror=");
            assert_eq!(browser.count("main img, main script"), 0);
            assert_eq!(browser.value("document.title"), "Peer – introd");
            assert_eq!(browser.complaints(), Vec::<String>::new());
        }) => (),
        failure = client.stay() => panic!("{failure}"),
    }
}

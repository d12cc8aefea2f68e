//! What a policy refuses is shown with its reason.

use introd_tests::program::{Files, Server};

use super::browser_at;
use crate::harness::browser::meanwhile;
use crate::harness::clients::{LOOPBACK, TIMEOUT, rejection, try_connect};
use crate::harness::stranger::Stranger;

#[tokio::test]
async fn a_refused_pair_and_a_refused_client_are_shown_with_the_policy_and_its_reason() {
    let files = Files::new();
    files.script(
        "club",
        "function application.onConnect(client, word)
            if word == 'let me in' then return true end
            application.rejectConnection(client, 'the word is wrong')
        end
        function application.onPeerLookup(event) application.denyPeerLookup(event) end",
        "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>",
    );
    let server = Server::administered(files.path(), 1);
    let browser = browser_at(server.admin[0], "#/overview").await;
    let uri = server.uri_of("club");
    let said = rejection(&uri, LOOPBACK, 1, vec!["no".into()]).await;
    assert!(said.contains("the word is wrong"), "{said}");
    let accepted = try_connect(&uri, LOOPBACK, 2, vec!["let me in".into()]).await;
    let mut target = accepted.unwrap_or_else(|failure| panic!("{failure}"));
    let id = target.id();
    let asked = server.addresses[0];
    tokio::select! {
        () = meanwhile(move || {
            Stranger::new(TIMEOUT).ask(asked, id);
            browser.wait_for_text(".event.bad[data-kind=connect_refused]", "the word is wrong");
            browser.wait_for_text(".event.bad[data-kind=lookup]", &format!("asked for {}", &id.to_string()[..12]));
            browser.wait_for_text(".event.bad[data-kind=lookup]", "script");
            // The choice of the list shows refusals alone.
            browser.value("(document.getElementById('feed-choice').value = 'refusals', document.getElementById('feed-choice').dispatchEvent(new Event('change')))");
            browser.wait("document.querySelectorAll('.event').length > 0 && document.querySelectorAll('.event:not(.bad)').length === 0");
            browser.picture("page-refusals-light");
            assert_eq!(browser.complaints(), Vec::<String>::new());
        }) => (),
        failure = target.stay() => panic!("{failure}"),
    }
}

//! The target's application has a say in who is introduced to its clients, whatever the asker is a client of.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_client::Client;
use introd_tests::libraries::library;
use introd_tests::program::{Files, Server};
use rtmfp::PeerId;

use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};
use crate::harness::independent;
use crate::harness::log::logged;
use crate::harness::stranger::Stranger;
use crate::plugins::plugin;

const ALL: &str = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";
const PARTIAL: &str = "<RTMFP><PeerLookupEvents mode=\"Partial\"/></RTMFP>";
/// How long an asker waits for an answer that must not come: it asks more than once meanwhile.
const SHORT: Duration = Duration::from_millis(1200);

/// A script that logs the asker, then does what the body says.
fn script(body: &str) -> String {
    format!(
        "function application.onPeerLookup(event)
            local client, from = event.client and 'a client' or 'nobody', event.initiatorApplication or 'nowhere'
            trace('<<' .. application.name .. ' is asked by ' .. client .. ' of ' .. from .. '>>')
            {body}
        end"
    )
}

/// What the script of Adobe's document does with a target that is its own.
const INTRODUCES: &str = "local target = application.clients[event.targetPeerID]
    if not target then return end
    application.sendPeerRedirect({ target.farAddress }, event)
    target:introducePeer(event.initiatorAddress, event.tag)";
const DENIES: &str = "application.denyPeerLookup(event)";

fn filter(peer: PeerId) -> String {
    let rule = format!("<rule action=\"deny\" target=\"{peer}\"/>");
    format!("<Plugins>{}</Plugins>", plugin(&library("lookup-filter"), &rule))
}

fn puppet(verdict: &str) -> String {
    let config = format!("<name>it</name><lookup>{verdict}</lookup>");
    format!("<Plugins>{}</Plugins>", crate::plugins::puppet(&config))
}

/// What became of a lookup.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Met,
    /// The server named other addresses.
    Sent(Vec<SocketAddr>),
    Nothing,
}

async fn client(server: &Server, path: &str, number: u64) -> Client {
    let uri = format!("rtmfp://{}/{path}", server.addresses[0]);
    connect(&uri, LOOPBACK, number).await
}

/// A client looks for another.
async fn ask(asker: &mut Client, target: &mut Client, timeout: Duration) -> Found {
    let id = target.id();
    let result = tokio::select! {
        result = asker.meet(id, timeout) => result,
        failure = target.stay() => panic!("{failure}"),
    };
    match result {
        Ok(_) => Found::Met,
        Err(failure) if failure.problem.contains("did not introduce") => Found::Nothing,
        Err(failure) => {
            let words = failure.problem.split([' ', ',']).map(|word| word.trim_end_matches([':', ',']));
            let named: Vec<SocketAddr> = words.filter_map(|word| word.parse().ok()).collect();
            assert!(!named.is_empty(), "{failure}");
            Found::Sent(named)
        }
    }
}

/// A sender that is no client looks for a peer: where it is redirected to within that time.
fn ask_from_nowhere(server: &Server, id: PeerId, timeout: Duration) -> Option<Vec<SocketAddr>> {
    let addresses = Stranger::new(timeout).look_up(server.addresses[0], id)?;
    Some(addresses.iter().map(|address| address.address).collect())
}

/// Other paths to the same server.
const OTHER_PATHS: [&str; 7] =
    ["guarded/other", "plain/room", "Guarded/room", "guarded%20/room", "", "own/room", "guarded"];

#[tokio::test]
async fn a_script_that_denies_is_asked_whatever_the_asker_is_a_client_of() {
    let files = Files::new();
    files.script("guarded", &script(DENIES), ALL).script("own", "", "");
    let server = Server::configured(files.path(), 2);
    let mut target = client(&server, "guarded/room", 1).await;
    for (number, path) in OTHER_PATHS.into_iter().enumerate() {
        let mut asker = client(&server, path, 10 + number as u64).await;
        assert_eq!(ask(&mut asker, &mut target, SHORT).await, Found::Nothing, "{path}");
        asker.close().await;
    }
    let mut asker = client(&server, "guarded/room", 2).await;
    assert_eq!(ask(&mut asker, &mut target, SHORT).await, Found::Nothing);
    assert_eq!(ask_from_nowhere(&server, target.id(), SHORT), None);
    assert_eq!(target.echoed_peers(), []);
    // On a busy computer, the script is asked later.
    logged(&server, "guarded/room is asked by nobody of nowhere>>", 1).await;
    let ended = server.stop();
    for asked in [
        // The script of the asker's own instance has denied already.
        "guarded/other is asked by a client of guarded/other",
        "guarded/_definst_ is asked by a client of guarded/_definst_",
        "guarded/room is asked by nobody of plain/room",
        "guarded/room is asked by nobody of Guarded/room",
        "guarded/room is asked by nobody of guarded /room",
        "guarded/room is asked by nobody of _definst_/_definst_",
        "guarded/room is asked by nobody of own/room",
        "guarded/room is asked by a client of guarded/room",
        "guarded/room is asked by nobody of nowhere",
    ] {
        assert!(ended.stderr.contains(&format!("<<{asked}>>")), "{asked}: {ended:?}");
    }
    assert_eq!((ended.counter("rtmfp_redirects"), ended.counter("rtmfp_forwards")), (0, 0), "{ended:?}");
    assert!(ended.counter("rtmfp_lookups_denied") >= 9, "{ended:?}");
}

#[tokio::test]
async fn a_plugin_that_denies_is_asked_whatever_the_asker_is_a_client_of() {
    let files = Files::new();
    let denied = crate::harness::clients::identity(1).peer_id();
    files.script("guarded", "", &filter(denied)).script("own", "", "");
    let server = Server::configured(files.path(), 2);
    let mut target = client(&server, "guarded/room", 1).await;
    let mut other = client(&server, "guarded/room", 2).await;
    for (number, path) in OTHER_PATHS.into_iter().chain(["guarded/room"]).enumerate() {
        let mut asker = client(&server, path, 10 + number as u64).await;
        assert_eq!(ask(&mut asker, &mut target, SHORT).await, Found::Nothing, "{path}");
        assert_eq!(ask(&mut asker, &mut other, TIMEOUT).await, Found::Met, "{path}");
        asker.close().await;
    }
    assert_eq!(ask_from_nowhere(&server, target.id(), SHORT), None);
    assert!(ask_from_nowhere(&server, other.id(), TIMEOUT).is_some());
    assert_eq!(target.echoed_peers(), []);
    let ended = server.stop();
    let denied = ended.counter("rtmfp_lookups_denied");
    assert!(denied >= 9, "{ended:?}");
    assert_eq!(ended.counter("plugin_lookup_filter_denied"), denied);
}

#[tokio::test]
async fn clients_meet_where_both_applications_agree() {
    let files = Files::new();
    files.script("all", &script(INTRODUCES), ALL);
    // In this mode the server introduces when the script agrees, as it does for clients of its own.
    files.script("partial", &script("application.sendPeerRedirect({ '192.0.2.3:3' }, event)"), PARTIAL);
    files.script("continues", "", &puppet("continue"));
    files.script("introduces", "", &puppet("introduce"));
    // A script that fails or is late, with settings that continue then.
    let goes_on =
        "<Policy><OnFailure>continue</OnFailure><OnDeadline>continue</OnDeadline><Deadline>200</Deadline></Policy>";
    files.script("fails", &script("error('as it was told to')"), &format!("{ALL}{goes_on}"));
    files.script("late", &script(""), &format!("{ALL}{goes_on}"));
    let server = Server::configured(files.path(), 2);
    for (number, application) in ["all", "partial", "continues", "introduces", "fails", "late"].into_iter().enumerate()
    {
        let number = 10 * number as u64;
        let mut target = client(&server, &format!("{application}/room"), number + 1).await;
        let mut asker = client(&server, "plain/room", number + 2).await;
        assert_eq!(ask(&mut asker, &mut target, TIMEOUT).await, Found::Met, "{application}");
        let seen = target.connect_info().seen.expect("the server says");
        assert_eq!(ask_from_nowhere(&server, target.id(), TIMEOUT), Some(vec![seen]), "{application}");
        // A client of the same application meets the target too; in mode Partial without the script.
        let mut neighbor = client(&server, &format!("{application}/room"), number + 3).await;
        assert_eq!(ask(&mut neighbor, &mut target, TIMEOUT).await, Found::Met, "{application}");
    }
    let ended = server.stop();
    assert!(ended.stderr.contains("<<partial/room is asked by nobody of plain/room>>"), "{ended:?}");
    assert!(ended.stderr.contains("<<partial/room is asked by nobody of nowhere>>"), "{ended:?}");
    assert!(!ended.stderr.contains("<<partial/room is asked by a client"), "{ended:?}");
    assert_eq!(ended.counter("rtmfp_lookups_denied"), 0, "{ended:?}");
}

#[tokio::test]
async fn a_denial_by_either_application_holds_whatever_the_other_says() {
    let files = Files::new();
    files.script("denies", "", &puppet("deny"));
    files.script("ignores", &script(""), ALL);
    files.script("fails", &script("error('as it was told to')"), ALL);
    files.script("partial", &script(DENIES), PARTIAL);
    files.script("leaks", "", &puppet("redirect 192.0.2.1:1"));
    files.script("leaks-by-script", &script("application.sendPeerRedirect({ '192.0.2.2:2' }, event)"), ALL);
    files.script("introduces", "", &puppet("introduce"));
    let server = Server::configured(files.path(), 2);
    let mut open = client(&server, "plain/room", 1).await;
    // The asker's application denies, and no other policy is asked.
    let mut asker = client(&server, "denies/room", 2).await;
    assert_eq!(ask(&mut asker, &mut open, SHORT).await, Found::Nothing);
    // The target's application denies, whatever the asker's would do on its own authority.
    let mut number = 10;
    for application in ["denies", "ignores", "fails", "partial"] {
        let mut target = client(&server, &format!("{application}/room"), number).await;
        for from in ["plain", "leaks", "leaks-by-script", "introduces"] {
            if !matches!(application, "denies" | "ignores") && from != "plain" {
                continue;
            }
            number += 1;
            let mut asker = client(&server, &format!("{from}/room"), number).await;
            assert_eq!(ask(&mut asker, &mut target, SHORT).await, Found::Nothing, "{from} {application}");
            asker.close().await;
        }
        assert_eq!(target.echoed_peers(), [], "{application}");
        target.close().await;
        number += 1;
    }
    // Where no policy objects, the asker's application redirects wherever it likes.
    for (from, to) in [("leaks", "192.0.2.1:1"), ("leaks-by-script", "192.0.2.2:2")] {
        number += 1;
        let mut asker = client(&server, &format!("{from}/room"), number).await;
        let sent = Found::Sent(vec![to.parse().expect("an address")]);
        // Nobody is there, so that a lookup takes all its time; on a busy computer one may be too short for the server to answer.
        let deadline = Instant::now() + TIMEOUT;
        let mut found = Found::Nothing;
        while found == Found::Nothing && Instant::now() < deadline {
            found = ask(&mut asker, &mut open, SHORT).await;
        }
        assert_eq!(found, sent, "{from}");
    }
    number += 1;
    let mut asker = client(&server, "introduces/room", number).await;
    assert_eq!(ask(&mut asker, &mut open, TIMEOUT).await, Found::Met);
}

#[tokio::test]
async fn each_application_is_asked_under_its_own_settings() {
    let files = Files::new();
    let policy = |deadline: &str, failure: &str| {
        format!(
            "{ALL}<Policy><Deadline>300</Deadline><OnDeadline>{deadline}</OnDeadline><OnFailure>{failure}</OnFailure></Policy>"
        )
    };
    files.script("late", &script(""), &policy("deny", "continue"));
    files.script("fails", &script("error('as it was told to')"), &policy("continue", "deny"));
    files.script("never", "", &format!("{}{}", puppet("never"), policy("deny", "continue").replace(ALL, "")));
    // The asker's own settings would continue.
    files.script("own", "", &policy("continue", "continue").replace(ALL, ""));
    let server = Server::configured(files.path(), 1);
    for (number, application) in ["late", "fails", "never"].into_iter().enumerate() {
        let number = 10 * number as u64;
        let mut target = client(&server, &format!("{application}/room"), number + 1).await;
        let mut asker = client(&server, "own/room", number + 2).await;
        assert_eq!(ask(&mut asker, &mut target, SHORT).await, Found::Nothing, "{application}");
        assert_eq!(target.echoed_peers(), [], "{application}");
    }
    let ended = server.stop();
    assert!(ended.counter("rtmfp_lookups_denied") >= 3, "{ended:?}");
    assert_eq!(ended.counter("rtmfp_redirects"), 0, "{ended:?}");
    assert!(ended.counter("plugin_timeouts") >= 1, "{ended:?}");
}

#[tokio::test]
async fn a_reload_gives_the_targets_application_a_policy_and_takes_it_away() {
    let files = Files::new();
    files.script("guarded", "", "");
    // The plugin may have to be built first, and nothing answers for the target meanwhile.
    let denies = puppet("deny");
    let mut server = Server::configured(files.path(), 2);
    let mut target = client(&server, "guarded/room", 1).await;
    let mut number = 10;
    for (settings, expected) in [(String::new(), true), (denies, false), (String::new(), true)] {
        files.script("guarded", "", &settings);
        assert!(server.reload());
        number += 1;
        let mut asker = client(&server, "plain/room", number).await;
        let found = ask(&mut asker, &mut target, if expected { TIMEOUT } else { SHORT }).await;
        assert_eq!(found, if expected { Found::Met } else { Found::Nothing }, "{settings}");
    }
}

#[tokio::test]
async fn an_application_can_ignore_lookups_of_senders_that_are_no_clients() {
    let files = Files::new();
    let from = |who: &str| format!("<RTMFP><Lookups from=\"{who}\"/></RTMFP>");
    files.script("closed", "", &from("clients")).script("open", "", &from("anyone"));
    let server = Server::configured(files.path(), 2);
    let mut closed = client(&server, "closed/room", 1).await;
    let open = client(&server, "open/room", 2).await;
    assert_eq!(ask_from_nowhere(&server, closed.id(), SHORT), None);
    let seen = open.connect_info().seen.expect("the server says");
    assert_eq!(ask_from_nowhere(&server, open.id(), TIMEOUT), Some(vec![seen]));
    for (number, path) in ["closed/room", "plain/room"].into_iter().enumerate() {
        let mut asker = client(&server, path, 10 + number as u64).await;
        assert_eq!(ask(&mut asker, &mut closed, TIMEOUT).await, Found::Met, "{path}");
    }
    assert_eq!(server.stop().counter("rtmfp_lookups_denied"), 1);
}

/// A client that shares no code with introd tries every way to get round the policy.
#[test]
fn independent_clients_do_not_get_round_a_policy() {
    let filter = library("lookup-filter").display().to_string();
    let said = independent::run("around.py", &[&filter]);
    assert!(said.is_none_or(|said| said.contains("no way round")));
}

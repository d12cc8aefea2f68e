//! The applications in `lua/`, as they are.

use introd_flash::amf::Value;
use introd_tests::program::{Files, Peer, Process, SHIPPED, Server, introd, probe};

use super::{ask, find};
use crate::harness::clients::{LOOPBACK, connect, rejection, try_connect};
use crate::harness::http::get;
use crate::relay_policy::relay_ports;

/// The applications of which it is shown that they introduce their clients to each other.
const INTRODUCING: [&str; 5] = ["introductions", "filter", "groups", "distributed", "shared-registry"];

#[test]
fn the_tests_of_the_shipped_applications_pass() {
    let ended = Process::start(&mut introd(&["test", SHIPPED])).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.matches("ok    ").count() >= 40 && !ended.stdout.contains("FAIL"), "{ended:?}");
    assert!(ended.stdout.contains(" applications: ") && !ended.stdout.contains("no tests"), "{ended:?}");
    // A folder without tests is nothing tested, and says so.
    let ended = Process::start(&mut introd(&["test", &format!("{SHIPPED}/library")])).ended();
    assert_ne!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn clients_meet_in_each_shipped_application() {
    let files = Files::new();
    files.shipped_applications();
    for workers in [1, 3] {
        let server = Server::configured(files.path(), workers);
        for application in INTRODUCING {
            let ended = probe(&["--meet", "--json", &server.uri_of(application)]);
            assert_eq!(ended.code, Some(0), "{application}: {ended:?}\n{}", server.log());
            let report = ended.json();
            assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()));
        }
        let ended = server.stop();
        assert!(ended.counter("rtmfp_redirects") >= 4 && ended.counter("rtmfp_forwards") >= 4, "{ended:?}");
        assert!(!ended.stderr.contains("ERROR"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_filter_counts_denied_lookups_and_ignores_unknown_peers() {
    let files = Files::new();
    files.shipped_applications();
    let server = Server::configured(files.path(), 2);
    let uri = server.uri_of("filter");
    let mut target = connect(&uri, LOOPBACK, 1).await;
    let id = target.id().to_string();
    assert_eq!(ask(&mut target, "allow", vec![Value::from("17".repeat(32))]).await, Ok(true.into()));
    let finding = |timeout: &'static str, peer: String| {
        let uri = uri.clone();
        tokio::task::spawn_blocking(move || find(&peer, &uri, timeout))
    };
    let attended = async |target: &mut introd_client::Client, finding: tokio::task::JoinHandle<_>| {
        tokio::select! {
            ended = finding => ended.expect("it ends"),
            failure = target.stay() => panic!("{failure}"),
        }
    };
    // A peer that the target does not allow.
    let ended = attended(&mut target, finding("5", id.clone())).await;
    assert_eq!((ended.code, &ended.json()["failed_step"]), (Some(1), &"introduction".into()), "{ended:?}");
    // An unknown peer.
    let ended = attended(&mut target, finding("5", "18".repeat(32))).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // A peer that allows all.
    let friend = tokio::task::spawn_blocking({
        let uri = uri.clone();
        move || Peer::stay(&uri)
    });
    let friend = friend.await.expect("it stays");
    let ended = attended(&mut target, finding("20", friend.id.clone())).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = server.stop();
    let count = |name| ended.counter(name);
    let denied = count("rtmfp_lookups_denied");
    assert!(denied > 0, "{ended:?}");
    // The document: lookups without redirects are those that were ignored or denied.
    assert!(count("rtmfp_lookups") - count("rtmfp_redirects") > denied, "{ended:?}");
}

/// Tokens signed with "the secret of the tests", made by Python: one of the user ann until 2100, and one that has expired in 2001.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJhdWQiOiJjaGF0IiwiZXhwIjo0MTAyNDQ0ODAwfQ.xA-Iwb1hhhCGOjyfWdq1VIi7KpYhbXy0LuHb1-ThrqY";
const OLD_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJhdWQiOiJjaGF0IiwiZXhwIjoxMDAwMDAwMDAwfQ.B1KcdZEkPCWCSw5EseRI0HBcys2l9F2fzKcOjGC7pHg";

#[tokio::test]
async fn only_clients_with_a_good_token_log_in() {
    let files = Files::new();
    let main = std::fs::read_to_string(format!("{SHIPPED}/login-jwt/main.lua")).expect("the script");
    let settings = "<ScriptEngine><ApplicationObject><config><secret>the secret of the tests</secret><audience>chat</audience></config>
        </ApplicationObject></ScriptEngine>";
    files.script("login-jwt", &main, settings);
    let server = Server::configured(files.path(), 2);
    let uri = server.uri_of("login-jwt");
    let mut ann = try_connect(&uri, LOOPBACK, 1, vec![TOKEN.into()]).await.expect("it logs in");
    let user = |answer: Result<Value, String>| match answer {
        Ok(Value::Object(object)) => {
            object.properties.into_iter().find(|(name, _)| name == "user").map(|(_, value)| value)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(user(ask(&mut ann, "whoAmI", Vec::new()).await), Some("ann".into()));
    let mut by_url = connect(&format!("{uri}?token={TOKEN}"), LOOPBACK, 2).await;
    assert_eq!(user(ask(&mut by_url, "whoAmI", Vec::new()).await), Some("ann".into()));
    let (head, code) = TOKEN.rsplit_once('.').expect("its signature");
    let forged = format!("{head}.{}{}", if code.starts_with('A') { 'B' } else { 'A' }, &code[1..]);
    for (arguments, reason) in [
        (vec![OLD_TOKEN.into()], "the token has expired"),
        (vec![Value::from(forged.as_str())], "the signature of the token is wrong"),
        (vec![], "there is no token"),
        (vec![Value::Number(7.0)], "there is no token"),
    ] {
        let problem = rejection(&uri, LOOPBACK, 3, arguments).await;
        assert!(problem.contains("Please log in."), "{problem}");
        server.logged().wait_for(reason, 1);
    }
    let ended = server.stop();
    assert!(!ended.stderr.contains("ERROR"), "{ended:?}");
}

/// A token signed with the same secret: 64,000 bytes a second until 2100.
const RELAY_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyZWxheVJhdGUiOjY0MDAwLCJleHAiOjQxMDI0NDQ4MDB9.GblNmZ5lW5sKGmJX4605EmHOhJ608Vi1AAExE1AiEpI";

#[tokio::test]
async fn a_client_that_has_paid_is_relayed_to_who_does_not_reach_it() {
    let files = Files::new();
    let main = std::fs::read_to_string(format!("{SHIPPED}/relays/main.lua")).expect("the script");
    let settings = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>
        <ScriptEngine><ApplicationObject><config><secret>the secret of the tests</secret></config></ApplicationObject></ScriptEngine>";
    files.script("relays", &main, settings).adaptor(&relay_ports());
    let server = Server::administered(files.path(), 2);
    let uri = server.uri_of("relays");
    let mut plain = connect(&uri, LOOPBACK, 1).await;
    assert_eq!(ask(&mut plain, "setRelayToken", vec![TOKEN.into()]).await, Ok(false.into()), "it grants no rate");
    // This target does nothing from now on: it answers no hello.
    let paying = try_connect(&uri, LOOPBACK, 2, vec![RELAY_TOKEN.into()]).await.expect("it connects");
    let made = || get(server.admin[0], "/api/v1/relay").body;
    for (target, expected) in [(plain.id(), "\"made\":0"), (paying.id(), "\"made\":1")] {
        let finding = tokio::task::spawn_blocking({
            let (uri, target) = (uri.clone(), target.to_string());
            move || find(&target, &uri, "10")
        });
        let ended = finding.await.expect("it ends");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let body: String = made().split_whitespace().collect();
        assert!(body.contains(expected), "{body}");
    }
    assert!(!server.stop().stderr.contains("ERROR"));
}

/// The application that README.md shows how to write.
#[test]
fn the_example_of_the_readme_does_what_it_says() {
    let readme = include_str!("../../../README.md");
    let file = |name: &str| {
        let begin = format!("    cat > lua/club/{name} <<'END'\n");
        let (_, rest) = readme.split_once(&begin).expect("the file");
        let (text, _) = rest.split_once("\n    END\n").expect("its end");
        text.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    let main = file("main.lua");
    let files = Files::new();
    files.script("club", &main, "").write("../applications/club/Application.xml", &file("Application.xml"));
    let server = Server::configured(files.path(), 2);
    let meet = |timeout: &str| probe(&["--meet", "--json", "--timeout", timeout, &server.uri_of("club")]);
    let ended = meet("20");
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}", server.log());
    let asker = ended.json()["seen_address"].as_str().expect("its address").to_owned();
    assert!(server.log().contains(&format!("{asker} looks for ")), "{}", server.log());
    let closed = main.replace("local open = true", "local open = false");
    assert_ne!(closed, main);
    files.write("../applications/club/main.lua", &closed);
    server.logged().wait_for("the script is reloaded", 1);
    // Each step may take so long, those before the introduction too.
    let ended = meet("5");
    assert_eq!((ended.code, &ended.json()["failed_step"]), (Some(1), &"introduction".into()), "{ended:?}");
    assert!(server.stop().counter("rtmfp_lookups_denied") > 0);
}

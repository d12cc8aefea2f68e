//! The applications in `lua/` that show how to port a script do what they promise to real clients.

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;
use introd_flash::command::{Command, Encoding};
use introd_tests::program::{Files, SHIPPED, Server};

use super::ask;
use crate::harness::clients::{LOOPBACK, connect, meet, rejection, server_says, try_connect};

fn shipped() -> (Files, Server) {
    let files = Files::new();
    files.shipped_applications();
    let server = Server::configured(files.path(), 2);
    (files, server)
}

async fn named(uri: &str, number: u64, name: &str) -> Client {
    try_connect(uri, LOOPBACK, number, vec![name.into()]).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The arguments of the next call of that method by the server.
async fn told(client: &mut Client, method: &str) -> (f64, Vec<Value>) {
    server_says(client, |message| match message {
        Incoming::Call(Command { name, transaction, arguments, .. }) if name == method => {
            Some((transaction, arguments))
        }
        _ => None,
    })
    .await
}

async fn told_text(client: &mut Client, method: &str) -> Vec<String> {
    let (_, arguments) = told(client, method).await;
    arguments.iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn participants_learn_of_each_other_and_meet() {
    let (_files, server) = shipped();
    let uri = server.uri_of("participants");
    let mut ann = named(&uri, 1, "ann").await;
    assert_eq!(ask(&mut ann, "list", Vec::new()).await, Ok(Value::Array(Vec::new())));
    let mut bob = named(&uri, 2, "bob").await;
    let (_, joined) = told(&mut ann, "joined").await;
    let list = ask(&mut bob, "list", Vec::new()).await;
    let participant = |client: &Client, name: &str| (client.id().to_string(), name.to_owned());
    let read = |value: &Value| {
        let text = |name: &str| value.get(name).and_then(Value::as_str).expect("a text").to_owned();
        (text("peerID"), text("name"))
    };
    assert_eq!(read(&joined[0]), participant(&bob, "bob"));
    let Ok(Value::Array(list)) = &list else { panic!("{list:?}") };
    assert_eq!(list.iter().map(read).collect::<Vec<_>>(), [participant(&ann, "ann")]);
    assert!(rejection(&uri, LOOPBACK, 3, Vec::new()).await.contains("Pass your name"));
    meet(&mut bob, &mut ann).await;
    let id = bob.id().to_string();
    bob.close().await;
    assert_eq!(told_text(&mut ann, "left").await, [id]);
    assert!(!server.stop().stderr.contains("ERROR"));
}

#[tokio::test]
async fn those_in_a_room_hear_each_other() {
    let (_files, server) = shipped();
    let uri = server.uri_of("rooms");
    let (mut ann, mut bob) = (connect(&uri, LOOPBACK, 1).await, connect(&uri, LOOPBACK, 2).await);
    let (ann_id, bob_id) = (ann.id().to_string(), bob.id().to_string());
    assert_eq!(ask(&mut ann, "room.enter", vec!["lobby".into()]).await, Ok(Value::Array(Vec::new())));
    let others = ask(&mut bob, "room.enter", vec!["lobby".into()]).await;
    assert_eq!(others, Ok(Value::Array(vec![ann_id.as_str().into()])));
    assert_eq!(told_text(&mut ann, "entered").await, std::slice::from_ref(&bob_id));
    // As ActionScript spells the path.
    assert_eq!(ask(&mut ann, "room/say", vec!["hello".into()]).await, Ok(true.into()));
    assert_eq!(told_text(&mut bob, "said").await, [ann_id, "hello".to_owned()]);
    bob.close().await;
    assert_eq!(told_text(&mut ann, "left").await, [bob_id]);
    assert!(!server.stop().stderr.contains("ERROR"));
}

#[tokio::test]
async fn the_host_lets_in_and_turns_away() {
    let (_files, server) = shipped();
    let uri = server.uri_of("deferred");
    let mut host = named(&uri, 1, "host").await;
    for (number, name, answer) in [(2, "ann", true), (3, "bob", false)] {
        let guest = try_connect(&uri, LOOPBACK, number, vec![name.into()]);
        let decide = async {
            let (transaction, arguments) = told(&mut host, "knock").await;
            assert_eq!(arguments[1].as_str(), Some(name));
            let answer = Command::new("_result", transaction, vec![answer.into()]);
            host.send_to_server(answer.to_message(Encoding::Amf0, 0).expect("a command")).expect("it can be sent");
            // The host goes on while the guest hears of it.
            host.stay().await
        };
        let outcome = tokio::select! {
            outcome = guest => outcome,
            failure = decide => panic!("{failure}"),
        };
        match (answer, outcome) {
            (true, Ok(_)) => (),
            (false, Err(failure)) => assert!(failure.problem.contains("not let you in"), "{failure}"),
            (_, outcome) => panic!("{name}: {:?}", outcome.err().map(|failure| failure.to_string())),
        }
    }
    assert!(!server.stop().stderr.contains("ERROR"));
}

#[tokio::test]
async fn a_peer_of_another_server_is_found_there() {
    let settings = |servers: &str| {
        format!(
            "<ScriptEngine><ApplicationObject><config>{servers}</config></ApplicationObject></ScriptEngine>
            <RTMFP><PeerLookupEvents mode='Partial'/></RTMFP>"
        )
    };
    let script = std::fs::read_to_string(format!("{SHIPPED}/elsewhere/main.lua")).expect("the script");
    let (files, others) = (Files::new(), Files::new());
    others.script("elsewhere", &script, &settings(""));
    let other = Server::configured(others.path(), 2);
    files.script("elsewhere", &script, &settings(&format!("<server>{}</server>", other.addresses[0])));
    let server = Server::configured(files.path(), 2);
    let mut ann = connect(&server.uri_of("elsewhere"), LOOPBACK, 1).await;
    let mut bob = connect(&other.uri_of("elsewhere"), LOOPBACK, 2).await;
    meet(&mut ann, &mut bob).await;
    let (here, there) = (server.stop(), other.stop());
    assert!(here.counter("rtmfp_redirects") >= 1 && here.counter("rtmfp_forwards") == 0, "{here:?}");
    assert!(there.counter("rtmfp_forwards") >= 1, "{there:?}");
}

/// The signatures of the user ann of the instance room until 2100, and until 2001, with "the secret of the tests", made by Python.
const SIGNATURE: &str = "d6a34f5402a599d8d6f01fd3b5a23ca6580fdc26776de92ab46b2cfe4f02c5eb";
const OLD_SIGNATURE: &str = "c5d8a289d28e0d3fd8c127aa46d52f5c18a61b79556f9a520a97dcc6440c3db5";

#[tokio::test]
async fn only_clients_whose_url_is_signed_are_let_in() {
    let script = std::fs::read_to_string(format!("{SHIPPED}/login-signed-url/main.lua")).expect("the script");
    let settings = "<ScriptEngine><ApplicationObject><config><secret>the secret of the tests</secret></config></ApplicationObject></ScriptEngine>";
    let files = Files::new();
    files.script("login-signed-url", &script, settings);
    let server = Server::configured(files.path(), 2);
    let signed = |user: &str, expires: u64, signature: &str| {
        let uri = server.uri_of("login-signed-url");
        format!("{uri}?user={user}&expires={expires}&signature={signature}")
    };
    let connected = try_connect(&signed("ann", 4_102_444_800, SIGNATURE), LOOPBACK, 1, Vec::new()).await;
    let mut ann = connected.unwrap_or_else(|failure| panic!("{failure}\n{}", server.log()));
    assert_eq!(ask(&mut ann, "whoAmI", Vec::new()).await, Ok("ann".into()));
    for (uri, reason) in [
        (signed("bob", 4_102_444_800, SIGNATURE), "the signature is wrong"),
        (signed("ann", 1_000_000_000, OLD_SIGNATURE), "the URL has expired"),
        (server.uri_of("login-signed-url"), "the URL is not signed"),
    ] {
        assert!(rejection(&uri, LOOPBACK, 2, Vec::new()).await.contains("open the page again"), "{uri}");
        server.logged().wait_for(reason, 1);
    }
    assert!(!server.stop().stderr.contains("ERROR"));
}

/// Each application that is shipped is tried by a client in a file of this folder, which names it.
#[test]
fn no_application_is_left_out() {
    let entries =
        |folder: &str| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let here = entries(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/scripts"));
    let sources: String =
        here.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).expect("a text")).collect();
    for application in entries(SHIPPED).filter(|path| path.join("main.lua").is_file()) {
        let name = application.file_name().expect("a name").to_string_lossy();
        let is_named = [format!("\"{name}\""), format!("/{name}/")].iter().any(|text| sources.contains(text));
        assert!(is_named, "no test connects to lua/{name}");
    }
}

//! When applications with scripts begin and end, and how a new version of a script takes over.

use std::time::{Duration, Instant};

use introd_client::{Client, ClientStep};
use introd_flash::amf::Value;
use introd_tests::program::{Files, Server};

use super::ask;
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect, create_stream, rejection, try_connect};
use crate::harness::log::{logged, said};

const TELLS: &str = "
    function application.onAppStart() trace('<<start ' .. application.name .. '>>') end
    function application.onAppStop(info) trace('<<stop ' .. application.name .. ' ' .. info.reason .. '>>') end";

async fn client(uri: &str, number: u64) -> Client {
    connect(uri, LOOPBACK, number).await
}

#[tokio::test]
async fn instances_begin_with_the_server_or_their_first_client_and_end_when_idle() {
    let files = Files::new();
    files.script("early", TELLS, "<LoadOnStartup>true</LoadOnStartup><MaxAppIdleTime>0.05</MaxAppIdleTime>").script(
        "late",
        TELLS,
        "<MaxAppIdleTime>1</MaxAppIdleTime>",
    );
    let server = Server::configured(files.path(), 2);
    logged(&server, "<<start early/_definst_>>", 1).await;
    assert!(!server.log().contains("<<start late"));
    client(&server.uri_of("late"), 1).await.close().await;
    logged(&server, "<<start late/room>>", 1).await;
    logged(&server, "<<stop late/room server>>", 1).await;
    // It begins again.
    let second = client(&server.uri_of("late"), 2).await;
    logged(&server, "<<start late/room>>", 2).await;
    let ended = server.stop();
    drop(second);
    let said = said(&ended.stderr);
    let of_late: Vec<_> = said.iter().filter(|said| said.contains("late")).collect();
    assert_eq!(
        of_late,
        ["start late/room", "stop late/room server", "start late/room", "stop late/room server"]
            .iter()
            .collect::<Vec<_>>()
    );
    let of_early: Vec<_> = said.iter().filter(|said| said.contains("early")).collect();
    assert_eq!(of_early, ["start early/_definst_", "stop early/_definst_ server"].iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn shutdown_sends_clients_away_and_the_next_gets_a_new_instance() {
    let files = Files::new();
    files.script("app", &format!("{TELLS} function Client:close() return application.shutdown() end"), "");
    let server = Server::configured(files.path(), 1);
    let uri = server.uri(0);
    let (mut first, mut second) = (client(&uri, 1).await, client(&uri, 2).await);
    let _ = ask(&mut first, "close", Vec::new()).await;
    let failure = second.stay().await;
    assert_eq!(failure.step, ClientStep::Stay, "{failure}");
    // At once, though the server has not seen the last of the others.
    let mut third = client(&uri, 3).await;
    assert!(create_stream(&mut third, 2.0).await > 0.0);
    let ended = server.stop();
    let expected = ["start app/room", "stop app/room shutdown", "start app/room", "stop app/room server"];
    assert_eq!(said(&ended.stderr), expected);
}

/// A script of that version, which hands clients over from one to the next.
fn version(number: u32) -> String {
    format!(
        "function application.onAppStart()
            for _, client in ipairs(application.clients) do client.kept = true end
        end
        function Client:version() return {number} end
        function Client:state() return {{ self.kept or false, self.note or 'no note', #application.clients }} end
        function Client:remember(note) self.note = note return self.note end"
    )
}

async fn is_version(client: &mut Client, number: u32) {
    let deadline = Instant::now() + TIMEOUT;
    while ask(client, "version", Vec::new()).await != Ok(f64::from(number).into()) {
        assert!(Instant::now() < deadline, "version {number} does not take over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_new_version_keeps_the_clients_and_one_that_does_not_load_changes_nothing() {
    let files = Files::new();
    files.script("app", &version(1), "");
    let mut server = Server::configured(files.path(), 2);
    let mut ann = client(&server.uri(0), 1).await;
    is_version(&mut ann, 1).await;
    assert_eq!(ask(&mut ann, "remember", vec!["x".into()]).await, Ok("x".into()));
    let state = |kept: bool, note: &str| Ok(Value::Array(vec![kept.into(), note.into(), 1.0.into()]));
    assert_eq!(ask(&mut ann, "state", Vec::new()).await, state(false, "x"));

    files.script("app", &version(2), "");
    assert!(server.reload());
    logged(&server, "the script is reloaded", 1).await;
    assert_eq!(ask(&mut ann, "version", Vec::new()).await, Ok(2.0.into()));
    // The client is the same; what the old script knew of it is not known to the new one.
    assert_eq!(ask(&mut ann, "state", Vec::new()).await, state(true, "no note"));

    let soon = "<ScriptEngine><MaxTimeOut>0.2</MaxTimeOut></ScriptEngine>";
    let broken = [("function broken(", ""), ("error('not this one')", ""), ("while true do pcall(error) end", soon)];
    for (broken, settings) in broken {
        files.script("app", broken, settings);
        let answer = server.reload_answer();
        assert!(answer.contains("anew, except: application app keeps its old settings: "), "{answer}");
    }
    assert_eq!(ask(&mut ann, "version", Vec::new()).await, Ok(2.0.into()));
    assert_eq!(ask(&mut ann, "state", Vec::new()).await, state(true, "no note"));
    files.script("app", &version(3), "");
    assert!(server.reload());
    logged(&server, "the script is reloaded", 2).await;
    assert_eq!(ask(&mut ann, "version", Vec::new()).await, Ok(3.0.into()));
    let ended = server.stop();
    assert!(ended.stderr.contains("main.lua:1: not this one"), "{ended:?}");
    assert!(ended.stderr.contains("has run longer than"), "{ended:?}");
}

#[tokio::test]
async fn a_file_that_changes_is_loaded_when_it_is_watched() {
    let files = Files::new();
    let watch = "<ScriptEngine><Watch>true</Watch></ScriptEngine>";
    files.script("app", "load('rules.lua')", watch).script("unwatched", &version(1), "");
    files.write("../applications/app/rules.lua", &version(1));
    let server = Server::configured(files.path(), 1);
    let (mut ann, mut bob) = (client(&server.uri(0), 1).await, client(&server.uri_of("unwatched"), 2).await);
    is_version(&mut ann, 1).await;
    files.write("../applications/app/rules.lua", &version(2));
    files.write("../applications/unwatched/main.lua", &version(2));
    is_version(&mut ann, 2).await;
    files.write("../applications/app/rules.lua", &version(3));
    is_version(&mut ann, 3).await;
    is_version(&mut bob, 1).await;
    server.stop();
}

#[tokio::test]
async fn a_script_that_does_not_load_rejects_clients_until_it_is_mended() {
    let files = Files::new();
    files.script("app", "\nx x", "");
    let server = Server::configured(files.path(), 1);
    let problem = rejection(&server.uri(0), LOOPBACK, 1, Vec::new()).await;
    assert!(problem.contains("NetConnection.Connect.Rejected"), "{problem}");
    logged(&server, "main.lua:2: syntax error", 1).await;
    // Without a reload, the next clients get the mended script as soon as the rejected ones are gone.
    files.script("app", &version(1), "");
    let deadline = Instant::now() + TIMEOUT;
    for number in 2.. {
        if let Ok(mut client) = try_connect(&server.uri(0), LOOPBACK, number, Vec::new()).await {
            is_version(&mut client, 1).await;
            break;
        }
        assert!(Instant::now() < deadline, "{}", server.log());
        // The server waits some seconds until it closes a rejected client's session.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    server.stop();
}

//! The JSON API of a real server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use introd_flash::client::set_peer_info;
use introd_flash::command::Encoding;
use introd_netgroup::channel::join;
use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;
use serde_json::{Value, json};

use super::{BASIC, with_password};
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};
use crate::harness::http::{get, get_with, post};
use crate::harness::members::{Member, digest};

fn read(admin: SocketAddr, path: &str) -> Value {
    get_with(admin, &format!("/api/v1{path}"), BASIC).json()
}

#[tokio::test]
async fn clients_are_listed_described_and_disconnected() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 2);
    let admin = server.admin[0];
    let mut one = connect(&server.uri(0), LOOPBACK, 1).await;
    let other = connect(&server.uri_of("other"), LOOPBACK, 2).await;
    let (id, other_id) = (one.id(), other.id());
    let watching = tokio::task::spawn_blocking(move || {
        let state = read(admin, "/server");
        assert_eq!(
            (&state["clients"], &state["you"]["may_act"], &state["problems"]),
            (&json!(2), &json!(true), &json!([]))
        );
        let listed = read(admin, "/clients?application=app");
        assert_eq!(listed["clients"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed["clients"][0]["peer"], id.to_string());
        let described = read(admin, &format!("/clients/{id}"));
        assert_eq!(described["address"], listed["clients"][0]["address"]);
        assert!(described["bytes_in"].as_u64().unwrap() > 0, "{described}");
        let path = format!("/api/v1/clients/{id}/disconnect");
        assert_eq!(post(admin, &path, "", "{}").status, 401, "without a login");
        let reason = "{\"reason\": \"it floods\"}";
        assert_eq!(post(admin, &path, &format!("{BASIC}Origin: http://evil.example\r\n"), reason).status, 403);
        let done = post(admin, &path, BASIC, reason);
        assert_eq!((done.status, &done.json()["clients"]), (200, &json!(1)));
    });
    tokio::time::timeout(TIMEOUT, one.stay()).await.expect("it is disconnected");
    watching.await.expect("all is answered");
    eventually("the client is gone", || get_with(admin, &format!("/api/v1/clients/{id}"), BASIC).status == 404);
    assert_eq!(read(admin, &format!("/clients/{other_id}"))["application"], "other");
    server.logged().wait_for("it floods", 1);
    assert!(!server.log().contains("s3cret"));
    other.close().await;
}

#[tokio::test]
async fn groups_have_their_digests_and_members() {
    let files = Files::new();
    let server = Server::administered(files.path(), 2);
    let admin = server.admin[0];
    let group = join(&digest("chess"));
    let mut members = Vec::new();
    for number in 0..3 {
        members.push(Member::joined(&server, number, &group).await);
    }
    let name = digest("chess").to_string();
    eventually("the group has its members", || {
        let groups = get(admin, "/api/v1/groups").json();
        groups["groups"][0]["members"] == 3 && groups["groups"][0]["group"] == name
    });
    let ring = get(admin, &format!("/api/v1/groups/{name}")).json();
    assert_eq!((&ring["scope"], &ring["total"]), (&json!("server"), &json!(3)));
    let positions: Vec<&str> =
        ring["members"].as_array().unwrap().iter().map(|member| member["position"].as_str().unwrap()).collect();
    assert!(positions.len() == 3 && positions.is_sorted());
    assert!(ring["members"][0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn scripts_show_their_errors_and_are_reloaded() {
    let files = with_password("s3cret");
    files.script("app", "function application.onConnect(client) error('no luck') end", "");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let failure = crate::harness::clients::try_connect(&server.uri(0), LOOPBACK, 1, Vec::new()).await;
    assert!(failure.is_err(), "the script fails, and the client is rejected");
    let script = &read(admin, "/scripts")["scripts"][0];
    assert_eq!((&script["application"], &script["has_failed"]), (&json!("app"), &json!(false)));
    assert!(script["file"].as_str().unwrap().ends_with("main.lua"));
    assert!(script["busy_seconds"].as_f64().unwrap() > 0.0, "{script}");
    let text = script["errors"][0]["text"].as_str().unwrap();
    assert!(text.contains("no luck") && text.contains("main.lua:1"), "{text}");
    let of_script = get_with(admin, "/admin/getScriptStats?appInst=app/room", BASIC);
    assert!(of_script.one("text").contains("no luck") && of_script.number("memory") > 0, "{of_script:?}");
    std::fs::write(files.of_application("app", "main.lua"), "trace('<<loaded two>>')").unwrap();
    let reloaded = post(admin, "/api/v1/applications/app/reload", BASIC, "{}");
    assert_eq!((reloaded.status, &reloaded.json()["instances"]), (200, &json!(1)));
    server.logged().wait_for("<<loaded two>>", 1);
    connect(&server.uri(0), LOOPBACK, 2).await.close().await;
    // What does not load any more is told, too.
    std::fs::write(files.of_application("app", "main.lua"), "function").unwrap();
    assert_eq!(post(admin, "/api/v1/applications/app/reload", BASIC, "{}").status, 200);
    eventually("the failed reload is among the errors", || {
        let errors = read(admin, "/scripts")["scripts"][0]["errors"].clone();
        errors.as_array().unwrap().iter().any(|error| error["text"].as_str().unwrap().starts_with("reload: "))
    });
}

#[test]
fn the_level_of_the_log_changes() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(read(admin, "/log-level")["level"], "info");
    let changed = post(admin, "/api/v1/log-level", BASIC, "{\"level\": \"introd=debug,warn\"}");
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(read(admin, "/log-level")["level"], changed.json()["level"]);
    assert_eq!(post(admin, "/api/v1/log-level", BASIC, "{\"level\": \"loud\"}").status, 400);
}

#[test]
fn a_stream_goes_on_and_tells_the_counters() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: {admin}\r\n\r\n").unwrap();
    let events = BufReader::new(stream).lines().map(Result::unwrap).filter(|line| line == "event: counters");
    assert_eq!(events.take(3).count(), 3);
}

#[tokio::test]
async fn administrators_are_told_that_something_hides_the_addresses_of_clients_until_it_is_over() {
    let files = Files::new();
    let server = Server::administered(files.path(), 2);
    let (admin, uri) = (server.admin[0], server.uri(0));
    let (leave, _) = tokio::sync::watch::channel(false);
    // A proxy on the server's machine, as far as the server can tell: clients of many homes come from its own address.
    let clients: Vec<_> = (0..20u8)
        .map(|home| {
            let (uri, mut left) = (uri.clone(), leave.subscribe());
            tokio::spawn(async move {
                let mut client = connect(&uri, LOOPBACK, home.into()).await;
                let address = ([10, 0, home, 7], 4000).into();
                client.send_to_server(set_peer_info(&[address], Encoding::Amf0).unwrap()).unwrap();
                tokio::select! {
                    failure = client.stay() => panic!("{failure}"),
                    _ = left.changed() => client.close().await,
                }
            })
        })
        .collect();
    let watching = tokio::task::spawn_blocking(move || {
        let notices = || get(admin, "/api/v1/server").json()["notices"].clone();
        eventually("a notice", || notices() != json!([]));
        let told = notices();
        let text = told[0].as_str().unwrap();
        for words in ["20 clients", "127.0.0.1", "userland-proxy: false", "externalTrafficPolicy: Local"] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(get(admin, "/readyz").status, 200, "the server is ready all the same");
        leave.send(true).unwrap();
        eventually("no notice", || notices() == json!([]));
    });
    watching.await.expect("all is told");
    for client in clients {
        client.await.expect("it leaves when it is told to");
    }
    server.logged().wait_for("the server no longer sees many clients of other networks at 127.0.0.1", 1);
    assert_eq!(server.log().matches("userland-proxy: false").count(), 1, "the log says it once");
}

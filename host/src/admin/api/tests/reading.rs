use axum::http::{Method, Request};
use introd_config::Config;
use rtmfp::PeerId;
use serde_json::json;

use crate::admin::api::{ROOT, ROUTES};
use crate::admin::testing::{LOGIN, Stage};
use crate::introducer::Counter;

#[tokio::test]
async fn the_server_tells_its_state_and_what_the_caller_may_do() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.answer();
    let server = stage.api("/server").await.json();
    for (field, expected) in [
        ("state", json!("serving")),
        ("listening", json!(["127.0.0.1:1935"])),
        ("workers", json!(2)),
        ("clients", json!(1)),
        ("peers", json!(1)),
        ("sessions", json!(6)),
        ("instances", json!(1)),
        ("problems", json!([])),
        ("notices", json!([])),
        ("drain", json!(null)),
    ] {
        assert_eq!(server[field], expected, "{field}");
    }
    assert!(server["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(server["launched"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&server["you"]["user"], &server["you"]["may_act"]), (&json!(null), &json!(false)));
    assert!(server["you"]["why_not"].as_str().unwrap().contains("introd passwd"));
    let mut closed = Stage::with_login(|_| ());
    closed.answer();
    let server = closed.api(&format!("/server?{LOGIN}")).await.json();
    assert_eq!(server["you"], json!({"user": "admin", "may_act": true, "why_not": null}));
    let basic = Request::get(format!("{ROOT}/server")).header("authorization", "Basic YWRtaW46czNjcmV0");
    assert_eq!(closed.send("192.0.2.9", basic).await.json()["you"]["may_act"], true);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stands_still_is_a_problem_and_hides_nothing_else() {
    let stage = Stage::new(|_| ());
    let server = stage.api("/server").await.json();
    assert_eq!(server["problems"], json!(["worker 0 does not answer", "worker 1 does not answer"]));
    assert_eq!(server["workers"], 2);
}

#[tokio::test]
async fn counters_have_the_names_of_ams() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app", 0, 1);
    stage.services.counters.worker(0).add_many(Counter::Lookups, 5);
    stage.services.counters.worker(1).add_many(Counter::Lookups, 6);
    let counters = stage.api("/counters").await.json();
    assert_eq!(counters["counters"]["rtmfp_lookups"], 11);
    assert_eq!(counters["counters"].as_object().unwrap().len(), Counter::ALL.len());
    assert_eq!((&counters["clients"], &counters["peers"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_client_is_described_by_its_worker_and_the_directory() {
    let mut stage = Stage::new(|_| ());
    let session = stage.client("rtmfp://host/app/room", 1, 7);
    stage.answer();
    let peer = PeerId([7; 32]);
    let reported = [([10, 0, 0, 7], 5000).into()];
    assert!(stage.services.directory.set_reported(&peer, session, &reported));
    let client = stage.api(&format!("/clients/{peer}")).await.json();
    for (field, expected) in [
        ("peer", json!(peer.to_string())),
        ("application", json!("app")),
        ("instance", json!("room")),
        ("reported", json!(["10.0.0.7:5000"])),
        ("is_translated", json!(true)),
        ("is_silent", json!(false)),
        ("is_proven", json!(true)),
        ("worker", json!(1)),
        ("connected_seconds", json!(60.0)),
        ("silent_seconds", json!(2.0)),
        ("round_trip_seconds", json!(0.006)),
        ("bytes_in", json!(1)),
        ("messages_dropped", json!(5)),
        ("groups", json!([{"group": "08".repeat(32), "key": "09".repeat(32)}])),
    ] {
        assert_eq!(client[field], expected, "{field}");
    }
    let missing = stage.api(&format!("/clients/{}", PeerId([9; 32]))).await;
    assert_eq!((missing.status.as_u16(), missing.json()["error"].is_string()), (404, true));
    assert_eq!(stage.api("/clients/xyz").await.status.as_u16(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_worker_does_not_answer_is_not_taken_for_gone() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app", 1, 7);
    assert_eq!(stage.api(&format!("/clients/{}", PeerId([7; 32]))).await.status.as_u16(), 503);
}

#[tokio::test]
async fn what_there_is_no_more_of_is_said_with_empty_lists() {
    let mut stage = Stage::new(|_| ());
    stage.answer();
    for (path, field) in
        [("/plugins", "plugins"), ("/scripts", "scripts"), ("/groups", "groups"), ("/clients", "clients")]
    {
        assert_eq!(stage.api(path).await.json()[field], json!([]), "{path}");
    }
    let registry = stage.api("/registry").await.json();
    assert_eq!((&registry["name"], &registry["is_shared"]), (&json!(null), &json!(false)));
    assert_eq!(registry["state"], "in memory, this server only");
}

#[tokio::test]
async fn who_may_not_read_learns_nothing_whatever_they_ask_for() {
    let closed = |_: &mut Config| ();
    let (open, locked) = (Stage::new(closed), Stage::with_login(closed));
    let paths = ROUTES.iter().filter(|(method, ..)| *method == Method::GET).map(|(_, path, _)| *path);
    for path in paths.chain(["/nothing", "/clients/x/y", ""]) {
        let path = format!("{ROOT}{path}");
        let answer = locked.get(&path).await;
        assert_eq!(answer.status.as_u16(), 401, "{path}");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
        assert!(answer.json()["error"].is_string());
        assert_eq!(answer.json().as_object().unwrap().len(), 1);
        assert_eq!(open.send("192.0.2.1", Request::get(&path)).await.status.as_u16(), 403, "{path}");
        let rebound = open.send("127.0.0.1", Request::get(&path).header("host", "evil.example")).await;
        assert_eq!(rebound.status.as_u16(), 421, "{path}");
        let cross = Request::get(format!("{path}?{LOGIN}")).header("origin", "http://evil.example");
        assert_eq!(locked.send("127.0.0.1", cross).await.status.as_u16(), 403, "{path}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_there_are_not_are_told_apart() {
    let mut stage = Stage::new(|_| ());
    stage.answer();
    assert_eq!(stage.api("/nothing").await.status.as_u16(), 404);
    assert_eq!(stage.get("/api/v2/server").await.status.as_u16(), 404);
    let put = stage.send("127.0.0.1", Request::put(format!("{ROOT}/server"))).await;
    assert_eq!((put.status.as_u16(), put.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    let head = stage.send("127.0.0.1", Request::head(format!("{ROOT}/counters"))).await;
    assert_eq!(head.status.as_u16(), 200);
}

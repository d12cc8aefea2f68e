use axum::http::Request;
use rtmfp::PeerId;
use serde_json::json;

use super::Stage;
use crate::admin::api::{MAX_BODY, ROOT};
use crate::admin::testing::LOGIN;
use crate::serve::Mail;

const BASIC: &str = "Basic YWRtaW46czNjcmV0";

#[tokio::test]
async fn a_client_is_disconnected() {
    let mut stage = Stage::with_login(|_| ());
    let session = stage.client("rtmfp://host/app", 1, 7);
    let mut mail = stage.answer();
    let path = format!("/clients/{}/disconnect", PeerId([7; 32]));
    let answer = stage.act(&path, r#"{"reason": "it floods"}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["clients"]), (200, &json!(1)));
    let Some(Mail::Disconnect { session: of, peer, .. }) = mail.recv().await else { panic!() };
    assert_eq!((of, peer), (session, PeerId([7; 32])));
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(257));
    for (path, body, status) in [
        (path.as_str(), "{\"reason\": 5}", 400),
        (&path, "{\"raeson\": \"x\"}", 400),
        (&path, &long, 400),
        (&format!("/clients/{}/disconnect", PeerId([8; 32])), "{}", 404),
        ("/clients/xyz/disconnect", "{}", 400),
    ] {
        assert_eq!(stage.act(path, body).await.status.as_u16(), status, "{path} {body}");
    }
    assert!(mail.try_recv().is_err());
}

#[tokio::test]
async fn an_instance_is_unloaded_or_a_whole_application() {
    let mut stage = Stage::with_login(|_| ());
    for (uri, number) in [("app/one", 1), ("app/two", 2), ("app/two", 3), ("other", 4)] {
        stage.client(&format!("rtmfp://host/{uri}"), 0, number);
    }
    let mut mail = stage.answer();
    let answer = stage.act("/applications/app/unload", r#"{"instance": "two"}"#).await.json();
    assert_eq!(answer, json!({"clients": 2, "instances": 1}));
    let answer = stage.act("/applications/app/unload", "{}").await.json();
    assert_eq!(answer, json!({"clients": 3, "instances": 2}));
    let mut disconnected = Vec::new();
    for _ in 0..5 {
        let Some(Mail::Disconnect { peer, .. }) = mail.recv().await else { panic!() };
        disconnected.push(peer.0[0]);
    }
    assert_eq!(disconnected, [2, 3, 1, 2, 3]);
    for (path, body) in [
        ("/applications/none/unload", "{}"),
        ("/applications/app/unload", r#"{"instance": "three"}"#),
        ("/applications/app/unload", r#"{"vhost": "elsewhere"}"#),
        ("/applications/app/unload", r#"{"adaptor": "elsewhere"}"#),
    ] {
        assert_eq!(stage.act(path, body).await.status.as_u16(), 404, "{path} {body}");
    }
    // An instance without a script has nothing to reload.
    assert_eq!(stage.act("/applications/app/reload", "{}").await.status.as_u16(), 409);
    assert!(mail.try_recv().is_err());
}

#[tokio::test]
async fn a_broadcast_calls_a_method_of_the_clients_that_it_is_for() {
    let mut stage = Stage::with_login(|_| ());
    for (uri, number) in [("app/one", 1), ("app/two", 2), ("other", 3)] {
        stage.client(&format!("rtmfp://host/{uri}"), 0, number);
    }
    let mut mail = stage.answer();
    for (body, clients) in [
        (r#"{"method": "say", "arguments": ["hi", 1.5, true, null]}"#, 3),
        (r#"{"method": "say", "application": "app"}"#, 2),
        (r#"{"method": "say", "application": "app", "instance": "two"}"#, 1),
    ] {
        assert_eq!(stage.act("/broadcast", body).await.json()["clients"], clients, "{body}");
        for _ in 0..clients {
            let Some(Mail::Command(command, _)) = mail.recv().await else { panic!() };
            let shown = format!("{command:?}");
            assert!(shown.contains("say") && (clients < 3 || shown.contains("hi") && shown.contains("1.5")), "{shown}");
        }
    }
    let many = format!(r#"{{"method": "say", "arguments": [{}1]}}"#, "1,".repeat(64));
    let long = format!(r#"{{"method": "{}"}}"#, "x".repeat(4097));
    for body in [
        "{}",
        r#"{"method": ""}"#,
        r#"{"method": 1}"#,
        r#"{"method": "say", "arguments": "x"}"#,
        r#"{"method": "say", "arguments": [[1]]}"#,
        r#"{"method": "say", "arguments": [{"a": 1}]}"#,
        r#"{"method": "say", "argument": []}"#,
        &many,
        &long,
    ] {
        assert_eq!(stage.act("/broadcast", body).await.status.as_u16(), 400, "{body}");
    }
    assert!(mail.try_recv().is_err());
}

/// The log of this process was not started: its level cannot be changed. `e2e` shows that it changes in a server.
#[tokio::test]
async fn a_level_must_be_one() {
    let stage = Stage::with_login(|_| ());
    for body in ["{}", r#"{"level": 1}"#, r#"{"level": "loud"}"#, r#"{"level": "debug", "more": 1}"#] {
        assert_eq!(stage.act("/log-level", body).await.status.as_u16(), 400, "{body}");
    }
}

#[tokio::test]
async fn only_who_logs_in_acts_and_no_page_of_another_site() {
    let (open, closed) = (Stage::new(|_| ()), Stage::with_login(|_| ()));
    let path = format!("{ROOT}/broadcast");
    let json = |path: &str| Request::post(path).header("content-type", "application/json").header("content-length", 2);
    let send = async |stage: &Stage, request| stage.send_with("127.0.0.1", request, "{}").await.status.as_u16();
    // A request that is permitted, and means nothing: 400.
    let with_login = format!("{path}?{LOGIN}");
    assert_eq!(send(&closed, json(&with_login)).await, 400);
    assert_eq!(send(&closed, json(&path).header("authorization", BASIC)).await, 400);
    let own = json(&path).header("authorization", BASIC).header("origin", "http://127.0.0.1:1111");
    assert_eq!(send(&closed, own.header("sec-fetch-site", "same-origin")).await, 400);
    // Others are not.
    assert_eq!(send(&open, json(&path)).await, 403, "nobody has a password");
    assert_eq!(send(&closed, json(&path)).await, 401);
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:8080"),
        ("origin", "http://127.0.0.1:1111.evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = json(&path).header("authorization", BASIC).header(name, value);
        assert_eq!(send(&closed, request).await, 403, "{name}: {value}");
        assert_eq!(send(&closed, json(&with_login).header(name, value)).await, 403, "{name}: {value}");
    }
    // What a form of any page can send.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain, application/json",
    ] {
        let request = Request::post(&path).header("authorization", BASIC).header("content-type", kind);
        assert_eq!(send(&closed, request.header("content-length", 2)).await, 415, "{kind}");
    }
    assert_eq!(send(&closed, Request::post(&path).header("authorization", BASIC)).await, 415);
    // What a browser asks before it sends anything else.
    let preflight = Request::options(&path)
        .header("origin", "http://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = closed.send("127.0.0.1", preflight).await;
    assert_eq!(answer.status.as_u16(), 403);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    // Acting by GET.
    let get = Request::get(format!("{path}?{LOGIN}"));
    assert_eq!(closed.send("127.0.0.1", get).await.status.as_u16(), 405);
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_objects() {
    let stage = Stage::with_login(|_| ());
    for body in ["", "[]", "5", "null", "{", "{} {}", "{\"a\": 1e999999}", "\u{feff}{}", "{'a': 1}"] {
        let answer = stage.act("/broadcast", body).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text);
        assert!(answer.json()["error"].is_string());
    }
    let deep = format!("{{\"method\": \"a\", \"arguments\": {}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(stage.act("/broadcast", &deep).await.status.as_u16(), 400);
    let fits = format!("{{\"x\": \"{}\"}}", "y".repeat(MAX_BODY - 9));
    assert_eq!((fits.len(), stage.act("/broadcast", &fits).await.status.as_u16()), (MAX_BODY, 400));
    assert_eq!(stage.act("/broadcast", &format!("{fits} ")).await.status.as_u16(), 413);
    // A body that says too little about its length.
    let path = format!("{ROOT}/broadcast?{LOGIN}");
    let request = |path: &str| Request::post(path).header("content-type", "application/json");
    for (name, value) in
        [("transfer-encoding", "chunked"), ("content-length", "x"), ("content-length", "18446744073709551616")]
    {
        let answer = stage.send_with("127.0.0.1", request(&path).header(name, value), "{}").await;
        assert_eq!((answer.status.as_u16(), answer.headers["connection"].to_str().unwrap()), (413, "close"), "{name}");
    }
    let long = "x".repeat(MAX_BODY + 1);
    assert_eq!(stage.send_with("127.0.0.1", request(&path), long).await.status.as_u16(), 413, "no length is given");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_waited_for_five_seconds() {
    let stage = Stage::with_login(|_| ());
    let request = Request::post(format!("{ROOT}/broadcast?{LOGIN}"));
    let request = request.header("content-type", "application/json").header("content-length", 2);
    let body = axum::body::Body::new(Pending);
    let begun = tokio::time::Instant::now();
    let answer = stage.send_with("127.0.0.1", request, body).await;
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (408, 5));
}

/// A body of which nothing comes.
struct Pending;

impl axum::body::HttpBody for Pending {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

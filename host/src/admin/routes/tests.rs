use axum::http::Request;

use super::*;
use crate::admin::testing::{LOGIN, Stage};

#[tokio::test]
async fn what_is_no_request_of_an_administrator_is_refused() {
    let stage = Stage::new(|_| ());
    for (request, status) in [
        (Request::post("/"), 405),
        (Request::put("/admin/ping"), 405),
        (Request::options("/admin/ping"), 405),
        (Request::get("/").header("content-length", "1073741824"), 413),
        (Request::get("/").header("transfer-encoding", "chunked"), 413),
        (Request::get("/").header("content-length", "0"), 200),
        (Request::head("/"), 200),
        (Request::get("/admin/"), 404),
        (Request::get("/admin/ping/more"), 404),
        (Request::get("/../../etc/passwd"), 404),
        (Request::get("/admin/..%2f..%2fetc%2fpasswd"), 200),
        (Request::get("/%00"), 404),
        (Request::get("/").header("host", "evil.example"), 421),
        (Request::get("/").header("origin", "http://evil.example"), 403),
        (Request::get("/").header("sec-fetch-site", "cross-site"), 403),
        (Request::get("/healthz").header("host", "evil.example"), 421),
        (Request::get("/none").header("host", "evil.example"), 421),
        (Request::get("/none").header("authorization", "Basic YWRtaW46"), 401),
    ] {
        let shown = format!("{request:?}");
        let answer = stage.send("127.0.0.1", request).await;
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store", "{shown}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        assert!(!answer.text.contains("root:"));
    }
    assert_eq!(stage.send("192.0.2.1", Request::get("/none")).await.status.as_u16(), 403, "there may be something");
}

#[tokio::test]
async fn refusals_have_the_status_that_programs_expect() {
    let stage = Stage::with_login(|_| ());
    let needed = stage.get("/").await;
    assert_eq!(needed.status.as_u16(), 401);
    assert!(needed.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    assert_eq!(stage.get(&format!("/?{LOGIN}")).await.status.as_u16(), 200);
    assert_eq!(
        stage.send("127.0.0.1", Request::get("/").header("authorization", "Basic YWRtaW46czNjcmV0")).await.status,
        200
    );
    for _ in 0..3 {
        assert_eq!(stage.get("/?auser=admin&apswd=x").await.status.as_u16(), 401);
    }
    let locked = stage.get(&format!("/?{LOGIN}")).await;
    assert_eq!(locked.status.as_u16(), 429);
    let after: u64 = locked.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&after), "{after}");
}

#[tokio::test]
async fn the_index_names_what_there_is() {
    let mut stage = Stage::new(|_| ());
    stage.answer();
    let index = stage.get("/").await.text;
    for path in index.lines().filter(|line| line.starts_with('/')) {
        let (path, is_post) = (path.split_whitespace().next().unwrap(), path.contains("(POST"));
        if is_post || path.contains('{') || path.ends_with("/stream") {
            continue;
        }
        assert_eq!(stage.get(path).await.status.as_u16(), 200, "{path}");
    }
    assert!(index.contains("/admin/getServerStats\n") && index.contains("/admin/unloadApp  (takes auser and apswd)\n"));
}

#[tokio::test]
async fn health_is_told_to_all_who_may_connect_and_details_to_those_who_may_read() {
    let mut stage = Stage::with_login(|config| {
        let vhost = &mut config.default_adaptor.default_vhost;
        let closed = introd_config::Registered {
            settings: Arc::clone(&vhost.defaults),
            folder: "apps/broken".into(),
            has_script: false,
            has_file: true,
            is_kept: false,
            closed: Some("it is broken".into()),
        };
        vhost.applications.insert("broken".to_owned(), closed);
    });
    stage.answer();
    let login = format!("/readyz?{LOGIN}");
    for (path, from, status, text) in [
        ("/healthz", "192.0.2.1", 200, "ok\n"),
        ("/healthz", "127.0.0.1", 200, "ok\n"),
        ("/readyz", "192.0.2.1", 503, "not well\n"),
        (
            &login,
            "192.0.2.1",
            503,
            "application broken of _defaultVHost_ rejects clients: see the log\nregistry: in memory, this server only; 0 lookups failed there, 0 were too late\n",
        ),
    ] {
        let answer = stage.send(from, Request::get(path)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, text), "{path}");
    }
    // Without a password nobody but this machine learns anything.
    let open = Stage::new(|_| ());
    assert_eq!(open.send("192.0.2.1", Request::get("/healthz")).await.status.as_u16(), 403);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stands_still_is_named() {
    let stage = Stage::new(|_| ());
    let answer = stage.get("/healthz").await;
    assert_eq!(answer.status.as_u16(), 503);
    assert_eq!(answer.text, "worker 0 does not answer\nworker 1 does not answer\n");
}

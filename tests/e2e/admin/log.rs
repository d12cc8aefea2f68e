//! The log for programs, and its level.

use introd_tests::program::{Server, introd};

use super::{LOGIN, with_password};
use crate::harness::clients::client;
use crate::harness::http::{fetch, get};

#[tokio::test]
async fn the_log_is_json_with_the_same_names_for_a_connect_and_an_end_and_its_level_changes() {
    let files = with_password("s3cret");
    let conf = files.path().to_string_lossy().into_owned();
    let server = Server::by(&mut introd(&[
        "run",
        "--log-format",
        "json",
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "1",
        "--admin",
        "127.0.0.1:0",
        "--conf",
        &conf,
    ]));
    let admin = server.admin[0];
    let first = client(server.addresses[0], 1).await;
    let id = first.id().to_string();
    first.close().await;
    server.logged().wait_for("\"message\":\"client gone\"", 1);
    for line in server.log().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["time"].is_string() && record["level"].is_string() && record["message"].is_string(), "{line}");
        if ["client connected", "client gone"].contains(&record["message"].as_str().unwrap()) {
            assert_eq!(
                ["peer", "application", "instance"].map(|field| record[field].as_str()),
                [Some(id.as_str()), Some("app"), Some("room")],
                "{line}"
            );
            assert!(record["session"].is_string());
        }
    }
    assert!(!server.log().contains("\"level\":\"DEBUG\""));
    assert_eq!(get(admin, &format!("/admin/setLogLevel?level=loud&{LOGIN}")).one("level"), "error");
    assert_eq!(get(admin, &format!("/admin/setLogLevel?level=debug&{LOGIN}")).one("level"), "status");
    let second = client(server.addresses[0], 2).await;
    server.logged().wait_for("\"level\":\"DEBUG\"", 1);
    assert_eq!(fetch(admin, "/admin/setLogLevel?level=trace").await.one("code"), "NetConnection.Connect.Rejected");
    second.close().await;
}

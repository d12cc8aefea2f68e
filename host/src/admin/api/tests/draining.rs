//! The routes of a drain.

use serde_json::{Value, json};

use super::Stage;
use crate::admin::testing::LOGIN;

#[tokio::test]
async fn a_drain_begins_is_told_and_is_cancelled() {
    let mut stage = Stage::with_login(|_| ());
    stage.answer();
    let answer = stage.act("/drain", r#"{"to": ["192.0.2.7:1936", "2001:db8::7"], "deadline_seconds": 90.5}"#).await;
    let begun = &answer.json()["drain"];
    assert_eq!((answer.status.as_u16(), &begun["left"]), (200, &json!(0)));
    assert_eq!(begun["to"], json!(["192.0.2.7:1936", "[2001:db8::7]:1935"]));
    let order = stage.services.drain.order().unwrap();
    assert_eq!(order.until.unwrap().duration_since(order.since).unwrap(), std::time::Duration::from_millis(90_500));
    let server = stage.api(&format!("/server?{LOGIN}")).await.json();
    assert_eq!((&server["state"], &server["drain"]), (&json!("draining"), begun));
    assert_eq!(server["problems"], json!(["the server drains: it takes no new clients"]));
    assert_eq!(stage.get("/readyz").await.status.as_u16(), 503);

    // Another request replaces what was asked for.
    let answer = stage.act("/drain", "{}").await.json();
    assert_eq!((&answer["drain"]["to"], &answer["drain"]["until"]), (&json!([]), &Value::Null));
    assert_eq!(answer["drain"]["since"], begun["since"]);

    assert_eq!(stage.act("/drain/cancel", "{}").await.json(), json!({"drain": null}));
    assert_eq!(stage.act("/drain/cancel", "{}").await.json(), json!({"drain": null}), "there is none any more");
    let server = stage.api(&format!("/server?{LOGIN}")).await.json();
    assert_eq!((&server["state"], &server["drain"]), (&json!("serving"), &Value::Null));
    assert_eq!(stage.get("/readyz").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_drain_that_makes_no_sense_is_refused_and_changes_nothing() {
    let mut stage = Stage::with_login(|_| ());
    stage.answer();
    // The address of the server in these tests.
    let own = stage.services.network.near_addresses()[0];
    let many = json!({"to": vec!["192.0.2.7:1935"; 17]}).to_string();
    for (body, field) in [
        (r#"{"to": "192.0.2.7:1935"}"#, "to"),
        (r#"{"to": [5]}"#, "to"),
        (r#"{"to": ["server.example:1935"]}"#, "to"),
        (r#"{"to": ["192.0.2.7:0"]}"#, "to"),
        (&json!({"to": [own.to_string()]}).to_string(), "to"),
        (&many, "to"),
        (r#"{"deadline_seconds": 0}"#, "deadline_seconds"),
        (r#"{"deadline_seconds": -1}"#, "deadline_seconds"),
        (r#"{"deadline_seconds": 1e300}"#, "deadline_seconds"),
        (r#"{"deadline_seconds": "90"}"#, "deadline_seconds"),
        (r#"{"deadline": 90}"#, "deadline"),
    ] {
        let answer = stage.act("/drain", body).await;
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status.as_u16() == 400 && error.contains(field), "{body}: {error}");
    }
    assert_eq!(stage.act("/drain/cancel", r#"{"to": []}"#).await.status.as_u16(), 400);
    assert!(stage.services.drain.order().is_none());
    // Nor does anybody drain the server without a login.
    assert_eq!(stage.post("/api/v1/drain", "", "{}").await.status.as_u16(), 401);
    assert!(stage.services.drain.order().is_none());
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_netgroup::GroupDigest;
use introd_policy::InstanceName;
use rtmfp::PeerId;
use serde_json::{Value, json};

use super::Stage;
use crate::meetings::{DecidingPolicy, LookupAnswer, NatKind, Outcome};
use crate::stories::{Event, EventKind};

const ASKER: PeerId = PeerId([1; 32]);
const TARGET: PeerId = PeerId([2; 32]);

fn lookup(answer: LookupAnswer, reason: Option<&str>) -> EventKind {
    EventKind::Lookup {
        target: Some(TARGET),
        answer,
        policy: "filter".into(),
        reason: reason.map(|reason| reason.to_owned().into()),
        took: Duration::from_millis(1500),
        times: 3,
        redirected_to: Box::from([([192, 0, 2, 2], 5000).into()]),
        is_forwarded: Some(true),
    }
}

/// An event of each kind that is written.
pub(super) fn one_of_each() -> Vec<EventKind> {
    let (group, reported) = (GroupDigest([5; 32]), [([192, 0, 2, 2], 5000).into()].into_iter().collect());
    let (asker_nat, target_nat) = (NatKind::None, NatKind::Unknown);
    vec![
        EventKind::Connect { agent: "AIR".into(), page_url: "http://example.org/".into() },
        EventKind::ConnectRefused { policy: "script".into(), reason: "full".into() },
        EventKind::Addresses { reported },
        EventKind::Moved { from: ([192, 0, 2, 3], 5000).into() },
        lookup(LookupAnswer::Introduced, None),
        EventKind::Met { target: Some(TARGET), times: 1, is_relayed: true },
        EventKind::Unmet { target: None, times: 2, asker_nat, target_nat, is_over: true },
        EventKind::GroupJoin { group },
        EventKind::GroupLeave { group },
        EventKind::GroupRefused { reason: "too many".into() },
        EventKind::Hint { group, about: ASKER },
        EventKind::Disconnect { reason: "closed".into(), by: "the client".into() },
    ]
}

/// A server at which a client has connected, was refused a lookup, and was not met by its target.
fn stage() -> Stage {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.answer();
    let place = Arc::new(InstanceName { instance: "room".to_owned(), ..InstanceName::first("a", "v", "app") });
    let connect = EventKind::Connect { agent: "AIR\u{1b}[2J".into(), page_url: "".into() };
    let unmet = EventKind::Unmet {
        target: Some(TARGET),
        times: 4,
        asker_nat: NatKind::PortChanging,
        target_nat: NatKind::PortPreserving,
        is_over: false,
    };
    for (worker, kind) in [(0, connect), (1, lookup(LookupAnswer::Denied, Some("not today"))), (0, unmet)] {
        let event = Event::new(Instant::now(), kind).of(ASKER, std::net::SocketAddr::from(([192, 0, 2, 1], 5000)));
        stage.services.stories.write(worker, event.in_place(Arc::clone(&place)));
    }
    stage
}

fn kinds(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_peer_has_a_story_from_its_own_side() {
    let stage = stage();
    let story = stage.api(&format!("/peers/{ASKER}")).await.json();
    assert_eq!(kinds(&story), ["connect", "lookup", "unmet"]);
    assert_eq!((&story["client"]["application"], &story["client"]["is_proven"]), (&json!("app"), &json!(true)));
    assert_eq!(story["events"][0]["agent"], "AIR\\u{1b}[2J", "harmless for a terminal");
    let denied = &story["events"][1];
    for (field, expected) in [
        ("verdict", json!("denied")),
        ("policy", json!("filter")),
        ("reason", json!("not today")),
        ("seconds", json!(1.5)),
        ("repeat", json!(3)),
        ("target", json!(TARGET.to_string())),
        ("redirected_to", json!(["192.0.2.2:5000"])),
        ("application", json!("app")),
        ("instance", json!("room")),
        ("address", json!("192.0.2.1:5000")),
        ("worker", json!(1)),
    ] {
        assert_eq!(denied[field], expected, "{field}");
    }
    let story = stage.api(&format!("/peers/{TARGET}")).await.json();
    assert_eq!((kinds(&story), &story["client"]), (vec!["looked_up", "unmet"], &json!(null)));
    assert_eq!(
        (&story["events"][0]["asker"], &story["events"][0]["verdict"]),
        (&json!(ASKER.to_string()), &json!("denied"))
    );
    let unknown = stage.api(&format!("/peers/{}", PeerId([9; 32]))).await;
    assert_eq!((unknown.status.as_u16(), kinds(&unknown.json()).len()), (200, 0));
    assert_eq!(stage.api("/peers/xyz").await.status.as_u16(), 400);
    // What a client says when it connects is known for as long as that is remembered.
    let client = stage.api(&format!("/clients/{ASKER}")).await.json();
    assert_eq!((&client["agent"], &client["nat"]), (&json!("AIR\\u{1b}[2J"), &json!("unknown")));
}

#[tokio::test]
async fn events_are_found_by_what_they_concern() {
    let stage = stage();
    for (query, expected) in [
        ("", &["connect", "lookup", "unmet"][..]),
        ("?limit=1", &["unmet"]),
        ("?kind=connect", &["connect"]),
        ("?application=app", &["connect", "lookup", "unmet"]),
        ("?application=other", &[]),
        ("?address=192.0.2.1", &["connect", "lookup", "unmet"]),
        ("?address=192.0.2.1:5001", &[]),
        (&format!("?peer={TARGET}"), &["lookup", "unmet"]),
    ] {
        let answer = stage.api(&format!("/events{query}")).await.json();
        assert_eq!(kinds(&answer), expected, "{query}");
        assert_eq!(answer["is_truncated"], json!(query == "?limit=1"), "{query}");
    }
    for wrong in ["limit=0", "limit=1001", "address=x", "peer=5a"] {
        assert_eq!(stage.api(&format!("/events?{wrong}")).await.status.as_u16(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn introductions_and_verdicts_are_summed_up() {
    let stage = stage();
    let services = &stage.services;
    services.meetings.add(0, Outcome::Met, NatKind::None, NatKind::PortPreserving);
    services.meetings.add(1, Outcome::GivenUp, NatKind::PortChanging, NatKind::PortPreserving);
    for (worker, policy) in
        [(0, DecidingPolicy::Server), (1, DecidingPolicy::Server), (1, DecidingPolicy::Plugin("filter"))]
    {
        services.verdicts.add(worker, policy, LookupAnswer::Denied);
    }
    services.verdicts.add(0, DecidingPolicy::Server, LookupAnswer::Introduced);
    let introductions = stage.api("/introductions").await.json();
    assert_eq!((&introductions["outcomes"]["met"], &introductions["outcomes"]["given_up"]), (&json!(1), &json!(1)));
    let expected = json!({
        "asker_nat": "port_changing", "target_nat": "port_preserving", "met": 0, "relayed": 0, "repeated": 0, "not_met": 1,
    });
    assert!(introductions["pairs"].as_array().unwrap().contains(&expected), "{introductions}");
    let unmet = &introductions["unmet"][0];
    assert_eq!(
        (&unmet["asker"], &unmet["target"], &unmet["times"]),
        (&json!(ASKER.to_string()), &json!(TARGET.to_string()), &json!(4))
    );
    assert!(unmet["advice"].as_str().unwrap().contains("symmetric"));
    let lookups = stage.api("/lookups").await.json();
    assert_eq!((&lookups["verdicts"]["denied"], &lookups["verdicts"]["introduced"]), (&json!(3), &json!(1)));
    let of = |policy: &str| {
        let policies = lookups["policies"].as_array().unwrap();
        policies.iter().find(|one| one["policy"] == policy).unwrap()["verdicts"]["denied"].clone()
    };
    assert_eq!([of("the server"), of("filter")], [json!(2), json!(1)]);
}

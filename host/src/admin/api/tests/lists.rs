use std::collections::BTreeSet;

use introd_config::Registered;
use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::{PeerId, SessionId};
use serde_json::{Value, json};

use super::Stage;
use std::sync::Arc;

/// Peers are numbered.
fn peer(number: u32) -> PeerId {
    let mut id = [0x5a; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

/// All items of a list, page by page.
async fn all(stage: &Stage, path: &str, field: &str, limit: usize) -> Vec<Value> {
    behind(stage, path, field, limit, None).await
}

/// All items behind what an answer gave as `next`, page by page.
async fn behind(stage: &Stage, path: &str, field: &str, limit: usize, next: Option<&str>) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = next.map_or_else(String::new, |next| format!("&after={next}"));
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let answer = stage.api(&format!("{path}{joint}limit={limit}{after}")).await.json();
        let page = answer[field].as_array().unwrap();
        assert!(page.len() <= limit, "{answer}");
        items.extend(page.iter().cloned());
        let Some(next) = answer["next"].as_str() else { return items };
        assert_eq!(page.len(), limit, "a page that is not the last is full");
        after = format!("&after={next}");
    }
}

#[tokio::test]
async fn clients_are_listed_page_by_page_each_once() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.client("rtmfp://host/other", 1, 2);
    let directory = &stage.services.directory;
    let instance = directory.lookup(&PeerId([1; 32])).unwrap().instance;
    for number in 0..500u32 {
        let address = ([198, 51, 100, (number % 5) as u8], 4000 + number as u16).into();
        directory.connect(peer(number), SessionId::from_wire(1000 + number), instance, address, false);
    }
    let _others = stage.answer();
    let directory = &stage.services.directory;
    // A copy of the first peer waits for its id. It is listed as what it is.
    directory.connect(peer(0), SessionId::from_wire(5000), instance, ([192, 0, 2, 9], 9).into(), false);
    for limit in [1, 7, 100, 1000] {
        let clients = all(&stage, "/clients", "clients", limit).await;
        let sessions: BTreeSet<&str> = clients.iter().map(|client| client["session"].as_str().unwrap()).collect();
        assert_eq!((clients.len(), sessions.len()), (503, 503), "{limit}");
        assert_eq!(clients.iter().filter(|client| client["is_waiting"] == json!(true)).count(), 1);
    }
    for (filter, expected) in [
        ("application=other", 1),
        ("application=app", 502),
        ("application=app&instance=room", 502),
        ("application=app&instance=hall", 0),
        ("application=none", 0),
        ("address=198.51.100.3", 100),
        ("address=198.51.100.3:4003", 1),
        ("address=198.51.100.3:4004", 0),
        ("address=::ffff:198.51.100.3", 100),
        ("peer=5a", 0),
        ("peer=0000000", 17),
        ("peer=00000001", 1),
    ] {
        let clients = all(&stage, &format!("/clients?{filter}"), "clients", 20).await;
        assert_eq!(clients.len(), expected, "{filter}");
    }
    let one = all(&stage, &format!("/clients?peer={}", peer(3)), "clients", 5).await;
    let expected = json!({
        "peer": peer(3).to_string(), "address": "198.51.100.3:4003", "application": "app", "instance": "room",
        "session": "000003eb", "is_waiting": false, "is_proven": null, "connected": null,
    });
    assert_eq!(one, [expected]);
    // What only the worker knows is there where the worker knows the client.
    let one = all(&stage, &format!("/clients?peer={}", peer(2)), "clients", 5).await;
    assert_eq!(one[0]["is_proven"], json!(true));
    let connected = one[0]["connected"].as_str().unwrap();
    assert!(connected.len() == "2026-01-01T00:00:00.000Z".len() && connected.ends_with('Z'), "{connected}");
}

#[tokio::test]
async fn a_page_begins_behind_its_predecessor_though_clients_have_left() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app", 0, 1);
    let directory = &stage.services.directory;
    let instance = directory.lookup(&PeerId([1; 32])).unwrap().instance;
    let session = |number| SessionId::from_wire(1000 + number);
    for number in 0..50 {
        directory.connect(peer(number), session(number), instance, ([192, 0, 2, 9], 9).into(), false);
    }
    let _others = stage.answer();
    let directory = &stage.services.directory;
    let first = stage.api("/clients?limit=20").await.json();
    for number in 0..50 {
        let listed = |client: &Value| client["peer"] == peer(number).to_string();
        if first["clients"].as_array().unwrap().iter().any(listed) {
            directory.remove(&peer(number), session(number));
        }
    }
    let next = first["next"].as_str().unwrap();
    let rest = behind(&stage, "/clients", "clients", 20, Some(next)).await;
    assert_eq!(rest.len(), 51 - 20);
}

#[tokio::test]
async fn positions_from_elsewhere_are_refused() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app", 0, 1);
    for path in ["/clients", "/groups", "/applications", "/scripts"] {
        for wrong in ["after=00", "after=zz", "limit=0", "limit=5000"] {
            let answer = stage.api(&format!("{path}?{wrong}")).await;
            assert_eq!(answer.status.as_u16(), 400, "{path}?{wrong}: {}", answer.text);
        }
    }
    for wrong in ["address=x", "peer=xyz"] {
        assert_eq!(stage.api(&format!("/clients?{wrong}")).await.status.as_u16(), 400);
    }
    // A position at the end, and beyond it.
    let end = "ff".repeat(38);
    assert_eq!(stage.api(&format!("/clients?after={end}")).await.json()["clients"], json!([]));
}

#[tokio::test]
async fn groups_and_their_members_are_listed() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    let groups = &stage.services.groups;
    let digest = |number: u8| GroupDigest([number; 32]);
    let enter = |key: GroupKey, digest, number| {
        groups.join(key, number, SessionId::from_wire(1)).unwrap();
        groups.note_digest(&key, digest);
    };
    for number in 0..30 {
        enter(GroupKey::of(&digest(number), &[]), digest(number), PeerId([1; 32]));
    }
    let vhost = ["_defaultRoot_", "_defaultVHost_"];
    let in_application = GroupKey::of(&digest(100), &[vhost[0], vhost[1], "app"]);
    enter(in_application, digest(100), PeerId([1; 32]));
    let in_instance = GroupKey::of(&digest(101), &[vhost[0], vhost[1], "app", "room"]);
    for number in 0..250 {
        enter(in_instance, digest(101), peer(number));
    }
    enter(in_instance, digest(101), PeerId([1; 32]));
    groups.set_silent(&peer(7), SessionId::from_wire(1), true);

    for limit in [1, 9, 1000] {
        let listed = all(&stage, "/groups", "groups", limit).await;
        let keys: BTreeSet<&str> = listed.iter().map(|group| group["key"].as_str().unwrap()).collect();
        assert_eq!((listed.len(), keys.len()), (32, 32), "{limit}");
    }
    let group = stage.api(&format!("/groups/{}", digest(100))).await.json();
    assert_eq!((&group["scope"], &group["total"]), (&json!("application app"), &json!(1)));
    let member = &group["members"][0];
    assert_eq!((&member["application"], &member["instance"]), (&json!("app"), &json!("room")));
    assert_eq!(member["address"], "192.0.2.1:5000");
    let group = stage.api(&format!("/groups/{}", digest(3))).await.json();
    assert_eq!(group["scope"], "server");
    let by_key = stage.api(&format!("/groups/{}", hex::encode(in_application.0))).await.json();
    assert_eq!(by_key["group"], digest(100).to_string());

    let members = all(&stage, &format!("/groups/{}", digest(101)), "members", 60).await;
    let positions: Vec<&str> = members.iter().map(|member| member["position"].as_str().unwrap()).collect();
    assert!(positions.len() == 251 && positions.is_sorted_by(|one, other| one < other), "in the order of the ring");
    assert_eq!(members.iter().filter(|member| member["is_silent"] == json!(true)).count(), 1);
    let gone = members.iter().find(|member| member["peer"] == peer(7).to_string()).unwrap();
    assert_eq!(
        (&gone["address"], &gone["application"]),
        (&json!(null), &json!(null)),
        "the directory has no such peer"
    );

    // Two groups of one digest.
    enter(GroupKey::of(&digest(3), &[vhost[0], vhost[1], "other"]), digest(3), PeerId([1; 32]));
    assert_eq!(stage.api(&format!("/groups/{}", digest(3))).await.status.as_u16(), 409);
    assert_eq!(stage.api(&format!("/groups/{}", digest(77))).await.status.as_u16(), 404);
    assert_eq!(stage.api("/groups/xyz").await.status.as_u16(), 400);
}

#[tokio::test]
async fn applications_are_listed_with_their_instances_or_without() {
    let mut stage = Stage::new(|config| {
        let vhost = &mut config.default_adaptor.default_vhost;
        for (name, closed) in [("idle", None), ("broken", Some("it is broken".into()))] {
            let registered = Registered::new(format!("apps/{name}").into(), Arc::clone(&vhost.defaults));
            vhost.applications.insert(name.to_owned(), Registered { closed, ..registered });
        }
    });
    for number in 1..=4 {
        stage.client(&format!("rtmfp://host/app/room{number}"), 0, number);
    }
    stage.client("rtmfp://host/zoo", 0, 5);
    for limit in [1, 3, 100] {
        let applications = all_instances(&stage, limit).await;
        let expected = [
            ("app", "room1"),
            ("app", "room2"),
            ("app", "room3"),
            ("app", "room4"),
            ("broken", ""),
            ("idle", ""),
            ("zoo", "_definst_"),
        ];
        assert_eq!(applications, expected.map(|(app, instance)| (app.to_owned(), instance.to_owned())), "{limit}");
    }
    let answer = stage.api("/applications").await.json();
    let app = &answer["applications"][0];
    assert_eq!((&app["is_registered"], &app["closed"]), (&json!(false), &json!(null)));
    assert_eq!(app["policy"]["lookup_mode"], "none");
    assert_eq!(app["policy"]["plugins"], json!([]));
    assert_eq!((&app["instances"][0]["accepted"], &app["instances"][0]["clients"]), (&json!(1), &json!(1)));
    assert_eq!(app["instances"][0]["script_memory_bytes"], json!(null));
    assert_eq!(answer["applications"][1]["closed"], "it is broken");
    assert_eq!(
        (&answer["applications"][2]["is_registered"], &answer["applications"][2]["instances"]),
        (&json!(true), &json!([]))
    );
}

/// The names of all applications and instances, page by page; an empty instance where an application has none.
async fn all_instances(stage: &Stage, limit: usize) -> Vec<(String, String)> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let answer = stage.api(&format!("/applications?limit={limit}{after}")).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for application in answer["applications"].as_array().unwrap() {
            let instances = application["instances"].as_array().unwrap();
            if instances.is_empty() {
                names.push((text(&application["name"]), String::new()));
            }
            names.extend(instances.iter().map(|instance| (text(&application["name"]), text(&instance["name"]))));
        }
        let Some(next) = answer["next"].as_str() else { return names };
        after = format!("&after={next}");
    }
}

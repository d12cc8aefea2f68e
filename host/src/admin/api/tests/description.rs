//! The description of the API against the routes, and against real answers.

use std::collections::BTreeSet;

use axum::http::Method;
use rtmfp::{PeerId, SessionId};
use serde_json::Value;

use super::Stage;
use crate::admin::api::{OPENAPI, ROUTES};
use crate::admin::testing::LOGIN;
use crate::meetings::{DecidingPolicy, LookupAnswer, NatKind, Outcome};
use crate::stories::Event;

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn it_has_the_routes_and_no_others() {
    let description = description();
    let mut described = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            assert_eq!(operation.get("requestBody").is_some(), method == "post", "{method} {path}");
            let named = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
            let named: Vec<&str> = named.map(|one| one["name"].as_str().unwrap()).collect();
            let in_path: Vec<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(named, in_path, "{path}");
        }
    }
    let routes: BTreeSet<String> = ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(described, routes);
}

/// What is wrong with a value, if anything.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = root.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name}"));
        return check(root, schema, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let problems: Vec<String> = any.iter().filter_map(|one| check(root, one, value, at).err()).collect();
        return if problems.len() < any.len() { Ok(()) } else { Err(problems.join("; or ")) };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => panic!("{at} has no type: {schema}"),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number")) {
        return Err(format!("{at} is {kind}, and should be {kinds:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at} is {value}, and should be one of {allowed:?}"));
    }
    if let Value::String(text) = value {
        if schema["format"] == "date-time" && !(text.len() == 24 && text.ends_with('Z')) {
            return Err(format!("{at} is no time: {text}"));
        }
        if schema["pattern"] == "^[0-9a-f]{64}$"
            && !(text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
        {
            return Err(format!("{at} has no 64 digits: {text}"));
        }
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            check(root, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    let Value::Object(fields) = value else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        if !fields.contains_key(name) {
            return Err(format!("{at}.{name} is missing"));
        }
    }
    for (name, field) in fields {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(known), _) => check(root, known, field, &format!("{at}.{name}"))?,
            (None, Value::Object(_)) => check(root, &schema["additionalProperties"], field, &format!("{at}.{name}"))?,
            (None, Value::Bool(false)) => return Err(format!("{at}.{name} is not described")),
            (None, _) => (),
        }
    }
    Ok(())
}

#[test]
fn the_check_finds_what_is_wrong() {
    let (root, error) = (description(), serde_json::json!({"$ref": "#/components/schemas/Error"}));
    let wrong = |value: Value| check(&root, &error, &value, "x").unwrap_err();
    assert_eq!(check(&root, &error, &serde_json::json!({"error": "x"}), "x"), Ok(()));
    assert_eq!(wrong(serde_json::json!({})), "x.error is missing");
    assert_eq!(wrong(serde_json::json!({"error": 1})), "x.error is integer, and should be [\"string\"]");
    assert_eq!(wrong(serde_json::json!({"error": "x", "more": 1})), "x.more is not described");
    assert!(wrong(serde_json::json!([])).starts_with("x is array"));
}

/// Asks for everything that is described, of a server that has one of each thing, and compares the answers with the description.
#[tokio::test]
async fn real_answers_are_as_described() {
    let mut stage = Stage::with_login(|_| ());
    stage.client("rtmfp://host/app/room", 0, 7);
    stage.client("rtmfp://host/other", 1, 8);
    let group = introd_netgroup::GroupDigest([5; 32]);
    let key = introd_netgroup::GroupKey::of(&group, &[]);
    stage.services.groups.join(key, PeerId([7; 32]), SessionId::from_wire(7)).unwrap();
    stage.services.groups.note_digest(&key, group);
    for kind in super::stories::one_of_each() {
        stage.services.stories.write(0, Event::new(std::time::Instant::now(), kind).of(PeerId([8; 32]), None));
    }
    for answer in LookupAnswer::ALL {
        stage.services.verdicts.add(0, DecidingPolicy::Plugin("filter"), answer);
    }
    stage.services.meetings.add(0, Outcome::Met, NatKind::None, NatKind::Ipv6);
    stage.answer();
    let root = description();
    let mut seen = 0;
    for (method, path, _) in &ROUTES {
        if *path == "/stream" {
            continue;
        }
        let operation = &root["paths"][*path][method.as_str().to_lowercase()];
        let asked = path.replace("{peer}", &PeerId([7; 32]).to_string()).replace("{application}", "app");
        let asked = asked.replace("{group}", &group.to_string());
        let answer = if *method == Method::GET {
            stage.api(&format!("{asked}?{LOGIN}")).await
        } else {
            let body = if *path == "/broadcast" { "{\"method\": \"x\"}" } else { "{}" };
            stage.act(&asked, body).await
        };
        let status = answer.status.as_u16().to_string();
        let response = &operation["responses"][&status];
        let response = response["$ref"].as_str().map_or(Some(response), |name| root.pointer(&name[1..]));
        let response = response.unwrap_or_else(|| panic!("{method} {path}: {status} is named, and not described"));
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} answers {status}, which is not described: {}", answer.text);
        check(&root, schema, &answer.json(), path).unwrap_or_else(|problem| panic!("{method} {path}: {problem}"));
        seen += usize::from(status == "200");
        // Each is refused in the same form.
        let refused = stage.get(&format!("{}{asked}", crate::admin::api::ROOT)).await;
        let error = serde_json::json!({"$ref": "#/components/schemas/Error"});
        check(&root, &error, &refused.json(), path).unwrap_or_else(|problem| panic!("{method} {path}: {problem}"));
    }
    assert!(seen >= ROUTES.len() - 3, "{seen} succeed");
}

//! Tokens made by another implementation, and ways to get a token accepted that must not be.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;

/// When the tokens of the vectors become valid; they expire an hour later.
const START: f64 = 1_767_225_600.0;

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn vm() -> (Lua, Rc<VmContext>) {
    let lua = Lua::new();
    let budget = Budget::new(Some(Duration::from_secs(3600)), 64 << 20);
    let context = Rc::new(VmContext::new(&lua, budget, Sources::new(Path::new("."), &[])).unwrap());
    (lua, context)
}

/// Verifies a token with these options, in Lua. The outcome, or the error of the script.
fn verified_at(now: f64, token: &str, key: &serde_json::Value, options: &str) -> std::result::Result<String, String> {
    let (lua, context) = vm();
    let options: Table = lua.load(format!("return {{ {options} }}")).eval().unwrap();
    let key = json::decode(&lua, &context, key.to_string().as_bytes()).unwrap();
    options.raw_set("key", key).unwrap();
    match verify(&lua, &context, token.as_bytes(), &options, now) {
        Ok(Ok(claims)) => Ok(format!("valid for {}", claims.raw_get::<String>("sub").unwrap())),
        Ok(Err(reason)) => Ok(reason),
        Err(error) => Err(error.to_string()),
    }
}

fn verified(token: &str, key: &serde_json::Value, options: &str) -> std::result::Result<String, String> {
    verified_at(START + 1.0, token, key, options)
}

/// Each algorithm with a token, and the keys that verify it: the text, and the JSON Web Key.
fn each(mut check: impl FnMut(&str, &str, &[serde_json::Value])) -> usize {
    let mut count = 0;
    for entry in vectors()["keys"].as_array().unwrap() {
        let text = if entry["pem"].is_null() { &entry["secret"] } else { &entry["pem"] };
        let jwk_text = serde_json::Value::String(entry["jwk"].to_string());
        let keys = [text.clone(), entry["jwk"].clone(), jwk_text];
        for (algorithm, token) in entry["tokens"].as_object().unwrap() {
            check(algorithm, token.as_str().unwrap(), &keys);
            count += 1;
        }
    }
    count
}

const AUDIENCE: &str = "audience = 'chat'";

#[test]
fn tokens_of_another_implementation_are_valid() {
    let count = each(|algorithm, token, keys| {
        for key in keys {
            assert_eq!(verified(token, key, AUDIENCE).as_deref(), Ok("valid for ann"), "{algorithm} {key}");
            let named = format!("{AUDIENCE}, algorithms = {{ '{algorithm}' }}");
            assert_eq!(verified(token, key, &named).as_deref(), Ok("valid for ann"), "{algorithm} {key}");
        }
    });
    assert_eq!(count, 12);
}

#[test]
fn a_set_gives_the_key_that_the_token_names() {
    let all: Vec<_> = vectors()["keys"].as_array().unwrap().iter().map(|entry| entry["jwk"].clone()).collect();
    let set = serde_json::json!({ "keys": all });
    each(|algorithm, token, keys| {
        assert_eq!(verified(token, &set, AUDIENCE).as_deref(), Ok("valid for ann"), "{algorithm}");
        let one = serde_json::json!({ "keys": [keys[1]] });
        assert_eq!(verified(token, &one, AUDIENCE).as_deref(), Ok("valid for ann"), "{algorithm}");
        let none = serde_json::json!({ "keys": [] });
        assert_eq!(verified(token, &none, AUDIENCE).as_deref(), Ok("the set has no key of the token's kid"));
        let other = format!("{AUDIENCE}, algorithms = '{}'", if algorithm == "ES256" { "RS256" } else { "ES256" });
        assert_eq!(
            verified(token, &set, &other).as_deref(),
            Ok("the token's key is for another algorithm than the caller allows")
        );
    });
}

/// Encodes the parts of a token again, with another header or payload, and the signature of the first.
fn forged(token: &str, header: Option<&str>, payload: Option<&str>) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let part = |text: Option<&str>, old: &str| text.map_or(old.to_owned(), |text| BASE64_URL_SAFE_NO_PAD.encode(text));
    format!("{}.{}.{}", part(header, parts[0]), part(payload, parts[1]), parts[2])
}

#[test]
fn what_is_changed_in_a_token_makes_it_invalid() {
    each(|algorithm, token, keys| {
        for key in keys {
            let payload = r#"{"sub":"root","aud":"chat","exp":1767229200}"#;
            let wrong = Ok("the signature of the token is wrong");
            assert_eq!(verified(&forged(token, None, Some(payload)), key, AUDIENCE).as_deref(), wrong, "{algorithm}");
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            assert_eq!(verified(&forged(token, Some(&header), None), key, AUDIENCE).as_deref(), wrong, "{algorithm}");
            let cut = token.rsplit_once('.').unwrap().0;
            assert_eq!(verified(&format!("{cut}."), key, AUDIENCE).as_deref(), wrong, "{algorithm}");
            assert_eq!(verified(cut, key, AUDIENCE).as_deref(), Ok(MALFORMED), "{algorithm}");
        }
    });
}

#[test]
fn a_token_does_not_choose_its_algorithm() {
    let vectors = vectors();
    let entry = &vectors["keys"][0];
    let (pem, token) = (&entry["pem"], entry["tokens"]["RS256"].as_str().unwrap());
    for none in ["none", "None", "NONE", "nOnE"] {
        let unsigned = forged(token, Some(&format!(r#"{{"alg":"{none}"}}"#)), None);
        let (head, _) = unsigned.rsplit_once('.').unwrap();
        for token in [unsigned.clone(), format!("{head}.")] {
            let reason = verified(&token, pem, AUDIENCE).unwrap();
            assert_eq!(reason, "the token is signed by an algorithm that is not known here, or not signed");
        }
    }
    // The public key is no secret: whoever knows it can make this code.
    let (head, _) = forged(token, Some(r#"{"alg":"HS256"}"#), None)
        .rsplit_once('.')
        .map(|(head, end)| (head.to_owned(), end.to_owned()))
        .unwrap();
    for secret in [pem.as_str().unwrap(), pem.as_str().unwrap().trim()] {
        let code = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()), head.as_bytes());
        let token = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(code));
        for key in [pem, &entry["jwk"], &serde_json::json!({ "keys": [entry["jwk"]] })] {
            let reason = verified(&token, key, AUDIENCE).unwrap();
            assert_eq!(reason, "the token is signed by an algorithm that the caller or the key does not allow");
            let both = format!("{AUDIENCE}, algorithms = {{ 'HS256', 'RS256' }}");
            assert_eq!(verified(&token, key, &both).unwrap(), reason);
        }
        let problem = verified(&token, pem, "algorithms = 'HS256'").unwrap_err();
        assert!(problem.contains("none of these is among the algorithms named"), "{problem}");
    }
    // Another algorithm of the same key counts only if the caller allows it.
    let other = entry["tokens"]["PS256"].as_str().unwrap();
    let reason = verified(other, pem, &format!("{AUDIENCE}, algorithms = {{ 'RS256' }}")).unwrap();
    assert_eq!(reason, "the token is signed by an algorithm that the caller or the key does not allow");
    // The key itself may name the only one.
    let mut jwk = entry["jwk"].clone();
    jwk["alg"] = "RS256".into();
    assert_eq!(verified(token, &jwk, AUDIENCE).as_deref(), Ok("valid for ann"));
    assert!(verified(other, &jwk, AUDIENCE).unwrap().contains("does not allow"));
}

#[test]
fn times_issuer_and_audience_are_checked() {
    let vectors = vectors();
    let entry = &vectors["keys"][4];
    let (secret, token) = (&entry["secret"], entry["tokens"]["HS256"].as_str().unwrap());
    let valid = "valid for ann";
    for (seconds, options, expected) in [
        (-61.0, AUDIENCE, "the token is not valid yet"),
        (-59.0, AUDIENCE, valid),
        (-1.0, "audience = 'chat', leeway = 0", "the token is not valid yet"),
        (0.0, "audience = 'chat', leeway = 0", valid),
        (3599.0, "audience = 'chat', leeway = 0", valid),
        (3600.0, "audience = 'chat', leeway = 0", "the token has expired"),
        (3659.0, AUDIENCE, valid),
        (3660.0, AUDIENCE, "the token has expired"),
        (0.0, "", "the token is for a certain audience: say with the option audience who you are"),
        (0.0, "audience = 'other'", "the token is for another audience"),
        (0.0, "audience = { 'other', 'files' }", valid),
        (0.0, "audience = 'chat', issuer = 'https://login.example'", valid),
        (0.0, "audience = 'chat', issuer = 'https://login.example/'", "the token is of another issuer"),
    ] {
        assert_eq!(
            verified_at(START + seconds, token, secret, options).as_deref(),
            Ok(expected),
            "{seconds} {options}"
        );
    }
}

/// A token with these claims and a good signature.
fn with_claims(header: &str, claims: &str) -> String {
    let secret = vectors()["keys"][4]["secret"].as_str().unwrap().to_owned();
    let head = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let code = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()), head.as_bytes());
    format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(code))
}

#[test]
fn claims_that_are_missing_or_malformed_make_a_token_invalid() {
    let secret = &vectors()["keys"][4]["secret"];
    let header = r#"{"alg":"HS256"}"#;
    for (claims, options, expected) in [
        (r#"{"sub":"ann","exp":1767229200}"#, "", "valid for ann"),
        (r#"{"sub":"ann","exp":1767229200.5}"#, "", "valid for ann"),
        (r#"{"sub":"ann"}"#, "", "the token never expires"),
        (r#"{"sub":"ann"}"#, "requireExpiry = false", "valid for ann"),
        (r#"{"sub":"ann","exp":1}"#, "requireExpiry = false", "the token has expired"),
        (r#"{"sub":"ann","exp":"1767229200"}"#, "", "the claim exp of the token is no number"),
        (r#"{"sub":"ann","exp":null}"#, "requireExpiry = false", "the claim exp of the token is no number"),
        (r#"{"sub":"ann","exp":-1e308}"#, "", "the token has expired"),
        (r#"{"sub":"ann","exp":1e308,"nbf":1e308}"#, "", "the token is not valid yet"),
        (r#"{"sub":"ann","exp":1767229200,"nbf":{}}"#, "", "the claim nbf of the token is no number"),
        (r#"{"sub":"ann","exp":1767229200}"#, "issuer = 'x'", "the token has no claim iss"),
        (r#"{"sub":"ann","exp":1767229200}"#, "audience = 'x'", "the token has no claim aud"),
        (r#"{"sub":"ann","exp":1767229200,"aud":7}"#, "audience = '7'", "the token has no claim aud"),
        (r#"{"sub":"ann","exp":1767229200,"iss":["x","y"]}"#, "issuer = 'y'", "valid for ann"),
        (r#"{"exp":1767229200,"exp":99999999999}"#, "", "this is not a JSON Web Token"),
        (r#"[1767229200,null,"ann",null,null]"#, "requireExpiry = false", "the claims of the token are no JSON object"),
        ("7", "requireExpiry = false", "this is not a JSON Web Token"),
        ("{", "", "this is not a JSON Web Token"),
    ] {
        let outcome = verified(&with_claims(header, claims), secret, options).unwrap();
        assert!(outcome.starts_with(expected), "{claims} {options}: {outcome}");
    }
    let claims = r#"{"sub":"ann","exp":1767229200}"#;
    for header in
        [r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, r#"{"alg":"HS256","b64":false}"#, r#"{"typ":"JWT"}"#, "[]", ""]
    {
        let outcome = verified(&with_claims(header, claims), secret, "").unwrap();
        assert!(outcome.starts_with("this is not a JSON Web Token"), "{header}: {outcome}");
    }
}

#[test]
fn a_wrong_key_or_option_is_an_error_of_the_script() {
    let vectors = vectors();
    let token = vectors["keys"][0]["tokens"]["RS256"].as_str().unwrap();
    let refused = &vectors["refused"];
    let text = |text: &str| serde_json::Value::String(text.to_owned());
    for (key, options, expected) in [
        (text(""), "", "it is empty"),
        (serde_json::json!(7), "", "it is a string"),
        (serde_json::Value::Null, "", "it is a string"),
        (text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), "", "it is a private key"),
        (refused["curve"].clone(), "", "it is no PEM of a public key"),
        (text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), "", "it is no PEM of a public key"),
        (text("  -----BEGIN NOTHING"), "", "it is no PEM of a public key"),
        (text("{"), "", "it is no JSON Web Key"),
        (serde_json::json!({ "kty": "RSA", "n": "AQAB" }), "", "of a kind that is not known here"),
        (
            serde_json::json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }),
            "",
            "of a kind that is not known here",
        ),
        (serde_json::json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }), "", "its parts are malformed"),
        (
            serde_json::json!({ "kty": "oct", "k": "AAAA", "alg": "RS256" }),
            "",
            "names an algorithm (alg) that does not fit it",
        ),
        (serde_json::json!({ "kty": "oct", "k": "AAAA", "use": "enc" }), "", "the key is not for signatures"),
        (text("x"), "algorithms = {}", "takes as algorithms a string, or a list"),
        (text("x"), "algorithms = { 'none' }", "does not know the algorithm \"none\""),
        (text("x"), "algorithms = { 'ES256' }", "none of these is among the algorithms named"),
        (text("x"), "audience = {}", "takes as audience a string, or a list"),
        (text("x"), "issuer = { 7 }", "takes as issuer a string, or a list"),
        (text("x"), "audiance = 'chat'", "has no option \"audiance\""),
        (text("x"), "leeway = -1", "takes a leeway from 0"),
        (text("x"), "leeway = 0/0", "takes a leeway from 0"),
        (text("x"), "leeway = 1e9", "takes a leeway from 0"),
        (text("x"), "requireExpiry = 1", "takes true or false as requireExpiry"),
    ] {
        let problem = verified(token, &key, options).unwrap_err();
        assert!(problem.contains(expected), "{key} {options}: {problem}");
    }
    let short = &refused["short"];
    let problem = verified(short["token"].as_str().unwrap(), &short["pem"], AUDIENCE).unwrap_err();
    assert!(problem.contains("less than 2048 bits"), "{problem}");
}

/// Everyone has a public key: as a shared secret it would let everyone sign.
#[test]
fn a_public_key_without_its_pem_is_no_secret() {
    let (lua, context) = vm();
    let mut count = 0;
    for pem in vectors()["keys"].as_array().unwrap().iter().filter_map(|entry| entry["pem"].as_str()) {
        let der = base64::prelude::BASE64_STANDARD
            .decode(pem.lines().filter(|line| !line.contains("-----")).collect::<String>());
        let options = lua.create_table().unwrap();
        options.raw_set("key", lua.create_string(der.unwrap()).unwrap()).unwrap();
        let problem = verify(&lua, &context, b"a.b.c", &options, START).unwrap_err().to_string();
        assert!(problem.contains("it looks like a key in DER"), "{problem}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn no_token_is_too_long_or_too_odd() {
    let key = serde_json::json!("a secret");
    let long = "a".repeat(8 << 20);
    assert!(verified(&long, &key, "").unwrap().contains("longer than"));
    for token in ["", ".", "..", "...", "a.b.c", "\u{0}.\u{0}.\u{0}", "e30.e30.", "====.====.===="] {
        assert_eq!(verified(token, &key, "").as_deref(), Ok(MALFORMED), "{token:?}");
    }
    let deep = format!("{{\"alg\":\"HS256\",\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(verified(&with_claims(&deep, "{}"), &key, "").as_deref(), Ok(MALFORMED));
}

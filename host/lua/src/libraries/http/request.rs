//! Reads what a script gives to `http.request`. What it has written wrong is an error at its line, before anything is sent.

use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, Result, Table, Value};

use super::super::json::{self, Style};
use crate::engine::vm_context::VmContext;
use introd_policy::http::HttpRequest;

/// What the table of a request may have.
const OPTIONS: [&str; 7] = ["method", "url", "headers", "body", "json", "timeout", "redirects"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that are a matter of the connection: the server sets them.
const OF_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The longest URL in bytes, and the most headers.
const MAX_URL: usize = 16_384;
const MAX_HEADERS: usize = 64;

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(mlua::Error::runtime(message.into()))
}

/// Reads a request.
pub(super) fn read(lua: &Lua, context: &Rc<VmContext>, options: &Value) -> Result<HttpRequest> {
    let Value::Table(options) = options else {
        return wrong(format!("http.request takes a table with the url, not a {}", options.type_name()));
    };
    check_names(options)?;
    let (body, is_json) = body(lua, context, options)?;
    let mut headers = headers(&options.raw_get("headers")?)?;
    if is_json && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), b"application/json".to_vec()));
    }
    Ok(HttpRequest {
        method: method(&options.raw_get("method")?)?,
        url: url(&options.raw_get("url")?)?,
        headers,
        body,
        timeout: timeout(&options.raw_get("timeout")?)?,
        redirects: redirects(&options.raw_get("redirects")?)?,
    })
}

fn check_names(options: &Table) -> Result<()> {
    for pair in options.pairs::<Value, Value>() {
        let (name, _) = pair?;
        let name = match &name {
            Value::String(name) => name.to_string_lossy(),
            // An object may have a `__tostring`, which must not be called from here.
            other => return wrong(format!("an HTTP request has options with names, not with a {}", other.type_name())),
        };
        if OPTIONS.contains(&name.as_str()) {
            continue;
        }
        let hint = introd_config::nearest(&name, OPTIONS.iter().copied());
        let hint = hint.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
        return wrong(format!("an HTTP request has no option {name:?}{hint}"));
    }
    Ok(())
}

fn method(value: &Value) -> Result<String> {
    let text = match value {
        Value::Nil => return Ok("GET".to_owned()),
        Value::String(text) => text.to_string_lossy(),
        other => return wrong(format!("the method is a string, not a {}", other.type_name())),
    };
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&upper.as_str()) {
        Ok(upper)
    } else {
        wrong(format!("the method is {}, not {text:?}", METHODS.join(", ")))
    }
}

fn url(value: &Value) -> Result<String> {
    match value {
        Value::String(text) if text.as_bytes().len() > MAX_URL => wrong(format!("the url has at most {MAX_URL} bytes")),
        Value::String(text) => match std::str::from_utf8(&text.as_bytes()) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => wrong("the url is not UTF-8"),
        },
        Value::Nil => wrong("an HTTP request needs a url"),
        other => wrong(format!("the url is a string, not a {}", other.type_name())),
    }
}

/// The body, and whether it is JSON.
fn body(lua: &Lua, context: &Rc<VmContext>, options: &Table) -> Result<(Vec<u8>, bool)> {
    let (body, value): (Value, Value) = (options.raw_get("body")?, options.raw_get("json")?);
    match (body, value) {
        (Value::Nil, Value::Nil) => Ok((Vec::new(), false)),
        (Value::String(text), Value::Nil) => Ok((text.as_bytes().to_vec(), false)),
        (Value::Nil, value) => Ok((json::encode(lua, context, &value, Style::Compact)?, true)),
        (other, Value::Nil) => {
            wrong(format!("the body is a string, not a {}; to send a value, use json", other.type_name()))
        }
        _ => wrong("a request has a body or json, and not both"),
    }
}

fn headers(value: &Value) -> Result<Vec<(String, Vec<u8>)>> {
    let table = match value {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        other => return wrong(format!("the headers are a table of names and values, not a {}", other.type_name())),
    };
    let mut headers = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let Value::String(name) = name else {
            return wrong(format!("the name of a header is a string, not a {}", name.type_name()));
        };
        let name = name.to_string_lossy().to_ascii_lowercase();
        if !is_token(&name) {
            return wrong(format!("{name:?} cannot be the name of a header"));
        }
        if OF_CONNECTION.contains(&name.as_str()) {
            return wrong(format!("the header {name} cannot be set: it is a matter of the connection"));
        }
        match value {
            Value::Table(values) => {
                for value in values.sequence_values::<Value>() {
                    headers.push((name.clone(), header_value(&name, &value?)?));
                }
            }
            value => headers.push((name.clone(), header_value(&name, &value)?)),
        }
        if headers.len() > MAX_HEADERS {
            return wrong(format!("a request has at most {MAX_HEADERS} headers"));
        }
    }
    // The order of a table is by chance.
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(headers)
}

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_part)
}

/// RFC 9110 §5.5. A line end would begin another header, or another request.
fn header_value(name: &str, value: &Value) -> Result<Vec<u8>> {
    let bytes = match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(number) => number.to_string().into_bytes(),
        other => return wrong(format!("the header {name} is a string, not a {}", other.type_name())),
    };
    if bytes.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return wrong(format!("the header {name} has a line end or another control character in it"));
    }
    Ok(bytes)
}

fn timeout(value: &Value) -> Result<Option<Duration>> {
    let milliseconds = match value {
        Value::Nil => return Ok(None),
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        other => return wrong(format!("the timeout is a number of milliseconds, not a {}", other.type_name())),
    };
    match Duration::try_from_secs_f64(milliseconds / 1000.0) {
        Ok(timeout) if !timeout.is_zero() => Ok(Some(timeout)),
        _ => wrong(format!("the timeout is a number of milliseconds greater than 0, not {milliseconds}")),
    }
}

fn redirects(value: &Value) -> Result<Option<usize>> {
    match value {
        Value::Nil => Ok(None),
        Value::Integer(number) if *number >= 0 => Ok(usize::try_from(*number).ok()),
        Value::Integer(number) => wrong(format!("redirects is a whole number from 0 on, not {number}")),
        other => wrong(format!("redirects is a whole number from 0 on, not a {}", other.type_name())),
    }
}

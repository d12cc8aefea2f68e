//! The body of a request that acts: an object in JSON.

use std::time::Duration;

use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::MAX_BODY;
use super::problem::Problem;

/// A body must be there within this time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The fields of a body.
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads a body that says of itself that it is JSON: a page of another site cannot have that sent.
    pub(super) async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Self, Problem> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json")
            || headers.get_all(header::CONTENT_TYPE).iter().count() != 1
        {
            let text = "Send an object in JSON, with Content-Type: application/json.";
            return Err(Problem::Body(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let late = Problem::Body(StatusCode::REQUEST_TIMEOUT, "The body has not come within 5 seconds.");
        let bytes = tokio::time::timeout(TIMEOUT, to_bytes(body, MAX_BODY)).await.map_err(|_| late)?;
        let long = Problem::Body(StatusCode::PAYLOAD_TOO_LARGE, "The body is incomplete, or longer than 64 KiB.");
        let bytes = bytes.map_err(|_| long)?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::Bad("The body is no object: send {} at least.".to_owned())),
            Err(error) => Err(Problem::Bad(format!("The body is no JSON: {error}."))),
        }
    }

    /// Refuses a body with other fields than these: what is misspelt does not act on more than was meant.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Problem> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => {
                let name = introd_log::text::shown(name);
                Err(Problem::Bad(format!("There is no field {name} here: there is {}.", names.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// A field with a text; `None` if it is not there, or `null`.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::field(name, "give a string")),
        }
    }

    /// A field with a number; `None` if it is not there, or `null`.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(Problem::field(name, "give a number")),
        }
    }

    /// A field with a list; empty if it is not there, or `null`.
    pub(super) fn list(&self, name: &str) -> Result<&[Value], Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Problem::field(name, "give an array")),
        }
    }
}

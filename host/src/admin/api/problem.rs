//! Why a request cannot be answered, as JSON.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::admin::gate::Denied;

/// Why a request cannot be answered. It becomes `{"error": "what is wrong and what to do"}`.
#[derive(Debug)]
pub(super) enum Problem {
    /// The caller may not.
    Denied(Denied),
    /// Something in the request is wrong.
    Bad(String),
    /// There is no such thing.
    NotFound(&'static str),
    /// The thing is not in a state, or not named well enough, for that.
    Conflict(String),
    /// The path is for these methods.
    Method(String),
    /// The body is too long, or came too slowly.
    Body(StatusCode, &'static str),
    /// The server cannot do it now.
    Busy(String),
}

impl Problem {
    /// A field of the body that is wrong.
    pub(super) fn field(name: &str, what: &str) -> Self {
        Self::Bad(format!("The field {name} of the body is wrong: {what}."))
    }

    /// A parameter that is wrong.
    pub(super) fn parameter(name: &str, what: &str) -> Self {
        Self::Bad(format!("The parameter {name} is wrong: {what}."))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => denied.status(),
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(status, _) => *status,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// An answer in JSON.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    answer_text(status, text)
}

/// An answer whose JSON is written already.
pub(super) fn answer_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = match &self {
            Self::Denied(denied) => denied.to_string(),
            Self::Bad(text) | Self::Conflict(text) | Self::Busy(text) => text.clone(),
            Self::NotFound(text) | Self::Body(_, text) => (*text).to_owned(),
            Self::Method(methods) => format!("This path is for {methods}."),
        };
        let mut response = answer(self.status(), &json!({"error": text}));
        match &self {
            Self::Denied(denied) => denied.decorate(response.headers_mut()),
            Self::Method(methods) => {
                if let Ok(methods) = HeaderValue::from_str(methods) {
                    response.headers_mut().insert(header::ALLOW, methods);
                }
            }
            // What is left of the body is not read.
            Self::Body(..) => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => (),
        }
        response
    }
}

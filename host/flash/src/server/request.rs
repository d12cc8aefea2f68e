//! `connect` as a client sends it, and a refusal of it.

mod handover;

use std::fmt::Display;

use crate::amf::{Object, Value};
use crate::command::Command;
use crate::uri::{AppPath, PathError, Uri};

/// What a client says in `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRequest {
    /// The application and its instance: from `app`, or from `tcUrl` if `app` is missing or empty. Otherwise `tcUrl` only selects the virtual
    /// host, and policies may read it.
    pub path: AppPath,
    /// The parts of `tcUrl`.
    pub uri: Uri,
    /// `tcUrl` as it came.
    pub tc_url: String,
    /// The query of `tcUrl`, or of `app` if `tcUrl` has none.
    pub query: String,
    /// `flashVer`: the client's platform and version.
    pub agent: String,
    /// `swfUrl`: the URL of the client's program.
    pub referrer: String,
    /// `pageUrl`: the URL of the page that the program is on.
    pub page_url: String,
    /// 3 if the client wants AMF3, else 0.
    pub object_encoding: u8,
    /// The whole command object.
    pub object: Value,
    /// The arguments that the client's program gave to `connect` besides the URI.
    pub arguments: Vec<Value>,
}

impl ConnectRequest {
    /// Reads a `connect` command.
    ///
    /// # Errors
    /// The path that names no application, and why.
    pub(super) fn read(command: Command, object_encoding: u8) -> Result<Self, (String, PathError)> {
        let text = |name: &str| command.object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tc_url = text("tcUrl");
        let uri = Uri::parse(&tc_url);
        let app = text("app");
        let (app, app_query) = app.split_once('?').unwrap_or((&app, ""));
        let path = if app.trim_matches('/').is_empty() { &uri.path } else { app };
        let path = AppPath::parse(path).map_err(|error| (path.to_owned(), error))?;
        let query = if uri.query.is_empty() { app_query.to_owned() } else { uri.query.clone() };
        Ok(Self {
            path,
            query,
            uri,
            tc_url,
            agent: text("flashVer"),
            referrer: text("swfUrl"),
            page_url: text("pageUrl"),
            object_encoding,
            object: command.object,
            arguments: command.arguments,
        })
    }
}

/// A refusal of `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The status code, [`Self::REJECTED`] as a rule.
    pub code: String,
    /// The reason, for people.
    pub description: String,
    /// A value for the client's program, in `info.application`.
    pub application: Option<Value>,
    /// The URI of another server to connect to, in `info.ex.redirect`, with 302 in `info.ex.code`.
    pub redirect: Option<String>,
    /// The reason for the log, if it is another one than the description: the client is not told.
    pub private_reason: Option<String>,
}

impl Rejection {
    /// The status code of a client that the server, or a policy, does not want.
    pub const REJECTED: &str = "NetConnection.Connect.Rejected";

    /// A refusal with the code [`Self::REJECTED`], and a description in the form of AMS.
    pub fn rejected(why: impl Display) -> Self {
        Self::new(Self::REJECTED, Self::description_of(why))
    }

    /// A reason in the form of AMS.
    pub fn description_of(why: impl Display) -> String {
        format!("[ Server.Reject ] : {why}")
    }

    /// A refusal with a code and a description.
    pub fn new(code: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            description: description.into(),
            application: None,
            redirect: None,
            private_reason: None,
        }
    }

    pub(super) fn into_info(self) -> Value {
        let mut properties = vec![
            ("level".to_owned(), "error".into()),
            ("code".to_owned(), self.code.into()),
            ("description".to_owned(), self.description.into()),
        ];
        if let Some(application) = self.application {
            properties.push(("application".to_owned(), application));
        }
        if let Some(redirect) = self.redirect {
            const MOVED: f64 = 302.0;
            let ex = Value::object([("code", Value::Number(MOVED)), ("redirect", redirect.into())]);
            properties.push(("ex".to_owned(), ex));
        }
        Value::Object(Object::plain(properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_says_why_in_the_form_of_ams() {
        let rejection = Rejection::rejected("no room");
        let told = (rejection.code.as_str(), rejection.description.as_str());
        assert_eq!(told, ("NetConnection.Connect.Rejected", "[ Server.Reject ] : no room"));
        assert_eq!((rejection.application, rejection.redirect), (None, None));
    }
}

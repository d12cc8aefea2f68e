//! `connect` and its answer (RFC 7425 §5.3.1, §5.3.2).

use super::super::amf::{EncodeError, Object, Value};
use super::super::command::{Command, Encoding, Level, info};
use super::super::uri::{AppPath, PathError, Uri};
use super::{Action, CONTROL_STREAM, CloseReason, NetConnection, Report};

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// `connect` has not come.
    New,
    /// The owner has yet to answer `connect`.
    Pending {
        transaction: f64,
        object_encoding: u8,
    },
    Connected,
    Closed,
}

/// What a client says in `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRequest {
    /// The application and its instance: from `app`, or from `tcUrl` if `app` is missing or empty. What `tcUrl` says besides is for
    /// policies to read, and selects nothing but the virtual host.
    pub path: AppPath,
    /// `tcUrl` taken apart.
    pub uri: Uri,
    /// `tcUrl` as it came.
    pub tc_url: String,
    /// The query of `tcUrl`, or of `app` if `tcUrl` has none.
    pub query: String,
    /// `flashVer`: the client's platform and version.
    pub agent: String,
    /// `swfUrl`: where the client's program came from.
    pub referrer: String,
    /// `pageUrl`: the page it is on.
    pub page_url: String,
    /// 3 if the client wants AMF3, else 0.
    pub object_encoding: u8,
    /// The whole command object.
    pub object: Value,
    /// What the client's program gave to `connect` besides the URI.
    pub arguments: Vec<Value>,
}

/// A refusal of `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The status code, `NetConnection.Connect.Rejected` as a rule.
    pub code: String,
    /// For people.
    pub description: String,
    /// Whatever the policy wants the client's program to have: `info.application`.
    pub application: Option<Value>,
    /// Another server's URI to connect to instead: `info.ex.redirect`, with `info.ex.code` 302.
    pub redirect: Option<String>,
}

impl Rejection {
    /// A refusal with a code and a description.
    pub fn new(code: impl Into<String>, description: impl Into<String>) -> Self {
        Self { code: code.into(), description: description.into(), application: None, redirect: None }
    }

    fn into_info(self) -> Value {
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

/// Why an answer to `connect` was not sent. The client still waits, except after [`AnswerError::NotPending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No `connect` waits for an answer: there was none, it has been answered, or the client is gone.
    #[error("no connect waits for an answer")]
    NotPending,
    /// The answer holds something that AMF0 cannot say. (librtmfp fails on AMF3 in the answer to `connect`.)
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

const REJECTED: &str = "NetConnection.Connect.Rejected";
const INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
/// The object encodings that `connect` negotiates.
const AMF0: u8 = 0;
const AMF3: u8 = 3;
/// What AMS calls its abilities.
const CAPABILITIES: f64 = 31.0;

impl NetConnection {
    pub(super) fn on_connect(&mut self, command: Command, actions: &mut Vec<Action>) {
        let transaction = command.transaction;
        if !matches!(self.phase, Phase::New) {
            actions.push(Action::Report(Report::SecondConnect));
            self.send_error(transaction, info(Level::Error, REJECTED, "Already connected."), actions);
            return;
        }
        let asked = command.object.get("objectEncoding").and_then(Value::as_number);
        let object_encoding = if asked == Some(f64::from(AMF3)) { AMF3 } else { AMF0 };
        self.phase = Phase::Pending { transaction, object_encoding };
        match request(command, object_encoding) {
            Ok(request) => actions.push(Action::Connect(Box::new(request))),
            Err(error) => {
                let description = error.to_string();
                self.refuse(transaction, Rejection::new(INVALID_APP, description), actions).unwrap_or_else(|error| {
                    actions.push(Action::Report(Report::Unsendable { name: "_error".to_owned(), error }));
                });
            }
        }
    }

    /// Accepts the client. `properties` are added to the information object. The answer is in AMF0 throughout.
    pub fn accept(&mut self, properties: Vec<(String, Value)>, actions: &mut Vec<Action>) -> Result<(), AnswerError> {
        let Phase::Pending { transaction, object_encoding } = self.phase else {
            return Err(AnswerError::NotPending);
        };
        let mut info = vec![
            ("level".to_owned(), "status".into()),
            ("code".to_owned(), "NetConnection.Connect.Success".into()),
            ("description".to_owned(), "Connection succeeded.".into()),
            ("objectEncoding".to_owned(), Value::Number(f64::from(object_encoding))),
        ];
        info.extend(properties);
        let mut result = Command::new("_result", transaction, vec![Value::Object(Object::plain(info))]);
        result.object = Value::object([
            ("fmsVer", Value::from(self.settings.server_version.as_str())),
            ("capabilities", Value::Number(CAPABILITIES)),
        ]);
        self.send_command(CONTROL_STREAM, &result, Encoding::Amf0, actions)?;
        self.phase = Phase::Connected;
        self.encoding = if object_encoding == AMF3 { Encoding::Amf3 } else { Encoding::Amf0 };
        Ok(())
    }

    /// Refuses the client, and closes the session.
    pub fn reject(&mut self, rejection: Rejection, actions: &mut Vec<Action>) -> Result<(), AnswerError> {
        let Phase::Pending { transaction, .. } = self.phase else {
            return Err(AnswerError::NotPending);
        };
        self.refuse(transaction, rejection, actions)?;
        Ok(())
    }

    fn refuse(&mut self, transaction: f64, rejection: Rejection, actions: &mut Vec<Action>) -> Result<(), EncodeError> {
        let error = Command::new("_error", transaction, vec![rejection.into_info()]);
        self.send_command(CONTROL_STREAM, &error, Encoding::Amf0, actions)?;
        self.end(CloseReason::Rejected, actions);
        Ok(())
    }
}

fn request(command: Command, object_encoding: u8) -> Result<ConnectRequest, PathError> {
    let text = |name: &str| command.object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tc_url = text("tcUrl");
    let uri = Uri::parse(&tc_url);
    let app = text("app");
    let (app, app_query) = app.split_once('?').unwrap_or((&app, ""));
    let path = AppPath::parse(if app.trim_matches('/').is_empty() { &uri.path } else { app })?;
    let query = if uri.query.is_empty() { app_query.to_owned() } else { uri.query.clone() };
    Ok(ConnectRequest {
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

//! `connect` and its answer (RFC 7425 §5.3.1, §5.3.2).

use super::action::{Action, CloseReason, Irregularity};
use super::phase::Phase;
use super::request::{ConnectRequest, Rejection};
use super::{CONTROL_STREAM, NetConnection};
use crate::amf::{EncodeError, Object, Value};
use crate::command::{Command, Encoding, Level, info};

/// Why an answer to `connect` was not sent. Except after [`AnswerError::NotPending`], the client still waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No `connect` waits for an answer: it has not come, has been answered, or the client is gone.
    #[error("no connect waits for an answer")]
    NotPending,
    /// The answer has a value that AMF0 has no type for. (librtmfp fails on AMF3 in the answer to `connect`.)
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

const INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
/// The object encodings that `connect` negotiates.
const AMF0: u8 = 0;
const AMF3: u8 = 3;
/// The value that AMS sends in `capabilities`.
const CAPABILITIES: f64 = 31.0;

impl NetConnection {
    pub(super) fn on_connect(&mut self, command: Command, actions: &mut Vec<Action>) {
        let transaction = command.transaction;
        if !matches!(self.phase, Phase::New) {
            actions.push(Action::Report(Irregularity::SecondConnect));
            self.send_error(transaction, info(Level::Error, Rejection::REJECTED, "Already connected."), actions);
            return;
        }
        let asked = command.object.get("objectEncoding").and_then(Value::as_number);
        let object_encoding = if asked == Some(f64::from(AMF3)) { AMF3 } else { AMF0 };
        self.phase = Phase::Pending { transaction, object_encoding };
        match ConnectRequest::read(command, object_encoding) {
            Ok(request) => actions.push(Action::Connect(Box::new(request))),
            Err((path, error)) => {
                actions.push(Action::InvalidApp { path, error });
                let description = error.to_string();
                self.refuse(transaction, Rejection::new(INVALID_APP, description), actions).unwrap_or_else(|error| {
                    actions.push(Action::Report(Irregularity::Unsendable { name: "_error".to_owned(), error }));
                });
            }
        }
    }

    /// Accepts the client. `properties` are added to the information object. The whole answer is in AMF0.
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

    /// Rejects the client, and closes the session.
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

//! What a client said in `connect` as bytes, and back.

use super::ConnectRequest;
use crate::amf::{AmfLimits, EncodeError};
use crate::command::{Command, Encoding};
use crate::message::Message;

impl ConnectRequest {
    /// The request as a message, for another process.
    ///
    /// # Errors
    /// If a value in it cannot be written.
    pub fn to_message(&self) -> Result<Vec<u8>, EncodeError> {
        let command = Command {
            name: "connect".to_owned(),
            transaction: 1.0,
            object: self.object.clone(),
            arguments: self.arguments.clone(),
        };
        command.to_message(Encoding::Amf3, 0)
    }

    /// The request from what [`Self::to_message`] wrote; `None` for anything else.
    pub fn from_message(bytes: &[u8], object_encoding: u8, limits: AmfLimits) -> Option<Self> {
        let command = Command::read(&Message::read(bytes).ok()?, limits).ok()?;
        Self::read(command, object_encoding).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::Value;

    #[test]
    fn a_request_comes_back_with_all_that_policies_read() {
        let object = Value::object([
            ("app", Value::from("game?room=1")),
            ("tcUrl", "rtmfp://host/game/room?key=2".into()),
            ("flashVer", "LNX 9".into()),
            ("swfUrl", "app:/a.swf".into()),
            ("pageUrl", "https://example.com/".into()),
        ]);
        let command = Command {
            name: "connect".to_owned(),
            transaction: 7.0,
            object,
            arguments: vec!["name".into(), Value::Number(3.5), Value::object([("deep", Value::Boolean(true))])],
        };
        let request = ConnectRequest::read(command, 3).unwrap();
        let message = request.to_message().unwrap();
        assert_eq!(ConnectRequest::from_message(&message, 3, AmfLimits::default()), Some(request));
        assert_eq!(ConnectRequest::from_message(&message[..9], 3, AmfLimits::default()), None);
    }
}

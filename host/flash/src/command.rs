//! RTMP command messages (RTMP §7.1.1; RFC 7425 §5.3.3).

use crate::amf::{AmfLimits, DecodeError, Decoder, EncodeError, Encoder, Value};
use crate::message::{FORMAT_AMF0, Message, amf_part, header, kind};

/// A command: a call of a method at the other end, or an answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The name of the method, or `_result` or `_error`.
    pub name: String,
    /// The transaction number, which an answer repeats. With 0 the sender wants no answer; only librtmfp sends `connect` with 0 and waits for
    /// one.
    pub transaction: f64,
    /// The command object; null if there is none.
    pub object: Value,
    /// The values after the command object.
    pub arguments: Vec<Value>,
}

/// How a command's arguments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// A message of type 20, all in AMF0. Values that AMF0 has no type for are refused.
    #[default]
    Amf0,
    /// A message of type 17. Scalars are in AMF0, other arguments in AMF3.
    Amf3,
}

impl Command {
    /// A command without a command object.
    pub fn new(name: impl Into<String>, transaction: f64, arguments: Vec<Value>) -> Self {
        Self { name: name.into(), transaction, object: Value::Null, arguments }
    }

    /// Reads a message of type 20 or 17.
    ///
    /// If the sender leaves out the transaction or the object, they are read as 0 and null. librtmfp leaves out the object even if arguments
    /// follow: a value in its place that is neither an object nor null is read as the first argument.
    pub fn read(message: &Message<'_>, limits: AmfLimits) -> Result<Self, DecodeError> {
        let start = amf_part(message)?;
        let mut decoder = Decoder::new(message.payload.get(start..).unwrap_or_default(), limits);
        let Value::String(name) = decoder.amf0()? else {
            return Err(DecodeError::Unsupported("command whose name is not a string"));
        };
        let mut command = Self { name, transaction: 0.0, object: Value::Null, arguments: Vec::new() };
        if !decoder.is_empty() {
            let number = decoder.amf0()?.as_number();
            command.transaction = number.ok_or(DecodeError::Unsupported("transaction that is not a number"))?;
        }
        if !decoder.is_empty() {
            match decoder.amf0()? {
                object @ (Value::Null | Value::Undefined | Value::Object(_)) => command.object = object,
                argument => command.arguments.push(argument),
            }
        }
        while !decoder.is_empty() {
            command.arguments.push(decoder.amf0()?);
        }
        Ok(command)
    }

    /// The whole message with its header.
    pub fn to_message(&self, encoding: Encoding, timestamp: u32) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = Encoder::appending(match encoding {
            Encoding::Amf0 => header(kind::COMMAND, timestamp),
            Encoding::Amf3 => {
                let mut start = header(kind::COMMAND_EXTENDED, timestamp);
                start.push(FORMAT_AMF0);
                start
            }
        });
        if encoding == Encoding::Amf0 {
            encoder = encoder.amf0_only();
        }
        encoder.amf0(&Value::String(self.name.clone()))?;
        encoder.amf0(&Value::Number(self.transaction))?;
        encoder.amf0(&self.object)?;
        for argument in &self.arguments {
            match (encoding, argument) {
                (Encoding::Amf0, _)
                | (_, Value::Undefined | Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Integer(_)) => {
                    encoder.amf0(argument)?;
                }
                _ => encoder.embedded_amf3(argument)?,
            }
        }
        Ok(encoder.finish())
    }
}

/// An information object, as it is in `onStatus`, `_result` and `_error`.
pub fn info(level: Level, code: &str, description: impl Into<String>) -> Value {
    Value::object([
        ("level", level.as_str().into()),
        ("code", code.into()),
        ("description", Value::String(description.into())),
    ])
}

/// The level of an information object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The request has succeeded.
    Status,
    /// The request has failed.
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("method", 7.0, vec![true.into(), "text".into(), Value::object([("a", Value::Number(1.5))])])
    }

    #[test]
    fn both_encodings() {
        for encoding in [Encoding::Amf0, Encoding::Amf3] {
            let bytes = command().to_message(encoding, 12).unwrap();
            let message = Message::read(&bytes).unwrap();
            assert_eq!(message.timestamp, 12);
            assert_eq!(Command::read(&message, AmfLimits::default()), Ok(command()));
        }
    }

    #[test]
    fn the_end_may_be_missing() {
        let payload = b"\x02\0\x0ccreateStream\0\0\0\0\0\0\0\0\0";
        let message = Message { kind: kind::COMMAND, timestamp: 0, payload };
        assert_eq!(Command::read(&message, AmfLimits::default()), Ok(Command::new("createStream", 0.0, vec![])));
        let message = Message { kind: kind::COMMAND, timestamp: 0, payload: &payload[..15] };
        assert_eq!(Command::read(&message, AmfLimits::default()), Ok(Command::new("createStream", 0.0, vec![])));
    }

    #[test]
    fn an_argument_in_the_place_of_the_object() {
        // The form of librtmfp's setPeerInfo in librtmfp-connect.json.
        let payload = b"\x02\0\x0bsetPeerInfo\0\0\0\0\0\0\0\0\0\x02\0\x01a\x02\0\x01b";
        let message = Message { kind: kind::COMMAND, timestamp: 0, payload };
        let command = Command::new("setPeerInfo", 0.0, vec!["a".into(), "b".into()]);
        assert_eq!(Command::read(&message, AmfLimits::default()), Ok(command));
    }

    #[test]
    fn payloads_that_are_not_commands() {
        for payload in [&b""[..], b"\x05", b"\x02\0\x01a\x05"] {
            assert!(
                Command::read(&Message { kind: kind::COMMAND, timestamp: 0, payload }, AmfLimits::default()).is_err()
            );
        }
        for payload in [&b""[..], b"\x01\x02\0\x01a"] {
            let message = Message { kind: kind::COMMAND_EXTENDED, timestamp: 0, payload };
            assert!(Command::read(&message, AmfLimits::default()).is_err());
        }
    }
}

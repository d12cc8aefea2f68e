//! RTMP messages, as flows carry them (RFC 7425 §5.1.2).

use rtmfp::wire::{Malformed, take};

use crate::amf::{AmfLimits, DecodeError, Decoder, Value};

/// RTMP message types.
pub mod kind {
    /// An event about a stream or the connection: [`UserControl`](crate::user_control::UserControl).
    pub const USER_CONTROL: u8 = 4;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data in AMF0 after a format byte, on a connection that may use AMF3.
    pub const DATA_EXTENDED: u8 = 15;
    /// A command in AMF0 after a format byte, on a connection that may use AMF3 (RFC 7425 §5.3.3).
    pub const COMMAND_EXTENDED: u8 = 17;
    /// Data in AMF0.
    pub const DATA: u8 = 18;
    /// A command in AMF0.
    pub const COMMAND: u8 = 20;
}

/// A message: its payload, and its header without the length and the stream, which the flow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The message type: one of [`kind`], or another.
    pub kind: u8,
    /// The time in the stream in milliseconds, which wraps; 0 in messages that have no place in the stream.
    pub timestamp: u32,
    /// The bytes after the header, in the format of the type.
    pub payload: &'a [u8],
}

/// The length of the header in bytes.
pub const HEADER_LEN: usize = 5;

impl<'a> Message<'a> {
    /// Reads a whole message.
    pub fn read(mut input: &'a [u8]) -> Result<Self, Malformed> {
        let kind = take::u8(&mut input)?;
        Ok(Self { kind, timestamp: take::u32(&mut input)?, payload: input })
    }

    /// The whole message as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = header(self.kind, self.timestamp);
        bytes.extend_from_slice(self.payload);
        bytes
    }
}

/// The header of a message, to which the caller appends the payload.
pub(crate) fn header(kind: u8, timestamp: u32) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes
}

/// Where the AMF part of a payload begins: after the format byte in the extended types (RFC 7425 §5.3.3).
pub(crate) fn amf_part(message: &Message<'_>) -> Result<usize, DecodeError> {
    match (message.kind, message.payload.first()) {
        (kind::COMMAND | kind::DATA, _) => Ok(0),
        (_, Some(&FORMAT_AMF0)) => Ok(1),
        (_, Some(_)) => Err(DecodeError::Unsupported("payload format")),
        (_, None) => Err(DecodeError::Truncated { at: 0 }),
    }
}

/// The only payload format of the extended types: values in AMF0, each of which may switch to AMF3.
pub(crate) const FORMAT_AMF0: u8 = 0;

/// Reads all values of a data message. By convention they are the name of a handler, and its arguments.
pub fn read_data(message: &Message<'_>, limits: AmfLimits) -> Result<Vec<Value>, DecodeError> {
    let start = amf_part(message)?;
    let mut decoder = Decoder::new(message.payload.get(start..).unwrap_or_default(), limits);
    let mut values = Vec::new();
    while !decoder.is_empty() {
        values.push(decoder.amf0()?);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_payload() {
        let bytes = [8, 0, 0, 1, 0xf4, 0xaf, 1];
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message, Message { kind: kind::AUDIO, timestamp: 500, payload: &[0xaf, 1] });
        assert_eq!(message.to_bytes(), bytes);
        for end in 0..HEADER_LEN {
            assert!(Message::read(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn data_of_both_types() {
        for (kind, start) in [(kind::DATA, &b""[..]), (kind::DATA_EXTENDED, b"\0")] {
            let payload = [start, b"\x02\0\x01a\x01\x01"].concat();
            let values = read_data(&Message { kind, timestamp: 0, payload: &payload }, AmfLimits::default());
            assert_eq!(values, Ok(vec!["a".into(), true.into()]));
        }
        for payload in [&b"\x01\x05"[..], b""] {
            let message = Message { kind: kind::DATA_EXTENDED, timestamp: 0, payload };
            assert!(read_data(&message, AmfLimits::default()).is_err());
        }
    }
}

//! The messages by which a client asks a peer to send a text back.
//!
//! The client plays a stream of the reserved name [`STREAM`] (RFC 7425 §5.4) and sends a data message on its control flow; the peer
//! sends the text back on the return flow. A peer that does not know the name rejects the control flow.

use introd_flash::amf::{AmfLimits, EncodeError, Value};
use introd_flash::client::{Incoming, read};
use introd_flash::command::Encoding;
use introd_flash::peer;

/// The name of the stream.
pub(super) const STREAM: &str = "introdProbe";
/// The handler that a request names.
const REQUEST: &str = "introdProbe";
/// The handler that a reply names.
const REPLY: &str = "introdProbeAnswer";
/// The longest text that is sent back, in bytes.
const MAX_TEXT: usize = 256;

pub(super) fn request(text: &str) -> Result<Vec<u8>, EncodeError> {
    peer::data(REQUEST, &[text.into()], Encoding::Amf0, 0)
}

pub(super) fn reply(text: &str) -> Result<Vec<u8>, EncodeError> {
    peer::data(REPLY, &[text.into()], Encoding::Amf0, 0)
}

/// The text of a request, if the data message is one.
pub(super) fn requested_text(values: &[Value]) -> Option<&str> {
    match values {
        [Value::String(handler), Value::String(text), ..] if handler == REQUEST && text.len() <= MAX_TEXT => Some(text),
        _ => None,
    }
}

/// Whether `message` is the reply to the request with that text.
pub(super) fn is_reply(message: &[u8], text: &str) -> bool {
    match read(message, AmfLimits::default()) {
        Ok(Incoming::Data(values)) => {
            matches!(&values[..], [Value::String(handler), Value::String(echo), ..] if handler == REPLY && echo == text)
        }
        _ => false,
    }
}

//! Direct streams between peers (RFC 7425 §5.4).
//!
//! The subscriber opens a flow with a stream number that is not 0, in return to no flow, and sends `play` on it. The publisher sends on
//! flows of the same stream, in return to that flow.

use std::num::NonZeroU32;

use crate::amf::{EncodeError, Encoder, Value};
use crate::command::{Command, Encoding, Level, info};
use crate::message::{FORMAT_AMF0, header, kind};
use crate::metadata::FlowKind;
use crate::user_control::UserControl;

/// The first of the numbers that Flash Player gives to streams between peers. RFC 7425 only requires that they are not 0, but librtmfp
/// accepts no others.
pub const FIRST_STREAM: NonZeroU32 = NonZeroU32::new(2_000_001).unwrap();

/// The metadata of the subscriber's control flow, and of the publisher's return flows for it.
pub fn metadata(stream: NonZeroU32) -> Vec<u8> {
    FlowKind::stream(stream.get()).metadata()
}

/// The `play` command, in AMF0, which every implementation reads here.
pub fn play(name: &str) -> Result<Vec<u8>, EncodeError> {
    Command::new("play", 0.0, vec![name.into()]).to_message(Encoding::Amf0, 0)
}

/// The message that the publisher sends first on its return flow (RFC 7425 §5.4.2).
pub fn stream_begin(stream: NonZeroU32) -> Vec<u8> {
    UserControl::StreamBegin { stream: stream.get() }.to_message()
}

/// A status event of the publisher about the stream that is played.
pub fn status(code: &str, description: &str, details: &str) -> Result<Vec<u8>, EncodeError> {
    let mut info = info(Level::Status, code, description);
    if let Value::Object(object) = &mut info {
        object.properties.push(("details".to_owned(), details.into()));
    }
    Command::new("onStatus", 0.0, vec![info]).to_message(Encoding::Amf0, 0)
}

/// A data message: the name of a handler at the other end, and its arguments.
pub fn data(handler: &str, arguments: &[Value], encoding: Encoding, timestamp: u32) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = match encoding {
        Encoding::Amf0 => Encoder::appending(header(kind::DATA, timestamp)).amf0_only(),
        Encoding::Amf3 => {
            let mut start = header(kind::DATA_EXTENDED, timestamp);
            start.push(FORMAT_AMF0);
            Encoder::appending(start)
        }
    };
    encoder.amf0(&handler.into())?;
    for argument in arguments {
        encoder.amf0(argument)?;
    }
    Ok(encoder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::AmfLimits;
    use crate::client::{Incoming, read};

    #[test]
    fn play_as_recorded() {
        // rtmfp-cpp-connect.json: play of "foo".
        assert_eq!(play("foo").unwrap(), b"\x14\0\0\0\0\x02\0\x04play\0\0\0\0\0\0\0\0\0\x05\x02\0\x03foo");
    }

    #[test]
    fn data_in_both_encodings() {
        let arguments = [Value::Number(1.0), Value::ByteArray(vec![1, 2, 3])];
        let bytes = data("onPeer", &arguments, Encoding::Amf3, 9).unwrap();
        let values = [&["onPeer".into()], &arguments[..]].concat();
        assert_eq!(read(&bytes, AmfLimits::default()), Ok(Incoming::Data(values)));
        assert!(data("onPeer", &arguments, Encoding::Amf0, 9).is_err());
        let bytes = data("onPeer", &arguments[..1], Encoding::Amf0, 9).unwrap();
        assert_eq!(bytes[..5], [kind::DATA, 0, 0, 0, 9]);
    }

    #[test]
    fn the_stream_is_never_0() {
        assert_eq!(metadata(FIRST_STREAM), b"TC\x04\xfa\x89\x01", "as librtmfp writes it");
        let stream = NonZeroU32::new(7).unwrap();
        assert_eq!(FlowKind::classify(&metadata(stream)), Some(FlowKind::stream(7)));
        assert_eq!(stream_begin(stream), [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn a_status_has_its_details() {
        let bytes = status("NetStream.Play.Start", "Started.", "foo").unwrap();
        let Ok(Incoming::Status(status)) = read(&bytes, AmfLimits::default()) else { panic!("no status") };
        let told = [status.level.as_str(), status.code.as_str(), status.description.as_str()];
        assert_eq!(told, ["status", "NetStream.Play.Start", "Started."]);
        assert_eq!(status.info.unwrap().get("details"), Some(&"foo".into()));
    }
}

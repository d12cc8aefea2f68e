//! The client's end of a NetConnection (RFC 7425 §5.3): the messages it sends, and the meaning of the server's messages.

use std::net::SocketAddr;

use crate::amf::{AmfLimits, DecodeError, EncodeError, Object, Value};
use crate::command::{Command, Encoding};
use crate::message::{FORMAT_AMF0, HEADER_LEN, Message, kind, read_data};
use crate::uri::Uri;
use crate::user_control::UserControl;

/// What a client says about itself in `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectOptions {
    /// `flashVer`.
    pub agent: String,
    /// Whether later commands may use AMF3.
    pub amf3: bool,
    /// Arguments for the application's `onConnect`.
    pub arguments: Vec<Value>,
    /// `pageUrl`: the web page in which the program runs. Empty: it is not sent.
    pub page_url: String,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        let agent = concat!("introd ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { agent, amf3: true, arguments: Vec::new(), page_url: String::new() }
    }
}

/// The transaction number of [`connect`], which the answer repeats.
pub const CONNECT_TRANSACTION: f64 = 1.0;

/// A property of the information object in introd's answer to `connect`: the address and port at which the server sees the client, as
/// text. RFC 7425 does not define it, and other servers do not send it. Clients ignore properties that they do not know.
pub const CLIENT_ADDRESS: &str = "clientAddress";

/// The `connect` command for a server's URI. It is AMF0 throughout: nothing has been negotiated yet.
pub fn connect(uri: &str, options: &ConnectOptions) -> Result<Vec<u8>, EncodeError> {
    /// All codecs that RTMP has a bit for. Nothing is decoded here, and a server should not withhold a stream because of its codec.
    const AUDIO_CODECS: f64 = 4095.0;
    const VIDEO_CODECS: f64 = 255.0;
    let app = Uri::parse(uri).path;
    let properties = [
        ("app", app.trim_start_matches('/').into()),
        ("flashVer", options.agent.as_str().into()),
        ("tcUrl", uri.into()),
        ("fpad", Value::Boolean(false)),
        ("audioCodecs", Value::Number(AUDIO_CODECS)),
        ("videoCodecs", Value::Number(VIDEO_CODECS)),
        ("videoFunction", Value::Number(1.0)),
        ("objectEncoding", Value::Number(if options.amf3 { 3.0 } else { 0.0 })),
    ];
    let mut command = Command::new("connect", CONNECT_TRANSACTION, options.arguments.clone());
    command.object = Value::object(properties);
    if let Value::Object(object) = &mut command.object
        && !options.page_url.is_empty()
    {
        object.properties.push(("pageUrl".into(), options.page_url.as_str().into()));
    }
    command.to_message(Encoding::Amf0, 0)
}

/// The `setPeerInfo` command, which MUST follow a successful `connect` (RFC 7425 §5.3.3). `addresses` may be empty.
pub fn set_peer_info(addresses: &[SocketAddr], encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    let entries = addresses.iter().map(|address| Value::String(address.to_string())).collect();
    let command = Command::new("setPeerInfo", 0.0, entries);
    // Figure 3 of the RFC has the addresses as AMF0 strings in both message types, and a server may read no others.
    let mut message = command.to_message(Encoding::Amf0, 0)?;
    if encoding == Encoding::Amf3 {
        message.insert(HEADER_LEN, FORMAT_AMF0);
        if let Some(message_type) = message.first_mut() {
            *message_type = kind::COMMAND_EXTENDED;
        }
    }
    Ok(message)
}

/// The `createStream` command. The server answers with the stream's number.
pub fn create_stream(transaction: f64) -> Result<Vec<u8>, EncodeError> {
    Command::new("createStream", transaction, Vec::new()).to_message(Encoding::Amf0, 0)
}

/// The contents of an information object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// `status`, `warning` or `error`.
    pub level: String,
    /// What has happened, for programs.
    pub code: String,
    /// What has happened, for people.
    pub description: String,
    /// The whole object.
    pub info: Option<Object>,
}

impl Status {
    /// The contents of the first argument that is an information object, that is, an object with a code.
    fn among(arguments: &[Value]) -> Self {
        let found = arguments.iter().find_map(|argument| match argument {
            Value::Object(object) if object.get("code").is_some() => Some(object),
            _ => None,
        });
        let text =
            |name| found.and_then(|object| object.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { level: text("level"), code: text("code"), description: text("description"), info: found.cloned() }
    }
}

/// A message of a server or of a peer.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// `_result`.
    Result {
        /// The transaction number of the command that is answered.
        transaction: f64,
        /// The information object among the arguments, if any.
        status: Status,
        /// The command object and the arguments.
        values: Vec<Value>,
    },
    /// `_error`.
    Error {
        /// The transaction number of the command that is answered.
        transaction: f64,
        /// The information object among the arguments, if any.
        status: Status,
    },
    /// `onStatus`.
    Status(Status),
    /// A call of a method.
    Call(Command),
    /// A user control message.
    UserControl(UserControl),
    /// A data message.
    Data(Vec<Value>),
    /// A message of another type.
    Other {
        /// The message type.
        kind: u8,
        /// The payload's length in bytes.
        length: usize,
    },
}

/// Why a message was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its header or its event is malformed.
    #[error(transparent)]
    Message(#[from] rtmfp::wire::Malformed),
    /// Its values are malformed.
    #[error(transparent)]
    Values(#[from] DecodeError),
}

/// Reads a message from a server or a peer.
pub fn read(bytes: &[u8], limits: AmfLimits) -> Result<Incoming, ReadError> {
    let message = Message::read(bytes)?;
    Ok(match message.kind {
        kind::COMMAND | kind::COMMAND_EXTENDED => {
            let command = Command::read(&message, limits)?;
            let status = || Status::among(&command.arguments);
            match command.name.as_str() {
                "_error" => Incoming::Error { transaction: command.transaction, status: status() },
                "onStatus" => Incoming::Status(status()),
                "_result" => {
                    let (transaction, status) = (command.transaction, status());
                    let values = std::iter::once(command.object).chain(command.arguments).collect();
                    Incoming::Result { transaction, status, values }
                }
                _ => Incoming::Call(command),
            }
        }
        kind::DATA | kind::DATA_EXTENDED => Incoming::Data(read_data(&message, limits)?),
        kind::USER_CONTROL => Incoming::UserControl(UserControl::read(message.payload)?),
        kind => Incoming::Other { kind, length: message.payload.len() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Level, info};

    #[test]
    fn connect_names_the_application() {
        let bytes = connect("rtmfp://[::1]:1935/live/room", &ConnectOptions::default()).unwrap();
        let Ok(Incoming::Call(command)) = read(&bytes, AmfLimits::default()) else { panic!() };
        assert_eq!(command.name, "connect");
        assert_eq!(command.object.get("app"), Some(&"live/room".into()));
        assert_eq!(command.object.get("tcUrl"), Some(&"rtmfp://[::1]:1935/live/room".into()));
    }

    #[test]
    fn set_peer_info_of_the_rfc() {
        // RFC 7425 §5.3.3, figure 3.
        let addresses = ["192.0.2.129:50001".parse().unwrap(), "[2001:db8:1::2]:50002".parse().unwrap()];
        let plain = set_peer_info(&addresses, Encoding::Amf0).unwrap();
        let payload =
            b"\x02\0\x0bsetPeerInfo\0\0\0\0\0\0\0\0\0\x05\x02\0\x11192.0.2.129:50001\x02\0\x15[2001:db8:1::2]:50002";
        assert_eq!(plain, [b"\x14\0\0\0\0", &payload[..]].concat());
        let extended = set_peer_info(&addresses, Encoding::Amf3).unwrap();
        assert_eq!(extended, [b"\x11\0\0\0\0\0", &payload[..]].concat());
    }

    #[test]
    fn answers() {
        let info = info(Level::Error, "Some.Code", "why");
        let error = Command::new("_error", 4.0, vec![info.clone()]).to_message(Encoding::Amf0, 0).unwrap();
        let Ok(Incoming::Error { transaction: 4.0, status }) = read(&error, AmfLimits::default()) else { panic!() };
        assert_eq!(
            (status.level.as_str(), status.code.as_str(), status.description.as_str()),
            ("error", "Some.Code", "why")
        );
        let number = Command::new("_result", 5.0, vec![Value::Number(1.0)]).to_message(Encoding::Amf0, 0).unwrap();
        let values = vec![Value::Null, Value::Number(1.0)];
        let result = Incoming::Result { transaction: 5.0, status: Status::default(), values };
        assert_eq!(read(&number, AmfLimits::default()), Ok(result));
        assert_eq!(read(&[9, 0, 0, 0, 0, 1, 2], AmfLimits::default()), Ok(Incoming::Other { kind: 9, length: 2 }));
        assert!(read(&[4, 0, 0, 0, 0], AmfLimits::default()).is_err());
    }

    #[test]
    fn a_status_is_the_first_object_with_a_code() {
        let other = Value::object([("level", "error".into())]);
        let arguments =
            [Value::Null, other.clone(), info(Level::Status, "Some.Code", "why"), info(Level::Error, "b", "c")];
        let status = Status::among(&arguments);
        assert_eq!((status.level.as_str(), status.code.as_str(), status.info.is_some()), ("status", "Some.Code", true));
        assert_eq!(Status::among(&[other]), Status::default());
    }
}

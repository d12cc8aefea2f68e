//! Values and messages (RFC 7425 §5): what is read can be written, and stays what it is from then on.

use introd_flash::amf::{AmfLimits, Decoder, EncodeError, Encoder, Value};
use introd_flash::client;
use introd_flash::command::{Command, Encoding};
use introd_flash::message::{HEADER_LEN, Message, kind, read_data};
use introd_flash::metadata::FlowKind;
use introd_flash::peer_info::{MAX_ADDRESSES, PeerInfo};
use introd_flash::uri::{AppPath, PathError, Uri};
use introd_flash::user_control::UserControl;

/// What was written may come to a little more than what was read: an ECMA array's indices become names.
const AMPLE: AmfLimits = AmfLimits { depth: 64, elements: 1 << 16, bytes: 4 << 20 };

/// Takes the first byte for a choice of what the others are.
pub fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => values(bytes, Format::Amf0),
        1 => values(bytes, Format::Amf3),
        2 => message(bytes),
        _ => text(bytes),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Amf0,
    Amf3,
}

fn encode(format: Format, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new();
    match format {
        Format::Amf0 => encoder.amf0(value)?,
        Format::Amf3 => encoder.amf3(value)?,
    }
    Ok(encoder.finish())
}

fn values(bytes: &[u8], format: Format) {
    let mut decoder = Decoder::new(bytes, AmfLimits::default());
    while !decoder.is_empty() {
        let before = decoder.position();
        let value = match format {
            Format::Amf0 => decoder.amf0(),
            Format::Amf3 => decoder.amf3(),
        };
        let Ok(value) = value else { return };
        assert!(decoder.position() > before);
        stays(Format::Amf0, &value);
        // AMF0 knows a property without a name, AMF3 does not.
        let unfit = stays(Format::Amf3, &value).is_none();
        assert!(!unfit || format == Format::Amf0);
    }
}

/// Writes a value, reads it, and writes it again to the same bytes. `None` if it cannot be written.
fn stays(format: Format, value: &Value) -> Option<()> {
    let written = match encode(format, value) {
        Ok(written) => written,
        Err(EncodeError::EmptyName) => return None,
        // A value that AMF0 lacks may hold one that AMF3 lacks.
        Err(error) => panic!("{error}: {value:?}"),
    };
    let mut decoder = Decoder::new(&written, AMPLE);
    let again = match format {
        Format::Amf0 => decoder.amf0(),
        Format::Amf3 => decoder.amf3(),
    };
    let again = again.unwrap_or_else(|error| panic!("{error}: {value:?}"));
    assert!(decoder.is_empty(), "{value:?}");
    assert_eq!(encode(format, &again).as_ref(), Ok(&written), "{value:?}");
    Some(())
}

fn message(bytes: &[u8]) {
    let _ = client::read(bytes, AmfLimits::default());
    let Ok(message) = Message::read(bytes) else { return };
    assert_eq!(message.to_bytes(), bytes);
    match message.kind {
        kind::USER_CONTROL => {
            if let Ok(event) = UserControl::read(message.payload) {
                let written = event.to_message();
                assert_eq!(UserControl::read(&written[HEADER_LEN..]), Ok(event));
            }
        }
        kind::COMMAND | kind::COMMAND_EXTENDED => {
            if let Ok(command) = Command::read(&message, AmfLimits::default()) {
                command_stays(&command, message.timestamp);
            }
        }
        _ => {
            let _ = read_data(&message, AmfLimits::default());
        }
    }
}

fn command_stays(command: &Command, timestamp: u32) {
    for encoding in [Encoding::Amf0, Encoding::Amf3] {
        let Ok(written) = command.to_message(encoding, timestamp) else { continue };
        let message = Message::read(&written).unwrap();
        assert_eq!(message.timestamp, timestamp);
        let again = Command::read(&message, AMPLE).unwrap_or_else(|error| panic!("{error}: {command:?}"));
        assert_eq!(again.name, command.name);
        assert_eq!(again.to_message(encoding, timestamp), Ok(written), "{command:?}");
    }
    let info = PeerInfo::read(&command.arguments);
    assert!(info.addresses.len() <= MAX_ADDRESSES && info.skipped.len() <= info.skipped_count);
    assert!(info.addresses.len() + info.skipped_count <= command.arguments.len());
}

fn text(bytes: &[u8]) {
    if let Some(kind) = FlowKind::classify(bytes) {
        assert_eq!(FlowKind::classify(&kind.metadata()), Some(kind));
    }
    let text = String::from_utf8_lossy(bytes);
    let uri = Uri::parse(&text);
    for path in [&*text, &uri.path] {
        if let Ok(path) = AppPath::parse(path) {
            assert_ne!(path.application, "");
            assert!(!path.application.contains(['/', '\\']) && !matches!(&*path.application, "." | ".."));
            assert!(path.instance.split('/').all(|part| !matches!(part, "" | "." | "..")));
            // What has a meaning in a path is escaped to mean itself.
            let whole = format!("{}/{}", path.application, path.instance);
            let escaped = whole.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
            let again = AppPath::parse(&escaped);
            assert!(again == Err(PathError::TooLong) || again == Ok(path));
        }
    }
    let arguments: Vec<Value> = text.split(' ').map(Value::from).collect();
    let info = PeerInfo::read(&arguments);
    assert!(info.addresses.iter().all(|address| address.port() != 0 && !address.ip().is_unspecified()));
}

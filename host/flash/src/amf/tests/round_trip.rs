//! What is written is read again, and nothing but the whole of it.

use proptest::prelude::*;

use super::values::{Format, value};
use super::*;

fn is_truncated(result: Result<Value, DecodeError>) -> bool {
    matches!(result, Err(DecodeError::Truncated { .. }))
}

proptest! {
    #[test]
    fn amf0_values(value in value(Format::Amf0)) {
        prop_assert_eq!(decode(0, &amf0(&value)), Ok(value));
    }

    #[test]
    fn amf3_values(value in value(Format::Amf3)) {
        prop_assert_eq!(decode(3, &amf3(&value)), Ok(value));
    }

    #[test]
    fn several_values_of_one_message(values in proptest::collection::vec(value(Format::Amf3), 0..5)) {
        let mut encoder = Encoder::new();
        for value in &values {
            encoder.embedded_amf3(value).unwrap();
        }
        let bytes = encoder.finish();
        // Whether a receiver continues the reference tables from value to value or starts them anew.
        let mut continued = Decoder::new(&bytes, AmfLimits::default());
        let mut position = 0;
        for value in &values {
            prop_assert_eq!(&continued.amf0().unwrap(), value);
            let anew = decode(0, &bytes[position..continued.position()]).unwrap();
            prop_assert_eq!(&anew, value);
            position = continued.position();
        }
        prop_assert!(continued.is_empty());
    }

    #[test]
    fn truncated_amf0(value in value(Format::Amf0)) {
        let bytes = amf0(&value);
        for end in 0..bytes.len() {
            prop_assert!(is_truncated(decode(0, &bytes[..end])));
        }
    }

    #[test]
    fn truncated_amf3(value in value(Format::Amf3)) {
        let bytes = amf3(&value);
        for end in 0..bytes.len() {
            prop_assert!(is_truncated(decode(3, &bytes[..end])));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![0..0x13u8, any::<u8>()], 0..60)) {
        let mut decoder = Decoder::new(&bytes, AmfLimits::default());
        if let Ok(value) = decoder.amf0() {
            let written = amf0(&value);
            prop_assert_eq!(amf0(&decode(0, &written).unwrap()), written);
        }
        let mut decoder = Decoder::new(&bytes, AmfLimits::default());
        if let Ok(value) = decoder.amf3() {
            let written = amf3(&value);
            prop_assert_eq!(amf3(&decode(3, &written).unwrap()), written);
        }
    }
}

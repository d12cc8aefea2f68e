//! Encodings known from the specifications and from recorded traffic.

use super::*;
use crate::amf::{EcmaArray, Object};

#[test]
fn amf0_types() {
    for (bytes, value) in [
        (&b"\x00\x3f\xf0\0\0\0\0\0\0"[..], Value::Number(1.0)),
        (b"\x01\x01", Value::Boolean(true)),
        (b"\x02\0\x03app", "app".into()),
        (b"\x03\0\x01a\x05\0\0\x09", Value::object([("a", Value::Null)])),
        (b"\x05", Value::Null),
        (b"\x06", Value::Undefined),
        (b"\x08\0\0\0\x01\0\x01a\x05\0\0\x09", {
            Value::EcmaArray(EcmaArray { named: vec![("a".into(), Value::Null)], dense: vec![] })
        }),
        (b"\x0a\0\0\0\x02\x05\x06", Value::Array(vec![Value::Null, Value::Undefined])),
        (b"\x0b\x40\x59\0\0\0\0\0\0\xff\xc4", Value::Date { milliseconds: 100.0, time_zone: -60 }),
        (b"\x0f\0\0\0\x04<a/>", Value::XmlDocument("<a/>".into())),
        (b"\x10\0\x01C\0\x01a\x05\0\0\x09", {
            Object { class: "C".into(), ..Object::plain(vec![("a".into(), Value::Null)]) }.into()
        }),
        (b"\x11\x0c\x05\xaa\xbb", Value::ByteArray(vec![0xaa, 0xbb])),
    ] {
        assert_eq!(decode(0, bytes), Ok(value.clone()), "{bytes:x?}");
        assert_eq!(amf0(&value), bytes, "{value:?}");
    }
}

#[test]
fn amf3_types() {
    for (bytes, value) in [
        (&b"\x00"[..], Value::Undefined),
        (b"\x01", Value::Null),
        (b"\x02", Value::Boolean(false)),
        (b"\x03", Value::Boolean(true)),
        (b"\x04\x81\x00", Value::Integer(128)),
        (b"\x04\xff\xff\xff\xff", Value::Integer(-1)),
        (b"\x05\x3f\xf0\0\0\0\0\0\0", Value::Number(1.0)),
        (b"\x06\x09test", "test".into()),
        (b"\x07\x09<a/>", Value::XmlDocument("<a/>".into())),
        (b"\x0b\x09<a/>", Value::Xml("<a/>".into())),
        (b"\x08\x01\x40\x59\0\0\0\0\0\0", Value::Date { milliseconds: 100.0, time_zone: 0 }),
        (b"\x09\x05\x01\x01\x00", Value::Array(vec![Value::Null, Value::Undefined])),
        (b"\x0a\x0b\x01\x03a\x01\x01", Value::object([("a", Value::Null)])),
        (b"\x0a\x13\x03C\x03a\x01", {
            let properties = vec![("a".into(), Value::Null)];
            Object { class: "C".into(), sealed: 1, dynamic: false, properties }.into()
        }),
    ] {
        assert_eq!(decode(3, bytes), Ok(value.clone()), "{bytes:x?}");
        assert_eq!(amf3(&value), bytes, "{value:?}");
    }
}

#[test]
fn traits_and_names_are_written_once() {
    let point = || Value::object([("x", Value::Integer(1))]);
    let bytes = amf3(&Value::Array(vec![point(), point()]));
    assert_eq!(bytes, b"\x09\x05\x01\x0a\x0b\x01\x03x\x04\x01\x01\x0a\x01\x00\x04\x01\x01");
}

#[test]
fn integers_that_do_not_fit_become_numbers() {
    assert_eq!(decode(3, &amf3(&Value::Integer(1 << 28))), Ok(Value::Number(268_435_456.0)));
    assert_eq!(decode(0, &amf0(&Value::Integer(-7))), Ok(Value::Number(-7.0)));
}

#[test]
fn long_strings() {
    for length in [0xffff, 0x1_0000] {
        let text = Value::from("x".repeat(length));
        assert_eq!(decode(0, &amf0(&text)), Ok(text.clone()));
        assert_eq!(decode(3, &amf3(&text)), Ok(text));
    }
}

#[test]
fn dense_parts_become_names_in_amf0() {
    let array = Value::EcmaArray(EcmaArray { named: vec![("a".into(), Value::Null)], dense: vec![true.into()] });
    let read = decode(0, &amf0(&array)).unwrap();
    assert_eq!(read.get("0"), Some(&Value::Boolean(true)));
    assert_eq!(read.get("a"), Some(&Value::Null));
}

#[test]
fn lone_surrogates_do_not_spoil_a_message() {
    assert_eq!(
        decode(0, b"\x02\0\x04a\xed\xa0\x80").unwrap().as_str().map(|text| text.starts_with("a\u{fffd}")),
        Some(true)
    );
}

#[test]
fn what_cannot_be_written_is_refused() {
    let long_name = Value::object([("x".repeat(0x1_0000), Value::Null)]);
    assert_eq!(Encoder::new().amf0(&long_name), Err(EncodeError::TooLong("name")));
    assert_eq!(Encoder::new().amf3(&Value::object([("", Value::Null)])), Err(EncodeError::EmptyName));
    let deep = (0..=super::super::MAX_ENCODED_DEPTH).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert_eq!(Encoder::new().amf0(&deep), Err(EncodeError::TooDeep));
    assert_eq!(Encoder::new().amf3(&deep), Err(EncodeError::TooDeep));
}

#[test]
fn amf0_only_refuses_what_needs_amf3() {
    let bytes = Value::Array(vec![Value::ByteArray(vec![1])]);
    assert!(matches!(Encoder::new().amf0_only().amf0(&bytes), Err(EncodeError::NotAmf0(_))));
    assert_eq!(Encoder::new().amf0_only().amf0(&Value::Integer(1)), Ok(()));
}

#[test]
fn types_of_the_runtime_alone_are_refused() {
    for marker in [0x04, 0x0d, 0x0e] {
        assert!(matches!(decode(0, &[marker, 0, 0]), Err(DecodeError::Unsupported(_))));
    }
    assert_eq!(decode(0, &[0x12]), Err(DecodeError::UnknownMarker { version: 0, marker: 0x12, at: 0 }));
    assert_eq!(decode(0, &[0x09]), Err(DecodeError::UnknownMarker { version: 0, marker: 0x09, at: 0 }));
    assert_eq!(decode(3, &[0x12]), Err(DecodeError::UnknownMarker { version: 3, marker: 0x12, at: 0 }));
    assert_eq!(decode(3, b"\x0a\x07\x03E\x01"), Err(DecodeError::Externalizable("E".into())));
}

#[test]
fn the_count_of_an_array_with_names_is_that_of_all_its_parts() {
    let named = vec![("a".into(), Value::Null), ("b".into(), Value::Null)];
    let array = EcmaArray { named, dense: vec![true.into()] };
    assert_eq!(amf0(&Value::EcmaArray(array))[..5], *b"\x08\0\0\0\x03");
}

#[test]
fn values_beside_each_other_are_not_deeper() {
    let wide = Value::Array(vec![Value::Array(Vec::new()); 2 * super::super::MAX_ENCODED_DEPTH]);
    assert_eq!(decode(0, &amf0(&wide)), Ok(wide.clone()));
    assert_eq!(decode(3, &amf3(&wide)), Ok(wide));
    let mut encoder = Encoder::new();
    for _ in 0..super::super::MAX_ENCODED_DEPTH {
        encoder.amf0(&Value::Array(Vec::new())).unwrap();
    }
    let deep = (0..super::super::MAX_ENCODED_DEPTH).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!(Encoder::new().amf0(&deep).is_ok() && Encoder::new().amf3(&deep).is_ok());
}

#[test]
fn numbers_of_both_kinds_are_numbers() {
    let all = [Value::Integer(-5), Value::Number(2.5), true.into(), "5".into(), Value::Null];
    assert_eq!(all.map(|value| value.as_number()), [Some(-5.0), Some(2.5), None, None, None]);
}

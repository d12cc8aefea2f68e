//! Input made to hurt: depth, false counts, short messages that stand for large values.

use super::*;
use crate::amf::{MAX_ENCODED_DEPTH, Object, Vector};

const NESTED: usize = 200_000;

#[test]
fn arrays_nested_without_end() {
    let amf0_arrays = b"\x0a\0\0\0\x01".repeat(NESTED);
    let amf0_objects = b"\x03\0\x01a".repeat(NESTED);
    let embedded = [b"\x11".to_vec(), b"\x09\x03\x01".repeat(NESTED)].concat();
    for bytes in [amf0_arrays, amf0_objects, embedded] {
        assert_eq!(decode(0, &bytes), Err(DecodeError::TooDeep));
    }
    for unit in [
        &b"\x09\x03\x01"[..],
        b"\x0a\x0b\x01\x03a",
        b"\x11\x03\0",
        b"\x10\x03\0\x01",
        b"\x0a\x07\x43flex.messaging.io.ArrayCollection",
    ] {
        assert_eq!(decode(3, &unit.repeat(NESTED)), Err(DecodeError::TooDeep));
    }
    assert!(decode(0, &b"\x11".repeat(NESTED)).is_err());
}

#[test]
fn the_depth_allowed_is_the_depth_reached() {
    let nested = |depth| [b"\x0a\0\0\0\x01".repeat(depth), vec![0x05]].concat();
    let depth = AmfLimits::default().depth;
    assert!(decode(0, &nested(depth)).is_ok());
    assert_eq!(decode(0, &nested(depth + 1)), Err(DecodeError::TooDeep));
}

#[test]
fn false_counts_reserve_nothing() {
    for bytes in
        [&b"\x0a\xff\xff\xff\xff\x05"[..], b"\x08\xff\xff\xff\xff", b"\x0c\xff\xff\xff\xff", b"\x0f\xff\xff\xff\xff"]
    {
        assert!(matches!(decode(0, bytes), Err(DecodeError::Truncated { .. })));
    }
    for marker in 0x06..=0x11 {
        let bytes = [&[marker][..], b"\xff\xff\xff\xff\x01\x01\x01\x01"].concat();
        assert!(decode(3, &bytes).is_err(), "{marker:#x}");
    }
}

#[test]
fn elements_are_counted() {
    let limits = AmfLimits { elements: 10, ..AmfLimits::default() };
    let array = |count: usize| amf0(&Value::Array(vec![Value::Null; count]));
    assert!(Decoder::new(&array(9), limits).amf0().is_ok());
    assert_eq!(Decoder::new(&array(10), limits).amf0(), Err(DecodeError::TooManyElements));
    // Names of traits are elements too: an object may describe many and have no values.
    let traits = [b"\x0a\x81\x63\x01".to_vec(), b"\x01".repeat(12)].concat();
    assert_eq!(Decoder::new(&traits, limits).amf3(), Err(DecodeError::TooManyElements));
}

#[test]
fn bytes_are_counted() {
    let limits = AmfLimits { bytes: 10, ..AmfLimits::default() };
    for value in
        [Value::from("eleven long"), Value::ByteArray(vec![0; 11]), Value::object([("eleven long", Value::Null)])]
    {
        assert_eq!(Decoder::new(&amf3(&value), limits).amf3(), Err(DecodeError::TooManyBytes));
        assert!(Decoder::new(&amf0(&value), limits).amf0().is_err());
    }
}

#[test]
fn one_text_referred_to_many_times() {
    let text = "x".repeat(60_000);
    let bytes = [b"\x09\xff\x01\x01".to_vec(), amf3(&Value::from(text)), b"\x06\x00".repeat(8_000)].concat();
    assert_eq!(decode(3, &bytes), Err(DecodeError::TooManyBytes));
}

#[test]
fn arrays_of_references_to_arrays_of_references() {
    // Each level is an array of ten references to the level before: 10^20 elements in a few hundred bytes.
    let mut bytes = b"\x0a\0\0\0\x14\x0a\0\0\0\x01\x05".to_vec();
    for level in 1..20u16 {
        bytes.extend_from_slice(b"\x0a\0\0\0\x0a");
        for _ in 0..10 {
            bytes.push(0x07);
            bytes.extend_from_slice(&level.to_be_bytes());
        }
    }
    assert_eq!(decode(0, &bytes), Err(DecodeError::TooManyElements));
}

#[test]
fn siblings_are_not_nested() {
    let siblings = Value::Array(vec![Value::Array(Vec::new()); 500]);
    let objects = Value::Array(vec![Value::object([("a", Value::Null)]); 500]);
    for value in [siblings, objects] {
        assert_eq!(decode(0, &amf0(&value)), Ok(value.clone()));
        assert_eq!(decode(3, &amf3(&value)), Ok(value));
    }
}

#[test]
fn what_may_be_read_and_written_at_the_most() {
    let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let deepest = nested(MAX_ENCODED_DEPTH);
    assert!(Encoder::new().amf0(&deepest).is_ok() && Encoder::new().amf3(&deepest).is_ok());
    let limits = AmfLimits { depth: 4, bytes: 10, ..AmfLimits::default() };
    for (value, error) in [
        (nested(4), None),
        (nested(5), Some(DecodeError::TooDeep)),
        (Value::from("ten bytes."), None),
        (Value::from("ten bytes.!"), Some(DecodeError::TooManyBytes)),
    ] {
        assert_eq!(Decoder::new(&amf0(&value), limits).amf0().err(), error, "{value:?}");
        assert_eq!(Decoder::new(&amf3(&value), limits).amf3().err(), error, "{value:?}");
    }
}

/// A name that is written once, in traits, is kept in every object that has them.
#[test]
fn names_in_traits_count_for_each_object() {
    let long = "n".repeat(200);
    let object = |class: &str, name: &str| Object {
        class: class.to_owned(),
        sealed: 1,
        dynamic: false,
        properties: vec![(name.to_owned(), Value::Null)],
    };
    let limits = AmfLimits { bytes: 1000, ..AmfLimits::default() };
    for (class, name) in [(&long[..], "a"), ("a", &long)] {
        for (count, fits) in [(2, true), (20, false)] {
            let bytes = amf3(&Value::Array(vec![object(class, name).into(); count]));
            assert!(bytes.len() < 1000, "written once");
            assert_eq!(Decoder::new(&bytes, limits).amf3().is_ok(), fits, "{count}");
        }
    }
    let wrapper =
        Value::Externalized { class: "flex.messaging.io.ArrayCollection".to_owned(), body: Box::new(Value::Null) };
    for (count, fits) in [(2, true), (100, false)] {
        let bytes = amf3(&Value::Array(vec![wrapper.clone(); count]));
        assert_eq!(Decoder::new(&bytes, limits).amf3().is_ok(), fits, "{count}");
    }
}

#[test]
fn vectors_and_byte_arrays_count_by_their_bytes() {
    let limits = AmfLimits { bytes: 40, ..AmfLimits::default() };
    let (ints, uints, doubles) = (vec![1; 10], vec![1; 10], vec![1.0; 5]);
    for value in [
        Value::ByteArray(vec![0; 40]),
        Value::Vector(Vector::Int { fixed: false, items: ints }),
        Value::Vector(Vector::Uint { fixed: false, items: uints }),
        Value::Vector(Vector::Double { fixed: false, items: doubles }),
    ] {
        let bytes = amf3(&value);
        assert_eq!(Decoder::new(&bytes, limits).amf3(), Ok(value));
        let less = AmfLimits { bytes: 39, ..limits };
        assert_eq!(Decoder::new(&bytes, less).amf3(), Err(DecodeError::TooManyBytes));
    }
}

//! References into the tables of both formats.

use super::*;
use crate::amf::Object;

#[test]
fn amf0_objects_are_numbered_in_order_of_appearance() {
    // [{a: {}}, reference 2, reference 1]: the array is 0, the object 1, the object inside it 2.
    let bytes = b"\x0a\0\0\0\x03\x03\0\x01a\x03\0\0\x09\0\0\x09\x07\0\x02\x07\0\x01";
    let inner = || Value::object::<String, 0>([]);
    let outer = || Value::object([("a", inner())]);
    assert_eq!(decode(0, bytes), Ok(Value::Array(vec![outer(), inner(), outer()])));
}

#[test]
fn amf0_references_reach_over_a_message() {
    let bytes = b"\x0a\0\0\0\x01\x05\x07\0\0\x07\0\0";
    let mut decoder = Decoder::new(bytes, AmfLimits::default());
    for _ in 0..3 {
        assert_eq!(decoder.amf0(), Ok(Value::Array(vec![Value::Null])));
    }
    assert!(decoder.is_empty());
}

#[test]
fn amf3_strings_objects_and_traits() {
    // [{x: "y"}, {x: "x"} by traits and string references, the first object, "y"]
    let bytes = b"\x09\x09\x01\x0a\x0b\x01\x03x\x06\x03y\x01\x0a\x01\x00\x06\x00\x01\x0a\x02\x06\x02";
    let object = |text: &str| Value::object([("x", text.into())]);
    assert_eq!(decode(3, bytes), Ok(Value::Array(vec![object("y"), object("x"), object("y"), "y".into()])));
}

#[test]
fn amf3_values_read_again_leave_the_tables_alone() {
    // [["a"], reference 1 (which reads "a" again), "b" inline, string reference 1 which must be "b"]
    let bytes = b"\x09\x09\x01\x09\x03\x01\x06\x03a\x09\x02\x06\x03b\x06\x02";
    let list = || Value::Array(vec!["a".into()]);
    assert_eq!(decode(3, bytes), Ok(Value::Array(vec![list(), list(), "b".into(), "b".into()])));
}

#[test]
fn amf3_traits_read_again_leave_the_table_alone() {
    // [{x: true}, reference 1 (which reads the traits again), an object of class B, and another by traits reference 1]
    let bytes = b"\x09\x09\x01\x0a\x0b\x01\x03x\x03\x01\x0a\x02\x0a\x0b\x03B\x01\x0a\x05\x01";
    let plain = || Value::object([("x", true.into())]);
    let of_b = || Value::Object(Object { class: "B".to_owned(), ..Object::plain(Vec::new()) });
    assert_eq!(decode(3, bytes), Ok(Value::Array(vec![plain(), plain(), of_b(), of_b()])));
}

#[test]
fn every_referable_type() {
    for value in [
        &b"\x07\x03x"[..],
        b"\x08\x01\x40\x59\0\0\0\0\0\0",
        b"\x0b\x03x",
        b"\x0c\x03x",
        b"\x0d\x03\0\0\0\0\x01",
        b"\x0e\x03\0\0\0\0\x01",
        b"\x0f\x03\0\x40\x59\0\0\0\0\0\0",
        b"\x10\x03\0\x01\x05\x40\x59\0\0\0\0\0\0",
        b"\x11\x03\0\x03\x02",
        b"\x0a\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x03",
    ] {
        let marker = value[0];
        let bytes = [b"\x09\x05\x01", value, &[marker, 2]].concat();
        let Ok(Value::Array(items)) = decode(3, &bytes) else { panic!("{marker:#x}") };
        assert_eq!(items[0], items[1]);
        // The same index under another type's marker.
        let other = if marker == 0x0c { 0x0b } else { 0x0c };
        let bytes = [b"\x09\x05\x01", value, &[other, 2]].concat();
        assert!(matches!(decode(3, &bytes), Err(DecodeError::BadReference { .. })), "{marker:#x}");
    }
}

#[test]
fn cycles_are_refused() {
    assert!(matches!(decode(0, b"\x0a\0\0\0\x01\x07\0\0"), Err(DecodeError::Cyclic { .. })));
    assert!(matches!(decode(0, b"\x03\0\x01a\x07\0\0\0\0\x09"), Err(DecodeError::Cyclic { .. })));
    assert!(matches!(decode(3, b"\x09\x03\x01\x09\x00"), Err(DecodeError::Cyclic { .. })));
}

#[test]
fn references_to_nothing_are_refused() {
    assert!(matches!(decode(0, b"\x07\0\0"), Err(DecodeError::BadReference { .. })));
    for bytes in [&b"\x06\x00"[..], b"\x09\x00", b"\x0a\x00", b"\x0a\x01"] {
        assert!(matches!(decode(3, bytes), Err(DecodeError::BadReference { .. })), "{bytes:x?}");
    }
}

#[test]
fn shared_tables_of_embedded_values() {
    // Two AMF3 values in one AMF0 message, the second refers to the first's text.
    let bytes = b"\x11\x06\x03a\x11\x06\x00";
    let mut decoder = Decoder::new(bytes, AmfLimits::default());
    assert_eq!(decoder.amf0(), Ok("a".into()));
    assert_eq!(decoder.amf0(), Ok("a".into()));
}

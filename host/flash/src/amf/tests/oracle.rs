//! Both formats against the crate flash-lso, which shares nothing with this codec. (It recurses without a limit and must
//! never be given anything deep.)

use flash_lso::amf0::read::AMF0Decoder;
use flash_lso::amf3::read::AMF3Decoder;
use flash_lso::types as lso;
use flash_lso::types::ObjectId;
use flash_lso::write::Writer;
use proptest::prelude::*;

use super::values::{Format, value};
use super::*;
use crate::amf::{EcmaArray, Object, Vector};

/// Whether flash-lso can write the value: it has no AMF3 inside AMF0 values made by conversion, reads no externalized
/// classes it was not told of, and numbers the dictionaries and object vectors that it takes for repeated ones wrongly.
fn has_a_twin(format: Format, value: &Value) -> bool {
    let all = |items: &[Value]| items.iter().all(|item| has_a_twin(format, item));
    let named = |list: &[(String, Value)]| list.iter().all(|(_, item)| has_a_twin(format, item));
    match (value, format) {
        (Value::Externalized { .. } | Value::Dictionary { .. }, _) => false,
        (Value::Vector(Vector::Object { .. }), _) => false,
        (Value::Xml(_) | Value::ByteArray(_) | Value::Vector(_), Format::Amf0) => false,
        (Value::Object(object), Format::Amf0) => object.sealed == 0 && object.dynamic && named(&object.properties),
        (Value::Object(object), Format::Amf3) => named(&object.properties),
        (Value::Array(items), _) => all(items),
        (Value::EcmaArray(array), _) => named(&array.named) && all(&array.dense),
        _ => true,
    }
}

fn to_elements(list: &[(String, Value)], format: Format) -> Vec<lso::Element> {
    list.iter().map(|(name, value)| lso::Element::new(name, to_lso(value, format))).collect()
}

fn to_lso(value: &Value, format: Format) -> lso::Value {
    let id = ObjectId::INVALID;
    match value.clone() {
        Value::Undefined => lso::Value::Undefined,
        Value::Null => lso::Value::Null,
        Value::Boolean(boolean) => lso::Value::Bool(boolean),
        Value::Integer(number) => lso::Value::Integer(number),
        Value::Number(number) => lso::Value::Number(number),
        Value::String(text) => lso::Value::String(text),
        Value::Date { milliseconds, time_zone } => {
            lso::Value::Date { time: milliseconds, timezone_or_utc: Some(time_zone as u16) }
        }
        Value::XmlDocument(value) => lso::Value::XML { value, is_string: matches!(format, Format::Amf0) },
        Value::Xml(value) => lso::Value::XML { value, is_string: true },
        Value::Array(items) => {
            lso::Value::StrictArray { id, values: items.iter().map(|item| to_lso(item, format)).collect() }
        }
        Value::EcmaArray(array) => lso::Value::ECMAArray {
            id,
            data: lso::ECMAArrayObjectValue {
                dense: array.dense.iter().map(|item| to_lso(item, format)).collect(),
                elements: to_elements(&array.named, format),
                length: array.named.len() as u32,
            },
        },
        Value::Object(object) => {
            let mut definition = lso::ClassDefinition::default_with_name(object.class.clone());
            definition.static_properties =
                object.properties[..object.sealed].iter().map(|(name, _)| name.clone()).collect();
            if object.dynamic {
                definition.attributes |= lso::Attribute::Dynamic;
            }
            let plain = matches!(format, Format::Amf0) && object.class.is_empty();
            let elements = to_elements(&object.properties, format);
            lso::Value::Object {
                id,
                data: lso::ObjectValue { elements, class_definition: (!plain).then_some(definition) },
            }
        }
        Value::ByteArray(bytes) => lso::Value::ByteArray(bytes),
        Value::Vector(Vector::Int { fixed, items }) => {
            lso::Value::VectorInt(lso::VectorPrimitiveValue { values: items, fixed_length: fixed })
        }
        Value::Vector(Vector::Uint { fixed, items }) => {
            lso::Value::VectorUInt(lso::VectorPrimitiveValue { values: items, fixed_length: fixed })
        }
        Value::Vector(Vector::Double { fixed, items }) => {
            lso::Value::VectorDouble(lso::VectorPrimitiveValue { values: items, fixed_length: fixed })
        }
        other => panic!("no twin: {other:?}"),
    }
}

fn from_elements(elements: &[lso::Element], format: Format) -> Vec<(String, Value)> {
    elements.iter().map(|element| (element.name.clone(), from_lso(&element.value, format))).collect()
}

fn from_lso(value: &lso::Value, format: Format) -> Value {
    let all = |items: &[lso::Value]| items.iter().map(|item| from_lso(item, format)).collect::<Vec<_>>();
    match value.clone() {
        lso::Value::Undefined => Value::Undefined,
        lso::Value::Null => Value::Null,
        lso::Value::Bool(boolean) => Value::Boolean(boolean),
        lso::Value::Integer(number) => Value::Integer(number),
        lso::Value::Number(number) => Value::Number(number),
        lso::Value::String(text) => Value::String(text),
        lso::Value::Date { time, timezone_or_utc } => {
            Value::Date { milliseconds: time, time_zone: timezone_or_utc.unwrap_or(0) as i16 }
        }
        lso::Value::XML { value, is_string: true } if matches!(format, Format::Amf3) => Value::Xml(value),
        lso::Value::XML { value, .. } => Value::XmlDocument(value),
        lso::Value::StrictArray { values, .. } => Value::Array(all(&values)),
        lso::Value::ECMAArray { data, .. } => {
            Value::EcmaArray(EcmaArray { named: from_elements(&data.elements, format), dense: all(&data.dense) })
        }
        lso::Value::Object { data, .. } => {
            let properties = from_elements(&data.elements, format);
            let Some(definition) = data.class_definition else { return Object::plain(properties).into() };
            let dynamic = matches!(format, Format::Amf0) || definition.attributes.contains(lso::Attribute::Dynamic);
            let (class, sealed) = (definition.name, definition.static_properties.len());
            Object { class, sealed, dynamic, properties }.into()
        }
        lso::Value::ByteArray(bytes) => Value::ByteArray(bytes),
        lso::Value::VectorInt(vector) => {
            Value::Vector(Vector::Int { fixed: vector.fixed_length, items: vector.values })
        }
        lso::Value::VectorUInt(vector) => {
            Value::Vector(Vector::Uint { fixed: vector.fixed_length, items: vector.values })
        }
        lso::Value::VectorDouble(vector) => {
            Value::Vector(Vector::Double { fixed: vector.fixed_length, items: vector.values })
        }
        lso::Value::VectorObject { data, .. } => {
            let (fixed, class) = (data.fixed_length, data.object_type_name);
            Value::Vector(Vector::Object { fixed, class, items: all(&data.values) })
        }
        lso::Value::Dictionary { data, .. } => Value::Dictionary {
            weak_keys: data.weak_keys,
            entries: data
                .elements
                .iter()
                .map(|entry| (from_lso(&entry.key, format), from_lso(&entry.value, format)))
                .collect(),
        },
        lso::Value::AMF3(embedded) => from_lso(&embedded, Format::Amf3),
        other => panic!("not expected: {other:?}"),
    }
}

fn read_with_lso(bytes: &[u8], format: Format) -> Value {
    let (rest, value) = match format {
        Format::Amf0 => AMF0Decoder::default().parse_single_element(bytes).unwrap(),
        Format::Amf3 => AMF3Decoder::default().parse_single_element(bytes).unwrap(),
    };
    assert!(rest.is_empty());
    from_lso(&value, format)
}

/// The value as flash-lso writes it: the one element of a file, between the file's header with the element's empty name
/// and a padding byte.
fn write_with_lso(value: &Value, format: Format) -> Vec<u8> {
    let version = match format {
        Format::Amf0 => lso::AMFVersion::AMF0,
        Format::Amf3 => lso::AMFVersion::AMF3,
    };
    let write = |elements: Vec<lso::Element>| {
        let mut file = lso::Lso::new(elements, "", version);
        let mut bytes = Vec::new();
        Writer::default().write_full(&mut bytes, &mut file).unwrap();
        bytes
    };
    let header = write(Vec::new()).len() + if matches!(format, Format::Amf0) { 2 } else { 1 };
    let file = write(vec![lso::Element::new("", to_lso(value, format))]);
    file[header..file.len() - 1].to_vec()
}

fn externalized(value: &Value) -> bool {
    format!("{value:?}").contains("Externalized")
}

proptest! {
    #[test]
    fn it_reads_our_amf0(value in value(Format::Amf0).prop_filter("class unknown to it", |value| !externalized(value))) {
        prop_assert_eq!(read_with_lso(&amf0(&value), Format::Amf0), value);
    }

    #[test]
    fn it_reads_our_amf3(value in value(Format::Amf3).prop_filter("class unknown to it", |value| !externalized(value))) {
        prop_assert_eq!(read_with_lso(&amf3(&value), Format::Amf3), value);
    }

    #[test]
    fn we_read_its_amf0(value in value(Format::Amf0).prop_filter("no twin", |value| has_a_twin(Format::Amf0, value))) {
        prop_assert_eq!(decode(0, &write_with_lso(&value, Format::Amf0)), Ok(value));
    }

    #[test]
    fn we_read_its_amf3(value in value(Format::Amf3).prop_filter("no twin", |value| has_a_twin(Format::Amf3, value))) {
        prop_assert_eq!(decode(3, &write_with_lso(&value, Format::Amf3)), Ok(value));
    }
}

#[test]
fn we_read_its_dictionaries_and_object_vectors() {
    let id = ObjectId::INVALID;
    let entry = lso::DictionaryEntry { key: lso::Value::Integer(1), value: lso::Value::String("x".into()) };
    let dictionary =
        lso::Value::Dictionary { id, data: lso::DictionaryObjectValue { elements: vec![entry], weak_keys: true } };
    let vector = lso::Value::VectorObject {
        id,
        data: lso::VectorObjectValue {
            values: vec![lso::Value::Null, lso::Value::Integer(-5)],
            object_type_name: "a.B".into(),
            fixed_length: true,
        },
    };
    for twin in [dictionary, vector] {
        let mut file = lso::Lso::new(vec![lso::Element::new("", twin.clone())], "", lso::AMFVersion::AMF3);
        let mut bytes = Vec::new();
        Writer::default().write_full(&mut bytes, &mut file).unwrap();
        let mut empty = Vec::new();
        Writer::default().write_full(&mut empty, &mut lso::Lso::new(vec![], "", lso::AMFVersion::AMF3)).unwrap();
        let value = decode(3, &bytes[empty.len() + 1..bytes.len() - 1]);
        assert_eq!(value, Ok(from_lso(&twin, Format::Amf3)));
    }
}

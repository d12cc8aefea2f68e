//! Arbitrary values.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::amf::{EcmaArray, Object, Value, Vector};

/// What differs between the formats: AMF0 has neither integers nor a dense part beside a named one.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Amf0,
    Amf3,
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>().prop_filter("NaN is not equal to itself", |number| !number.is_nan()), Just(f64::INFINITY)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-d]{0,3}", 1 => "\\PC{0,40}"]
}

fn scalar(format: Format) -> BoxedStrategy<Value> {
    let both = prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        number().prop_map(Value::Number),
        text().prop_map(Value::String),
        number().prop_map(|milliseconds| Value::Date { milliseconds, time_zone: 0 }),
        text().prop_map(Value::XmlDocument),
        text().prop_map(Value::Xml),
        vec(any::<u8>(), 0..20).prop_map(Value::ByteArray),
        (any::<bool>(), vec(any::<i32>(), 0..5)).prop_map(|(fixed, items)| Value::Vector(Vector::Int { fixed, items })),
        (any::<bool>(), vec(any::<u32>(), 0..5))
            .prop_map(|(fixed, items)| Value::Vector(Vector::Uint { fixed, items })),
        (any::<bool>(), vec(number(), 0..5)).prop_map(|(fixed, items)| Value::Vector(Vector::Double { fixed, items })),
    ];
    match format {
        Format::Amf0 => both.boxed(),
        Format::Amf3 => prop_oneof![4 => both, 1 => (-(1 << 28)..1 << 28).prop_map(Value::Integer)].boxed(),
    }
}

/// Properties of one object: their names differ from each other and recur in other objects.
fn properties(
    value: impl Strategy<Value = Value>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(String, Value)>> {
    vec(("[a-c]", value), count).prop_map(|list| {
        list.into_iter().enumerate().map(|(index, (name, value))| (format!("{name}{index}"), value)).collect()
    })
}

pub(super) fn value(format: Format) -> impl Strategy<Value = Value> {
    scalar(format).prop_recursive(5, 40, 5, move |inner| {
        let object =
            (prop_oneof![Just(String::new()), Just("a.B".to_owned())], properties(inner.clone(), 0..5), 0..5usize)
                .prop_map(|(class, properties, sealed)| {
                    let sealed = sealed.min(properties.len());
                    let dynamic = sealed < properties.len() || sealed % 2 == 0;
                    Value::Object(Object { class, sealed, dynamic, properties })
                });
        let dense = match format {
            Format::Amf0 => 0..1,
            Format::Amf3 => 0..4,
        };
        prop_oneof![
            object,
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            (properties(inner.clone(), 1..5), vec(inner.clone(), dense))
                .prop_map(|(named, dense)| Value::EcmaArray(EcmaArray { named, dense })),
            (any::<bool>(), "[a-b]?", vec(inner.clone(), 0..4))
                .prop_map(|(fixed, class, items)| Value::Vector(Vector::Object { fixed, class, items })),
            (any::<bool>(), vec((inner.clone(), inner.clone()), 0..4))
                .prop_map(|(weak_keys, entries)| Value::Dictionary { weak_keys, entries }),
            inner.prop_map(|body| Value::Externalized {
                class: "flex.messaging.io.ArrayCollection".to_owned(),
                body: Box::new(body)
            }),
        ]
    })
}

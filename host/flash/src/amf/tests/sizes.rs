//! What values take in memory.

use crate::amf::{EcmaArray, Object, Value, Vector};

#[test]
fn the_size_of_a_value_counts_everything_in_it() {
    let one = std::mem::size_of::<Value>();
    let list = || vec![Value::Null, "abc".into()];
    let named = || vec![("name".to_owned(), Value::from("abc"))];
    for (value, size) in [
        (Value::Null, one),
        (Value::Date { milliseconds: 0.0, time_zone: 0 }, one),
        (Value::from("abc"), one + 3),
        (Value::ByteArray(vec![0; 5]), one + 5),
        (Value::Array(list()), 3 * one + 3),
        (Value::Object(Object { class: "ab".to_owned(), ..Object::plain(named()) }), 2 * one + 2 + 4 + 3),
        (Value::EcmaArray(EcmaArray { named: named(), dense: list() }), 4 * one + 4 + 3 + 3),
        (Value::Vector(Vector::Int { fixed: true, items: vec![0; 3] }), one + 12),
        (Value::Vector(Vector::Uint { fixed: true, items: vec![0; 3] }), one + 12),
        (Value::Vector(Vector::Double { fixed: true, items: vec![0.0; 3] }), one + 24),
        (Value::Vector(Vector::Object { fixed: true, class: "C".to_owned(), items: list() }), 3 * one + 3),
        (Value::Dictionary { weak_keys: false, entries: vec![("abc".into(), "de".into())] }, 3 * one + 5),
        (Value::Externalized { class: "ab".to_owned(), body: Box::new("abc".into()) }, 2 * one + 5),
    ] {
        assert_eq!(value.size(), size, "{value:?}");
    }
}

//! From ActionScript to Lua.

use mlua::{Lua, Result, Value as Lv};

use super::marks::{CLASS, EXACT, Marks};
use super::opaque::Opaque;
use introd_flash::amf::{Value, Vector};

/// Converts an argument for Lua.
pub(crate) fn to_lua(lua: &Lua, marks: &Marks, value: Value) -> Result<Lv> {
    match value {
        Value::Null | Value::Undefined => Ok(Lv::Nil),
        value => inner_to_lua(lua, marks, value),
    }
}

// The recursion is bounded: `amf::AmfLimits` bounds how deep decoded values are.
fn inner_to_lua(lua: &Lua, marks: &Marks, value: Value) -> Result<Lv> {
    Ok(match value {
        Value::Null => Lv::UserData(marks.null.clone()),
        Value::Undefined => Lv::UserData(marks.undefined.clone()),
        Value::Boolean(boolean) => Lv::Boolean(boolean),
        Value::Integer(number) => Lv::Integer(i64::from(number)),
        Value::Number(number) => number_to_lua(number),
        Value::String(text) => Lv::String(lua.create_string(text)?),
        Value::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(inner_to_lua(lua, marks, item)?)?;
            }
            table.set_metatable(Some(marks.array.clone()))?;
            Lv::Table(table)
        }
        Value::EcmaArray(array) => {
            let table = lua.create_table_with_capacity(array.dense.len(), array.named.len())?;
            for item in array.dense {
                table.raw_push(inner_to_lua(lua, marks, item)?)?;
            }
            for (name, value) in array.named {
                let value = inner_to_lua(lua, marks, value)?;
                // AMF0 has names for indices, too.
                match name.parse::<i64>().ok().filter(|index| *index == table.raw_len() as i64) {
                    Some(_) => table.raw_push(value)?,
                    None => table.raw_set(name, value)?,
                }
            }
            table.set_metatable(Some(marks.array.clone()))?;
            Lv::Table(table)
        }
        Value::Object(object) => {
            let table = lua.create_table_with_capacity(0, object.properties.len())?;
            for (name, value) in object.properties {
                table.raw_set(name, inner_to_lua(lua, marks, value)?)?;
            }
            if !object.class.is_empty() {
                let class = lua.create_table()?;
                class.raw_set(CLASS, object.class)?;
                table.set_metatable(Some(class))?;
            }
            Lv::Table(table)
        }
        opaque => Lv::UserData(lua.create_userdata(Opaque::new(lua, marks, opaque)?)?),
    })
}

/// An integer if the number is whole and below 2^53 in size, else a float.
pub(crate) fn number_to_lua(number: f64) -> Lv {
    let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
    // Minus zero is not an integer.
    if is_whole && !(number == 0.0 && number.is_sign_negative()) {
        Lv::Integer(number as i64)
    } else {
        Lv::Number(number)
    }
}

/// The contents of an opaque value as plain Lua values.
pub(super) fn plain(lua: &Lua, marks: &Marks, value: &Value) -> Result<Lv> {
    let items = match value {
        Value::Xml(text) | Value::XmlDocument(text) => return Ok(Lv::String(lua.create_string(text)?)),
        Value::ByteArray(bytes) => return Ok(Lv::String(lua.create_string(bytes)?)),
        Value::Date { milliseconds, .. } => return Ok(number_to_lua(*milliseconds)),
        Value::Externalized { body, .. } => return inner_to_lua(lua, marks, (**body).clone()),
        Value::Vector(Vector::Int { items, .. }) => items.iter().map(|item| Value::Integer(*item)).collect(),
        Value::Vector(Vector::Uint { items, .. }) => items.iter().map(|item| Value::Number(f64::from(*item))).collect(),
        Value::Vector(Vector::Double { items, .. }) => items.iter().map(|item| Value::Number(*item)).collect(),
        Value::Vector(Vector::Object { items, .. }) => items.clone(),
        Value::Dictionary { entries, .. } => {
            let table = lua.create_table()?;
            for (key, value) in entries {
                let key = inner_to_lua(lua, marks, key.clone())?;
                if !matches!(&key, Lv::Number(number) if number.is_nan()) {
                    table.raw_set(key, inner_to_lua(lua, marks, value.clone())?)?;
                }
            }
            return Ok(Lv::Table(table));
        }
        other => return inner_to_lua(lua, marks, other.clone()),
    };
    inner_to_lua(lua, marks, Value::Array(items))
}

//! Values of ActionScript and of Lua, both ways.
//!
//! | ActionScript | Lua |
//! |---|---|
//! | `null`, `undefined` as an argument or a result | `nil`; from Lua: `null` |
//! | `null`, `undefined` in an array or an object | `null`, `undefined`, two globals: a table cannot hold `nil` |
//! | Boolean | boolean |
//! | int, Number | integer if it is whole and below 2^53 in size, else float; from Lua: Number |
//! | String | string, which must be UTF-8 |
//! | Array | sequence; an empty one is written `Array{}`, because `{}` is an object |
//! | Array with named parts | table with both |
//! | Object | table with string keys; its class is kept |
//! | ByteArray, Date | made by `ByteArray(string)`, `Date(milliseconds)`; `.bytes`, `#`; `.time`, `.timeZone` |
//! | XML, Vector, Dictionary, externalized | kept as they are, to be handed on; `.type`, and `.value` in plain Lua |
//!
//! A Lua function, coroutine or object of the host has no counterpart and is an error, and so is an integer of 2^53 or more:
//! ActionScript would round it. The order of an object's properties is not kept; from Lua they go out sorted.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, Result, Table, Value as Lv};

use crate::engine::opaque::{Held, Opaque};
use introd_flash::amf::{EcmaArray, Limits, Object, Value, Vector};

/// Where whole numbers stop being exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The metatables and marks that values need in a machine.
#[derive(Clone)]
pub(crate) struct Marks {
    /// The metatable of tables that are arrays even when empty.
    pub(crate) array: Table,
    /// `null` in tables.
    pub(crate) null: AnyUserData,
    /// `undefined` in tables.
    pub(crate) undefined: AnyUserData,
    /// What opaque values use.
    pub(crate) held: Rc<Held>,
}

/// The field of a metatable that says which of the host's objects a table is.
const HOST: &str = "__host";
/// The field of a metatable that holds an object's class.
const CLASS: &str = "__class";

/// An argument for Lua.
pub(crate) fn to_lua(lua: &Lua, marks: &Marks, value: Value) -> Result<Lv> {
    match value {
        Value::Null | Value::Undefined => Ok(Lv::Nil),
        value => inner_to_lua(lua, marks, value),
    }
}

// Decoded values are not deep: `amf::Limits`.
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

fn number_to_lua(number: f64) -> Lv {
    let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
    // Minus zero is not an integer.
    if is_whole && !(number == 0.0 && number.is_sign_negative()) {
        Lv::Integer(number as i64)
    } else {
        Lv::Number(number)
    }
}

/// What an opaque value is in plain Lua.
pub(crate) fn plain(lua: &Lua, marks: &Marks, value: &Value) -> Result<Lv> {
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

/// A value for ActionScript.
///
/// # Errors
/// If it has no counterpart there, or is larger than one message may be.
pub(crate) fn from_lua(marks: &Marks, value: &Lv) -> Result<Value> {
    Writer::new(marks).value(value)
}

/// The same, for all values of one message.
///
/// # Errors
/// If one has no counterpart there, or all together are larger than one message may be.
pub(crate) fn all_from_lua<'a>(marks: &Marks, values: impl IntoIterator<Item = &'a Lv>) -> Result<Vec<Value>> {
    let mut writer = Writer::new(marks);
    values.into_iter().map(|value| writer.value(value)).collect()
}

struct Writer<'a> {
    marks: &'a Marks,
    depth: usize,
    elements: usize,
    bytes: usize,
}

fn no_counterpart(text: impl Into<String>) -> mlua::Error {
    mlua::Error::runtime(text.into())
}

impl<'a> Writer<'a> {
    fn new(marks: &'a Marks) -> Self {
        let Limits { depth, elements, bytes } = Limits::default();
        Self { marks, depth, elements, bytes }
    }

    fn value(&mut self, value: &Lv) -> Result<Value> {
        self.count()?;
        match value {
            Lv::Nil => Ok(Value::Null),
            Lv::Boolean(boolean) => Ok(Value::Boolean(*boolean)),
            Lv::Integer(number) if number.unsigned_abs() < EXACT as u64 => Ok(Value::Number(*number as f64)),
            Lv::Integer(number) => Err(no_counterpart(format!("{number} is too large for an ActionScript number"))),
            Lv::Number(number) => Ok(Value::Number(*number)),
            Lv::String(text) => Ok(Value::String(self.text(&text.as_bytes())?)),
            Lv::Table(table) => self.nested(table),
            Lv::UserData(data) if *data == self.marks.null => Ok(Value::Null),
            Lv::UserData(data) if *data == self.marks.undefined => Ok(Value::Undefined),
            Lv::UserData(data) if data.is::<Opaque>() => {
                let opaque = data.borrow::<Opaque>()?;
                self.charge(&opaque.value)?;
                Ok(opaque.value.clone())
            }
            other => Err(no_counterpart(format!("a {} has no counterpart in ActionScript", other.type_name()))),
        }
    }

    fn count(&mut self) -> Result<()> {
        self.elements =
            self.elements.checked_sub(1).ok_or_else(|| no_counterpart("too many values for one message"))?;
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or_else(|| no_counterpart("too much text, or too many bytes, for one message"))?;
        Ok(())
    }

    /// Counts what is in a value that is about to be copied: one that stands in a table a thousand times is as large as a thousand.
    fn charge(&mut self, value: &Value) -> Result<()> {
        value.walk(&mut |bytes| {
            self.count()?;
            self.take(bytes)
        })
    }

    fn text(&mut self, bytes: &[u8]) -> Result<String> {
        self.take(bytes.len())?;
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned)
            .map_err(|_| no_counterpart("this string is not UTF-8 text; send it as ByteArray(string)"))
    }

    fn nested(&mut self, table: &Table) -> Result<Value> {
        self.depth =
            self.depth.checked_sub(1).ok_or_else(|| no_counterpart("tables nested too deeply, or in themselves"))?;
        let value = self.table(table)?;
        self.depth += 1;
        Ok(value)
    }

    fn table(&mut self, table: &Table) -> Result<Value> {
        let metatable = table.metatable();
        let is_array = metatable.as_ref() == Some(&self.marks.array);
        let host = |meta: &Table| meta.raw_get::<Option<String>>(HOST);
        if let Some(kind) = metatable.as_ref().map(host).transpose()?.flatten() {
            return Err(no_counterpart(format!("a {kind} has no counterpart in ActionScript")));
        }
        let class: Option<String> = metatable.map(|class| class.raw_get(CLASS)).transpose()?.flatten();
        self.take(class.as_ref().map_or(0, String::len))?;
        let len = table.raw_len();
        let (mut dense, mut named) = (Vec::new(), Vec::new());
        for index in 1..=len {
            dense.push(self.value(&table.raw_get::<Lv>(index)?)?);
        }
        for pair in table.pairs::<Lv, Lv>() {
            let (key, value) = pair?;
            let name = match key {
                Lv::Integer(index) if index >= 1 && index <= len as i64 => continue,
                Lv::Integer(index) => index.to_string(),
                Lv::String(name) => self.text(&name.as_bytes())?,
                other => {
                    let kind = other.type_name();
                    return Err(no_counterpart(format!("a {kind} as a key has no counterpart in ActionScript")));
                }
            };
            named.push((name, self.value(&value)?));
        }
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        if named.is_empty() && (is_array || !dense.is_empty()) && class.is_none() {
            return Ok(Value::Array(dense));
        }
        if dense.is_empty() && !is_array {
            let class = class.unwrap_or_default();
            return Ok(Value::Object(Object { class, sealed: 0, dynamic: true, properties: named }));
        }
        Ok(Value::EcmaArray(EcmaArray { named, dense }))
    }
}

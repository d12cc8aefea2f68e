//! From JSON to Lua.

use std::cell::{Cell, RefCell};
use std::fmt;

use mlua::{Error, Lua, LuaString, Result, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{CHECK_EVERY, MAX_DEPTH};
use crate::engine::values::number_to_lua;
use crate::engine::vm_context::VmContext;

/// The value that a JSON text describes. It is built in the VM at once, so that all of its memory counts as the script's. If an object
/// has a name twice, the last one counts.
///
/// # Errors
/// If the text is not JSON, with line and column (in bytes, from 1); if it is nested too deeply; if the script has no time or memory
/// left.
pub(crate) fn decode(lua: &Lua, context: &VmContext, text: &[u8]) -> Result<Value> {
    context.begin(text.len())?;
    // Some programs write a byte order mark, which RFC 8259 (section 8.1) permits to ignore.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let decoder =
        Decoder { lua, context, depth: Cell::new(0), until_check: Cell::new(CHECK_EVERY), failure: RefCell::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let outcome = Part(&decoder).deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    match outcome {
        Ok(value) => Ok(value),
        Err(error) => {
            let failure = decoder.failure.take();
            Err(failure.unwrap_or_else(|| Error::runtime(format!("this text is not JSON: {error}"))))
        }
    }
}

/// What all parts of one text share.
struct Decoder<'a> {
    lua: &'a Lua,
    context: &'a VmContext,
    depth: Cell<usize>,
    until_check: Cell<u32>,
    /// What has gone wrong in the VM: serde's errors are texts, and would lose that a script's time is over.
    failure: RefCell<Option<Error>>,
}

impl Decoder<'_> {
    /// Keeps an error of the VM, and gives serde one that stands for it.
    fn checked<T, E: serde::de::Error>(&self, result: Result<T>) -> std::result::Result<T, E> {
        result.map_err(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            E::custom("failed")
        })
    }

    fn step(&self) -> Result<()> {
        match self.until_check.get() {
            0 => {
                self.until_check.set(CHECK_EVERY);
                self.context.on_time()
            }
            left => {
                self.until_check.set(left - 1);
                Ok(())
            }
        }
    }

    /// A table for an array or object, one level deeper.
    fn open<E: serde::de::Error>(&self) -> std::result::Result<Table, E> {
        if self.depth.get() == MAX_DEPTH {
            return Err(E::custom(format!("arrays and objects may be nested {MAX_DEPTH} deep")));
        }
        self.depth.set(self.depth.get() + 1);
        self.checked(self.lua.create_table())
    }

    fn close(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    fn string<E: serde::de::Error>(&self, text: &str) -> std::result::Result<LuaString, E> {
        self.checked(self.lua.create_string(text))
    }
}

/// A value within the text.
struct Part<'a>(&'a Decoder<'a>);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        self.0.checked(self.0.step())?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::UserData(self.0.context.marks.null.clone()))
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(number_to_lua(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(self.0.string(value)?))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let Self(decoder) = self;
        let (table, mut index) = (decoder.open()?, 0_usize);
        while let Some(item) = items.next_element_seed(Part(decoder))? {
            index += 1;
            decoder.checked(table.raw_seti(index, item))?;
        }
        decoder.checked(table.set_metatable(Some(decoder.context.marks.array.clone())))?;
        decoder.close();
        Ok(Value::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<Value, A::Error> {
        let Self(decoder) = self;
        let table = decoder.open()?;
        while let Some(name) = fields.next_key_seed(Name(decoder))? {
            let value = fields.next_value_seed(Part(decoder))?;
            decoder.checked(table.raw_set(name, value))?;
        }
        decoder.close();
        Ok(Value::Table(table))
    }
}

/// The name of a field.
struct Name<'a>(&'a Decoder<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = LuaString;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<LuaString, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = LuaString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<LuaString, E> {
        self.0.string(value)
    }
}

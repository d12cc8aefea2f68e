//! A value of ActionScript that Lua has no type for, held for the script.

use mlua::{Lua, Result};

use super::marks::Marks;
use introd_flash::amf::Value;

/// A byte array, a date, or a value that scripts can only pass on.
pub(crate) struct Opaque {
    pub(crate) value: Value,
    pub(super) marks: Marks,
    /// How many bytes it takes beside those that Lua knows of.
    bytes: usize,
}

impl Drop for Opaque {
    fn drop(&mut self) {
        self.marks.host_memory.give_back(self.bytes);
    }
}

impl Opaque {
    /// # Errors
    /// If the script has no memory left for it.
    pub(crate) fn new(lua: &Lua, marks: &Marks, value: Value) -> Result<Self> {
        let bytes = value.size();
        marks.host_memory.take(lua, bytes)?;
        Ok(Self { value, marks: marks.clone(), bytes })
    }

    /// The name of its type in ActionScript.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::ByteArray(_) => "ByteArray",
            Value::Date { .. } => "Date",
            Value::Xml(_) => "XML",
            Value::XmlDocument(_) => "XMLDocument",
            Value::Vector(_) => "Vector",
            Value::Dictionary { .. } => "Dictionary",
            Value::Externalized { .. } => "externalized",
            _ => "value",
        }
    }
}

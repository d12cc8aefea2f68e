//! Values of ActionScript that Lua has no type for.

use std::cell::Cell;

use mlua::{Lua, LuaString, MetaMethod, Result, UserData, UserDataFields, UserDataMethods, Value as Lv};

use crate::engine::values::{self, Marks};
use introd_flash::amf::Value;

/// A byte array, a date, or something that is only handed on.
pub(crate) struct Opaque {
    pub(crate) value: Value,
    marks: Marks,
    /// Bytes beside those that Lua knows of.
    bytes: usize,
}

/// The memory of a VM that Lua does not know of: opaque values, and patterns in use.
pub(crate) struct Held {
    bytes: Cell<usize>,
    /// So much may that and Lua's own be together.
    most: usize,
}

impl Held {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: Cell::new(0), most }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Takes so much, if the script's memory has room for it, until [`Self::give_back`].
    ///
    /// # Errors
    /// If it has not.
    pub(crate) fn take(&self, lua: &Lua, bytes: usize) -> Result<()> {
        if !self.has_room(lua, bytes) {
            // What nobody has any more is known when Lua has looked.
            lua.gc_collect()?;
            if !self.has_room(lua, bytes) {
                return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
            }
        }
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    fn has_room(&self, lua: &Lua, bytes: usize) -> bool {
        self.bytes.get().saturating_add(lua.used_memory()).saturating_add(bytes) <= self.most
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        self.marks.held.give_back(self.bytes);
    }
}

impl Opaque {
    /// # Errors
    /// If the script has no memory left for it.
    pub(crate) fn new(lua: &Lua, marks: &Marks, value: Value) -> Result<Self> {
        let bytes = value.size();
        marks.held.take(lua, bytes)?;
        Ok(Self { value, marks: marks.clone(), bytes })
    }

    fn kind(&self) -> &'static str {
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

impl UserData for Opaque {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("type", |_, this| Ok(this.kind()));
        fields.add_field_method_get("value", |lua, this| values::plain(lua, &this.marks, &this.value));
        fields.add_field_method_get("bytes", |lua, this| match &this.value {
            Value::ByteArray(_) => values::plain(lua, &this.marks, &this.value),
            _ => Ok(Lv::Nil),
        });
        fields.add_field_method_get("time", |lua, this| match &this.value {
            Value::Date { .. } => values::plain(lua, &this.marks, &this.value),
            _ => Ok(Lv::Nil),
        });
        fields.add_field_method_get("timeZone", |_, this| match &this.value {
            Value::Date { time_zone, .. } => Ok(Some(*time_zone)),
            _ => Ok(None),
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Len, |_, this, ()| match &this.value {
            Value::ByteArray(bytes) => Ok(bytes.len()),
            _ => Err(mlua::Error::runtime(format!("a {} has no length", this.kind()))),
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| -> Result<LuaString> {
            match &this.value {
                Value::ByteArray(bytes) => lua.create_string(bytes),
                Value::Xml(text) | Value::XmlDocument(text) => lua.create_string(text),
                Value::Date { milliseconds, .. } => lua.create_string(format!("Date({milliseconds})")),
                _ => lua.create_string(this.kind()),
            }
        });
        methods.add_meta_function(MetaMethod::Eq, |_, (left, right): (Lv, Lv)| match (left, right) {
            (Lv::UserData(left), Lv::UserData(right)) if left.is::<Opaque>() && right.is::<Opaque>() => {
                Ok(left.borrow::<Opaque>()?.value == right.borrow::<Opaque>()?.value)
            }
            _ => Ok(false),
        });
    }
}

/// `null` and `undefined` in tables: each is one object.
pub(crate) struct Nothing(pub(crate) &'static str);

impl UserData for Nothing {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0));
    }
}

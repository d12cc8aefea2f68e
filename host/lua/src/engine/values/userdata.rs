//! What a script can do with a value that Lua has no type for.

use mlua::{LuaString, MetaMethod, Result, UserData, UserDataFields, UserDataMethods, Value as Lv};

use super::opaque::Opaque;
use super::to_lua::plain;
use introd_flash::amf::Value;

impl UserData for Opaque {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("type", |_, this| Ok(this.kind()));
        fields.add_field_method_get("value", |lua, this| plain(lua, &this.marks, &this.value));
        fields.add_field_method_get("bytes", |lua, this| match &this.value {
            Value::ByteArray(_) => plain(lua, &this.marks, &this.value),
            _ => Ok(Lv::Nil),
        });
        fields.add_field_method_get("time", |lua, this| match &this.value {
            Value::Date { .. } => plain(lua, &this.marks, &this.value),
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

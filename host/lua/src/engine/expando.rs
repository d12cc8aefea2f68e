//! Objects of the host that take fields of the script's own, as ActionScript's do.

use mlua::{AnyUserData, Lua, MetaMethod, Result, UserData, UserDataMethods, Value};

/// An object with properties that the host knows, and others that the script makes up.
pub(crate) trait Expando: UserData + 'static {
    /// The name of the kind in error messages.
    const KIND: &'static str;
    /// The properties that cannot be set.
    const PROPERTIES: &'static [&'static str];

    /// The value of a property or method of the host's.
    fn property(&self, lua: &Lua, name: &str) -> Result<Option<Value>>;

    /// Whether the script may set a field to that value now.
    fn check(&self, _name: &str, _value: &Value) -> Result<()> {
        Ok(())
    }
}

/// Gives the objects of a kind their metamethods.
pub(crate) fn add_methods<T: Expando, M: UserDataMethods<T>>(methods: &mut M) {
    methods.add_meta_function(MetaMethod::Index, |lua, (this, key): (AnyUserData, Value)| index::<T>(lua, &this, key));
    methods.add_meta_function(MetaMethod::NewIndex, |lua, (this, key, value): (AnyUserData, Value, Value)| {
        if let Value::String(name) = &key
            && let Some(name) = T::PROPERTIES.iter().find(|known| *name.as_bytes() == *known.as_bytes())
        {
            return Err(mlua::Error::runtime(format!("{} of a {} cannot be set", name, T::KIND)));
        }
        // Checks the type, too: the metamethod could be called with any object.
        let object = this.borrow::<T>()?;
        if let Value::String(name) = &key {
            object.check(&name.to_string_lossy(), &value)?;
        }
        drop(object);
        match this.user_value::<Value>()? {
            Value::Table(fields) => fields.raw_set(key, value),
            _ => {
                let fields = lua.create_table()?;
                fields.raw_set(key, value)?;
                this.set_user_value(fields)
            }
        }
    });
    methods.add_meta_function(MetaMethod::ToString, |_, this: AnyUserData| {
        drop(this.borrow::<T>()?);
        Ok(T::KIND)
    });
}

fn index<T: Expando>(lua: &Lua, this: &AnyUserData, key: Value) -> Result<Value> {
    let object = this.borrow::<T>()?;
    let own = field(this, &key)?;
    if own != Value::Nil {
        return Ok(own);
    }
    let Value::String(name) = key else { return Ok(Value::Nil) };
    Ok(object.property(lua, &name.to_string_lossy())?.unwrap_or_default())
}

/// The same, by its name.
pub(crate) fn field_named(this: &AnyUserData, name: &str) -> Result<Value> {
    match this.user_value::<Value>()? {
        Value::Table(fields) => fields.raw_get(name),
        _ => Ok(Value::Nil),
    }
}

/// A field that the script has set on the object itself.
pub(crate) fn field(this: &AnyUserData, key: &Value) -> Result<Value> {
    match this.user_value::<Value>()? {
        Value::Table(fields) => fields.raw_get(key),
        _ => Ok(Value::Nil),
    }
}

//! The marks of values that plain Lua cannot tell apart.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, MetaMethod, Result, Table, UserData, UserDataMethods};

use crate::engine::host_memory::HostMemory;

/// Where whole numbers stop being exact in a double.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// The field of a metatable that names the kind of a host object.
pub(crate) const HOST: &str = "__host";

/// The field of a metatable that holds an object's class.
pub(super) const CLASS: &str = "__class";

/// The metatables and marks that values need in a VM.
#[derive(Clone)]
pub(crate) struct Marks {
    /// The metatable of tables that are arrays even when empty.
    pub(crate) array: Table,
    /// `null` in tables.
    pub(crate) null: AnyUserData,
    /// `undefined` in tables.
    pub(crate) undefined: AnyUserData,
    pub(crate) host_memory: Rc<HostMemory>,
}

impl Marks {
    /// Marks for a VM whose script may use so many bytes.
    pub(crate) fn new(lua: &Lua, memory: usize) -> Result<Self> {
        let marks = Self {
            array: lua.create_table()?,
            null: lua.create_userdata(Nothing("null"))?,
            undefined: lua.create_userdata(Nothing("undefined"))?,
            host_memory: Rc::new(HostMemory::new(memory)),
        };
        // A script that could give it a finalizer would give one to every table that is made with it.
        marks.array.raw_set("__metatable", false)?;
        Ok(marks)
    }
}

/// `null` and `undefined` in tables: each is one object.
struct Nothing(&'static str);

impl UserData for Nothing {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0));
    }
}

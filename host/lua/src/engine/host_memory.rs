//! The memory of a VM that Lua does not know of: values that Lua has no type for, and patterns in use. It counts as the script's.

use std::cell::Cell;

use mlua::{Lua, Result};

/// The bytes that the host holds for the values and patterns of a VM.
pub(crate) struct HostMemory {
    bytes: Cell<usize>,
    /// How many bytes these and Lua's own memory may take together.
    limit: usize,
}

impl HostMemory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Cell::new(0), limit }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Counts so many bytes as the script's, until [`Self::give_back`].
    ///
    /// # Errors
    /// If the script's memory has no room for them.
    pub(crate) fn take(&self, lua: &Lua, bytes: usize) -> Result<()> {
        if !self.has_room(lua, bytes) {
            // Lua knows what is no longer needed only after a collection.
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
        self.bytes.get().saturating_add(lua.used_memory()).saturating_add(bytes) <= self.limit
    }
}

//! The memory of a VM that Lua does not know of: values that Lua has no type for, and patterns in use. It counts as the script's.

use std::cell::Cell;
use std::rc::Rc;

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

/// Bytes that count as the script's as long as this value lives: those of a result that the host is building.
pub(crate) struct Held {
    host_memory: Rc<HostMemory>,
    bytes: usize,
}

impl Held {
    /// Counts nothing yet.
    pub(crate) fn new(host_memory: &Rc<HostMemory>) -> Self {
        Self { host_memory: Rc::clone(host_memory), bytes: 0 }
    }

    /// Counts so many bytes in all, if these are more than before.
    ///
    /// # Errors
    /// If the script's memory has no room for them.
    pub(crate) fn grow_to(&mut self, lua: &Lua, bytes: usize) -> Result<()> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.host_memory.take(lua, more)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.host_memory.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let (lua, memory) = (Lua::new(), Rc::new(HostMemory::new(64 << 20)));
        let mut held = Held::new(&memory);
        held.grow_to(&lua, 1000).unwrap();
        held.grow_to(&lua, 10).unwrap();
        assert_eq!(memory.bytes(), 1000, "it does not shrink");
        assert!(held.grow_to(&lua, 64 << 20).is_err() && memory.bytes() == 1000);
        held.grow_to(&lua, 5000).unwrap();
        assert_eq!(memory.bytes(), 5000);
        drop(held);
        assert_eq!(memory.bytes(), 0);
    }
}

//! A pattern whose memory counts as the script's.

use std::rc::Rc;

use mlua::Lua;

use super::compile::{Item, Pattern};
use crate::engine::host_memory::HostMemory;
use crate::engine::limits::Budget;

/// The time and the memory that a script may use for its patterns.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) budget: Rc<Budget>,
    pub(crate) host_memory: Rc<HostMemory>,
}

/// A parsed pattern.
pub(super) struct Counted {
    pub(super) pattern: Pattern,
    bytes: usize,
    host_memory: Rc<HostMemory>,
}

impl Counted {
    /// Parses a pattern. `anchors` says whether `^` at the beginning is an anchor.
    pub(super) fn new(lua: &Lua, bounds: &Bounds, text: &[u8], anchors: bool) -> mlua::Result<Self> {
        // Each item stands for at least one byte of the text.
        let bytes = text.len().saturating_mul(size_of::<Item>());
        let host_memory = Rc::clone(&bounds.host_memory);
        host_memory.take(lua, bytes)?;
        // From here on, dropping it gives the memory back.
        let mut counted = Self { pattern: Pattern::default(), bytes, host_memory };
        counted.pattern = Pattern::new(text, anchors).map_err(mlua::Error::runtime)?;
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.host_memory.give_back(self.bytes);
    }
}

//! What the host's functions in one VM share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{Lua, Result};

use super::failure::Failure;
use super::limits::Budget;
use super::loading::Sources;
use super::values::Marks;

/// What one VM has beside Lua's own state.
pub(crate) struct VmContext {
    pub(crate) budget: Rc<Budget>,
    pub(crate) sources: Sources,
    pub(crate) marks: Marks,
    /// The error that ended the last handler.
    pub(crate) failure: RefCell<Option<Failure>>,
    /// Whether as many handlers wait as may.
    pub(crate) is_crowded: Cell<bool>,
}

impl VmContext {
    pub(crate) fn new(lua: &Lua, budget: Budget, sources: Sources) -> Result<Self> {
        Ok(Self {
            marks: Marks::new(lua, budget.memory())?,
            budget: Rc::new(budget),
            sources,
            failure: RefCell::default(),
            is_crowded: Cell::new(false),
        })
    }
}

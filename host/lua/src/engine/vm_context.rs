//! What the host's functions in one VM share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{Error, Lua, Result};

use super::failure::Failure;
use super::host_memory::Held;
use super::limits::Budget;
use super::loading::Sources;
use super::values::Marks;

/// The longest text that a function of the host works on in one go: some tenths of a second, at most.
const MAX_TEXT: usize = 64 << 20;

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

    /// # Errors
    /// If the time of the handler that runs is over.
    pub(crate) fn on_time(&self) -> Result<()> {
        if self.budget.is_over() { Err(self.budget.error()) } else { Ok(()) }
    }

    /// Memory for a result that the host is about to build for the script.
    pub(crate) fn held(&self) -> Held {
        Held::new(&self.marks.host_memory)
    }

    /// Checks, before the host begins to work on a text of the script or for it, that there is time, and that the work ends soon: no
    /// limit can interrupt it within a text.
    ///
    /// # Errors
    /// If the handler's time is over, or the text is too long.
    pub(crate) fn begin(&self, bytes: usize) -> Result<()> {
        self.on_time()?;
        if bytes > MAX_TEXT {
            return Err(Error::runtime(format!("this text has {bytes} bytes: more than {MAX_TEXT} are not worked on")));
        }
        Ok(())
    }
}

//! What a script may use: time for each handler, and memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, Result, VmState};

/// How many instructions pass between two looks at the clock. Each may be a call that copies a string as long as the memory
/// allows, some milliseconds; looking more often would cost scripts that compute more than a tenth of their speed.
const INSTRUCTIONS: u32 = 250;

/// The time that the handler which runs now has left, and what the machine may use.
///
/// The clock is looked at for the first time when the handler has gone on for some instructions, or does something that may
/// take long: most handlers have ended by then, and to look costs as much as they do.
pub(super) struct Budget {
    time: Cell<Option<Duration>>,
    memory: Cell<usize>,
    /// How long the handler had run before it waited.
    used: Cell<Duration>,
    /// Since when it runs, as far as anybody has looked.
    started: Cell<Option<Instant>>,
    is_over: Cell<bool>,
}

impl Budget {
    /// A budget of so much time for each handler (`None`: any), and so many bytes.
    pub(super) fn new(time: Option<Duration>, memory: usize) -> Self {
        Self {
            time: Cell::new(time),
            memory: Cell::new(memory),
            used: Cell::default(),
            started: Cell::new(None),
            is_over: Cell::new(false),
        }
    }

    /// Bytes that the script may have.
    pub(super) fn memory(&self) -> usize {
        self.memory.get()
    }

    /// A handler that has used that much already goes on.
    pub(super) fn start(&self, used: Duration) {
        self.used.set(used);
        self.started.set(None);
        self.is_over.set(false);
    }

    /// It ends or waits. Gives back how long it ran, and whether it ran too long.
    pub(super) fn stop(&self) -> (Duration, bool) {
        let ran = self.started.take().map(|started| started.elapsed()).unwrap_or_default();
        (ran, self.is_over.replace(false))
    }

    /// Whether the handler's time is over. Once it is, it stays so until the handler ends.
    pub(super) fn is_over(&self) -> bool {
        if !self.is_over.get()
            && let Some(time) = self.time.get()
        {
            let now = Instant::now();
            let started = self.started.get().unwrap_or(now);
            self.started.set(Some(started));
            self.is_over.set(self.used.get() + (now - started) >= time);
        }
        self.is_over.get()
    }

    /// What the handler is ended with.
    pub(super) fn error(&self) -> mlua::Error {
        let time = self.time.get().unwrap_or_default();
        mlua::Error::runtime(format!("this handler has run longer than {time:?}, which is all it may"))
    }

    /// Makes the machine keep to the budget.
    pub(super) fn install(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        lua.set_memory_limit(self.memory.get())?;
        self.arm(lua, INSTRUCTIONS)
    }

    /// Has the clock looked at every so many instructions, in the coroutine that runs and in those that come.
    fn arm(self: &Rc<Self>, lua: &Lua, instructions: u32) -> Result<()> {
        let budget = Rc::clone(self);
        let every = HookTriggers::new().every_nth_instruction(instructions);
        lua.set_global_hook(every, move |lua, _| {
            if budget.is_over() {
                // What catches the error gets one instruction further, not hundreds.
                budget.arm(lua, 1)?;
                return Err(budget.error());
            }
            if instructions == 1 {
                budget.arm(lua, INSTRUCTIONS)?;
            }
            Ok(VmState::Continue)
        })
    }
}

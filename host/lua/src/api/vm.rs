//! One machine: a script with its handlers, those that run and those that wait.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use mlua::state::{GcGenParams, GcMode};
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, MultiValue, Result, StdLib, Table, Thread, Value};

use crate::api::lookup_event::Facts;
use crate::api::natives;
use crate::api::state::State;
use crate::engine::failure::Failure;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;
use crate::engine::memory::Meter;
use crate::engine::opaque::{Held, Nothing};
use crate::engine::values::Marks;
use crate::instance::roster::Member;
use crate::instance::world::World;

/// The most handlers that wait at a time.
const MAX_WAITING: usize = 16_384;
/// The most coroutines that are kept for the next handlers.
const MAX_IDLE: usize = 64;

/// What is best said in Lua; run in each new machine before the script.
const PRELUDE: [&str; 3] = [
    include_str!("../engine/prelude/handlers.lua"),
    include_str!("../engine/prelude/standard.lua"),
    include_str!("prelude.lua"),
];

/// A machine.
pub(crate) struct Vm {
    // Declared before the machine that their values belong to, so that they go first.
    waiting: RefCell<HashMap<u64, Task>>,
    /// Coroutines that have served a handler and can serve another.
    idle: RefCell<Vec<Thread>>,
    serve: Function,
    look_up: Function,
    call_result: Function,
    /// What a handler that waits is given when it is to end.
    close: Table,
    wait: Table,
    /// When this many bytes are in use after a handler, what is no longer needed is given back.
    collect_at: Cell<usize>,
    /// The most bytes that have been in use; and the same since the world was last told of some that were freed.
    most: Cell<usize>,
    peak: Cell<usize>,
    pub(crate) state: Rc<State>,
    pub(crate) lua: Lua,
    /// Goes after the machine: until then its memory is in use.
    meter: Meter,
}

/// A handler on its way.
pub(crate) struct Task {
    thread: Thread,
    /// `None` for one that the prelude calls.
    handler: Option<Function>,
    /// What it was called for.
    pub(crate) purpose: Purpose,
    /// How long it has run so far.
    used: Duration,
}

/// What a handler was called for: that decides what becomes of its results.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// `onConnect` of that client.
    Connect(Rc<Member>),
    /// `onPeerLookup` for the question of that number.
    Lookup(u64),
    /// A method that a client calls; the number of the question, if it wants an answer.
    Call(String, Option<u64>),
    /// A timer.
    Timer(u64),
    /// Something whose results mean nothing.
    Other(&'static str),
}

/// How far a handler got.
pub(crate) enum Progress {
    /// It waits for something.
    Waits,
    /// It has ended.
    Ended(Purpose, std::result::Result<MultiValue, Failure>),
}

impl Vm {
    /// Makes a machine and loads a script into it, which runs through its outermost part and cannot do anything yet.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub(crate) fn load(world: &Rc<World>, folder: &Path) -> std::result::Result<Self, Failure> {
        let settings = world.settings();
        let budget = Rc::new(Budget::new(settings.script.time, settings.script.memory));
        let sources = Sources::new(folder, &settings.script.library);
        let vm = Self::new(world, budget, sources).map_err(|error| Failure::from(&error))?;
        let main = vm.state.sources.main(&vm.lua).map_err(|error| Failure::from(&error))?;
        vm.run_now(&main)?;
        Ok(vm)
    }

    /// A machine without a script.
    pub(crate) fn new(world: &Rc<World>, budget: Rc<Budget>, sources: Sources) -> Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
        // So that Lua's own pcall stays: a handler can wait inside it, but not inside mlua's.
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true))?;
        // Most of what handlers make is gone with them.
        lua.gc_set_mode(GcMode::Generational(GcGenParams::default()));
        let marks = Marks {
            array: lua.create_table()?,
            null: lua.create_userdata(Nothing("null"))?,
            undefined: lua.create_userdata(Nothing("undefined"))?,
            held: Rc::new(Held::new(budget.memory())),
        };
        // Whoever could give it a finalizer would give one to everything that is made with it.
        marks.array.raw_set("__metatable", false)?;
        let state = Rc::new(State::new(&lua, world, Rc::clone(&budget), sources, marks)?);
        let close = lua.create_table()?;
        let wait = lua.create_table()?;
        let native = natives::install(&lua, &state)?;
        for part in PRELUDE {
            let given = (&native, &state.application, &state.prototype, &state.methods, &wait, &close);
            lua.load(part).set_name("=introd").call::<()>(given)?;
        }
        let (serve, look_up) = (native.get("serve")?, native.get("call_on_peer_lookup")?);
        let call_result = native.get("call_result")?;
        state.set_prelude(native.get("make_client")?);
        budget.install(&lua)?;
        let collect_at = Cell::new(state.budget.memory() / 2);
        Ok(Self {
            waiting: RefCell::default(),
            idle: RefCell::default(),
            serve,
            look_up,
            call_result,
            close,
            wait,
            collect_at,
            most: Cell::new(0),
            peak: Cell::new(0),
            state,
            lua,
            meter: world.memory.meter(),
        })
    }

    /// Runs a chunk that may not wait.
    pub(crate) fn run_now(&self, chunk: &Function) -> std::result::Result<MultiValue, Failure> {
        let progress = self.start(Purpose::Other("the script itself"), chunk, MultiValue::new());
        match progress {
            Progress::Ended(_, result) => result,
            // What could be waited for is not available before the start.
            Progress::Waits => Err(Failure { message: "a script cannot wait here".to_owned(), ..Failure::default() }),
        }
    }

    /// Calls a handler.
    pub(crate) fn start(&self, purpose: Purpose, handler: &Function, arguments: MultiValue) -> Progress {
        self.start_with(purpose, Some(handler.clone()), (handler, arguments))
    }

    /// Calls `onPeerLookup`, with the event for a question. It gives something back only if there is no such handler.
    pub(crate) fn look_up(&self, number: u64, facts: &Facts) -> Progress {
        let purpose = Purpose::Lookup(number);
        let target = facts.target.map(|target| self.state.peer_id(&self.lua, &target)).transpose();
        let made = target.and_then(|target| Ok((target, self.lua.create_string(&facts.tag)?)));
        match made {
            Ok((target, tag)) => facts.with_initiator(|initiator| {
                let application = facts.application.as_deref();
                let arguments =
                    (&self.look_up, number, target, initiator, tag, facts.interface, facts.asker, application);
                self.start_with(purpose, None, arguments)
            }),
            Err(error) => Progress::Ended(purpose, Err(Failure::from(&error))),
        }
    }

    /// Calls `onResult` or `onStatus` of an object that waits for a client's answer, if it has that.
    pub(crate) fn call_result(&self, object: Table, name: &str, results: MultiValue) -> Progress {
        let purpose = Purpose::Other("the result handler of a call");
        self.start_with(purpose, None, (&self.call_result, object, name, results))
    }

    fn start_with(&self, purpose: Purpose, handler: Option<Function>, arguments: impl IntoLuaMulti) -> Progress {
        let idle = self.idle.borrow_mut().pop();
        let thread = match idle.map_or_else(|| self.lua.create_thread(self.serve.clone()), Ok) {
            Ok(thread) => thread,
            Err(error) => return Progress::Ended(purpose, Err(Failure::from(&error))),
        };
        self.resume(Task { thread, handler, purpose, used: Duration::ZERO }, arguments)
    }

    /// Goes on with the handler that waits with this token. `None` if there is none.
    pub(crate) fn wake(&self, token: u64, results: MultiValue) -> Option<Progress> {
        let task = self.waiting.borrow_mut().remove(&token)?;
        self.state.is_crowded.set(false);
        Some(self.resume(task, results))
    }

    fn resume(&self, task: Task, arguments: impl IntoLuaMulti) -> Progress {
        let progress = self.go_on(task, arguments);
        self.tidy();
        progress
    }

    /// A handler that took much leaves it behind; Lua by itself would keep that until the script takes as much again.
    fn tidy(&self) {
        let mut used = self.lua.used_memory();
        if used > self.peak.get() {
            self.peak.set(used);
            self.most.set(self.most.get().max(used));
        }
        if used >= self.collect_at.get() {
            // An error could only come from a finalizer, and there are none.
            let _ = self.lua.gc_collect();
            used = self.lua.used_memory();
            self.collect_at.set((self.state.budget.memory() / 2).max(used.saturating_mul(3)));
        }
        self.meter.say(used + self.state.marks.held.bytes());
        if used < self.peak.get() / 2 {
            self.state.world.note_freed(self.peak.replace(used) - used);
        }
    }

    /// The most bytes that it has had at a time: so much may be left free in many small pieces when it ends.
    pub(crate) fn most(&self) -> usize {
        self.most.get()
    }

    fn go_on(&self, task: Task, arguments: impl IntoLuaMulti) -> Progress {
        let budget = &self.state.budget;
        self.state.failure.take();
        self.state.world.handler_begins();
        budget.start(task.used);
        let outcome = task.thread.resume::<(Value, MultiValue)>(arguments);
        let (ran, is_over) = budget.stop();
        let (first, results) = match outcome {
            Ok(results) => results,
            Err(error) => {
                let failure = self.state.failure.take().unwrap_or_else(|| Failure::from(&error));
                return Progress::Ended(task.purpose, Err(self.blamed(failure, is_over, task.handler.as_ref())));
            }
        };
        let is_ok = match first {
            // The handler has ended, and its coroutine waits for the next.
            Value::Boolean(is_ok) => {
                let mut idle = self.idle.borrow_mut();
                if idle.len() < MAX_IDLE {
                    idle.push(task.thread);
                }
                is_ok
            }
            // Its time was over where it stood; nobody goes on with it.
            _ if is_over => false,
            first => return self.suspend(Task { used: task.used + ran, ..task }, &first, results),
        };
        if is_ok && !is_over {
            return Progress::Ended(task.purpose, Ok(results));
        }
        let place = self.state.failure.take().or_else(|| budget.take_place());
        let failure = place.unwrap_or_else(|| match results.front() {
            Some(value) if !is_ok => Failure::of(value),
            _ => Failure::default(),
        });
        Progress::Ended(task.purpose, Err(self.blamed(failure, is_over, task.handler.as_ref())))
    }

    /// A failure with its place. If the handler's time is over that is what counts, whatever else went wrong.
    fn blamed(&self, failure: Failure, is_over: bool, handler: Option<&Function>) -> Failure {
        let failure = match handler {
            Some(handler) => failure.or_at(handler),
            None => failure,
        };
        if is_over {
            Failure { message: Failure::from(&self.state.budget.error()).message, ..failure }
        } else {
            failure
        }
    }

    fn suspend(&self, task: Task, first: &Value, mut results: MultiValue) -> Progress {
        let is_wait = matches!(first, Value::Table(mark) if *mark == self.wait);
        match results.pop_front() {
            Some(Value::Integer(token)) if is_wait => {
                let mut waiting = self.waiting.borrow_mut();
                waiting.insert(token.unsigned_abs(), task);
                self.state.is_crowded.set(waiting.len() >= MAX_WAITING);
                Progress::Waits
            }
            // The prelude lets nothing else out.
            _ => {
                self.close(&task, Duration::ZERO);
                let message = "a handler cannot yield to the host; to wait, use sleep".to_owned();
                Progress::Ended(task.purpose, Err(Failure { message, ..Failure::default() }))
            }
        }
    }

    /// Ends the handlers for a purpose that is no more. All together have the time of one handler to close their variables: the thread
    /// waits for them.
    pub(crate) fn cancel(&self, is_meant: impl Fn(&Purpose) -> bool) -> bool {
        let meant: Vec<Task> =
            self.waiting.borrow_mut().extract_if(|_, task| is_meant(&task.purpose)).map(|(_, task)| task).collect();
        let mut used = Duration::ZERO;
        for task in &meant {
            used += self.close(task, used);
        }
        !meant.is_empty()
    }

    /// Gives back how long that took. Of the time of a handler so much is used already.
    fn close(&self, task: &Task, used: Duration) -> Duration {
        let budget = &self.state.budget;
        self.state.world.handler_begins();
        budget.start(task.used.max(used));
        // Nothing is closed when the time is over. It is looked at here, so that it is counted from here.
        if !budget.is_over() {
            // Variables that are to be closed have their say, as long as they do not wait; what goes wrong there concerns nobody.
            let _ = task.thread.resume::<MultiValue>(&self.close);
        }
        budget.stop().0
    }

    /// How many handlers wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// A handler of the application, if the script has defined it.
    pub(crate) fn handler(&self, name: &str) -> Option<Function> {
        self.state.application.raw_get::<Value>(name).ok().and_then(as_function)
    }
}

/// The function that a value is.
pub(crate) fn as_function(value: Value) -> Option<Function> {
    match value {
        Value::Function(function) => Some(function),
        _ => None,
    }
}

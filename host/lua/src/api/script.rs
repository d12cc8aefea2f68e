//! A script in its VM.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use super::natives;
use super::state::ApiState;
use crate::engine::failure::Failure;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;
use crate::engine::vm::{Progress, Vm};
use crate::engine::vm_context::VmContext;
use crate::instance::Instance;
use crate::instance::roster::RosterMember;
use crate::libraries;

/// The parts of the API that are written in Lua.
const PRELUDE: &str = include_str!("prelude.lua");
const BANDWIDTH: &str = include_str!("bandwidth.lua");
const MISSING: &str = include_str!("missing.lua");

/// A script and its VM.
pub(crate) struct Script {
    look_up: Function,
    call_result: Function,
    // Dropped before the VM, to which their values belong.
    pub(crate) state: Rc<ApiState>,
    pub(crate) vm: Vm<Purpose>,
}

/// What a handler was called for: that decides what its results mean.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// `onAppStart`.
    Start,
    /// `onConnect` of that client.
    Connect(Rc<RosterMember>),
    /// `onPeerLookup` for the open request of the number in it, which changes when the same coroutine goes on to another.
    Lookup(Rc<Cell<u64>>),
    /// A method that a client calls; the number of the open request, if the client waits for an answer.
    Call(String, Option<u64>),
    /// `onPublish` of that client: the number of the open request, and of the publication.
    Publish { member: Rc<RosterMember>, number: u64, publication: u64 },
    /// A timer.
    Timer(u64),
    /// A file that `file.watch` watches has changed.
    Watch(u64),
    /// Something whose results mean nothing.
    Other(&'static str),
}

impl Script {
    /// Makes a VM and runs the outermost part of a script in it. The script cannot act on anything yet.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub(crate) fn load(instance: &Rc<Instance>, folder: &Path) -> std::result::Result<Self, Failure> {
        let settings = instance.settings();
        let budget = Budget::new(settings.script.time, settings.script.memory);
        let sources = Sources::new(folder, &settings.script.library);
        let script = Self::new(instance, budget, sources).map_err(|error| Failure::from(&error))?;
        let context = &script.vm.context;
        let main = context.sources.main(script.lua()).map_err(|error| Failure::from(&error))?;
        script.run_now(&main)?;
        Ok(script)
    }

    /// A VM with the host's functions and without a script.
    pub(crate) fn new(instance: &Rc<Instance>, budget: Budget, sources: Sources) -> Result<Self> {
        let context = |lua: &Lua| VmContext::new(lua, budget, sources);
        let (vm, native) = Vm::new(context, Rc::clone(&instance.handlers), instance.memory.meter())?;
        let state = Rc::new(ApiState::new(&vm.lua, instance, vm.context.marks.clone())?);
        natives::install(&vm.lua, &vm.context, &state, &native)?;
        libraries::install(&vm.lua, &vm.context, &state, &native)?;
        let prelude = vm.lua.load(PRELUDE).set_name("=introd");
        prelude.call::<()>((&native, &state.application, &state.prototype, &state.methods))?;
        vm.lua.load(BANDWIDTH).set_name("=introd").call::<()>((&native, &state.methods))?;
        vm.lua.load(MISSING).set_name("=introd").call::<()>((&native, &state.application))?;
        state.objects.set_prelude(native.get("make_client")?);
        vm.limit()?;
        Ok(Self { look_up: native.get("call_on_peer_lookup")?, call_result: native.get("call_result")?, state, vm })
    }

    pub(crate) fn lua(&self) -> &Lua {
        &self.vm.lua
    }

    /// Runs a chunk that may not wait.
    pub(crate) fn run_now(&self, chunk: &Function) -> std::result::Result<MultiValue, Failure> {
        self.vm.run_now(Purpose::Other("the script itself"), chunk)
    }

    /// Calls a handler.
    pub(crate) fn start(&self, purpose: Purpose, handler: &Function, arguments: MultiValue) -> Progress<Purpose> {
        self.vm.start(purpose, handler, arguments)
    }

    /// Resumes the handler that waits with this token. `None` if there is none.
    pub(crate) fn wake(&self, token: u64, results: MultiValue) -> Option<Progress<Purpose>> {
        self.vm.wake(token, results)
    }

    /// Ends the waiting handlers that have such a purpose. Gives back whether there were any.
    pub(crate) fn cancel(&self, is_meant: impl Fn(&Purpose) -> bool) -> bool {
        self.vm.cancel(is_meant)
    }

    pub(crate) fn take_freed(&self) -> usize {
        self.vm.take_freed()
    }

    pub(crate) fn max_used(&self) -> usize {
        self.vm.max_used()
    }

    /// Calls `onPeerLookup` with the event for the open request of that number, and for those that the host has next
    /// ([`Instance::next_lookup`]). There are results only if the script has no such handler.
    pub(crate) fn look_up(&self, number: u64) -> Progress<Purpose> {
        let about = self.state.lookups.begin(number);
        let progress = self.vm.start_with(Purpose::Lookup(about), None, &self.look_up);
        self.state.lookups.end();
        progress
    }

    /// Calls `onResult` or `onStatus` of an object that waits for a client's answer, if it has that.
    pub(crate) fn call_result(&self, object: Table, name: &str, results: MultiValue) -> Progress<Purpose> {
        let purpose = Purpose::Other("the result handler of a call");
        self.vm.start_with(purpose, None, (&self.call_result, object, name, results))
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

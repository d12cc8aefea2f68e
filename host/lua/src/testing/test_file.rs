//! A file of tests, loaded into a VM of its own.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, MultiValue, Table};

use super::output::Output;
use super::theatre::Theatre;
use super::{commands, settings, stage};
use crate::api::script::{Purpose, Script};
use crate::engine::failure::Failure;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;
use crate::engine::vm::Progress;
use crate::instance::Instance;
use introd_policy::registry::InMemory;

/// How much memory all tests of a file may use.
const MEMORY: usize = 256 << 20;

/// A file of tests, loaded.
pub(super) struct TestFile {
    script: Script,
    tests: Table,
    theatre: Rc<RefCell<Theatre>>,
    output: Rc<Output>,
}

/// A test with what comes before and after it.
pub(super) struct Test {
    pub(super) name: String,
    steps: Vec<Function>,
    cleanup: Vec<Function>,
}

impl TestFile {
    /// Loads a file of a folder. Each of its tests may run for so long.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn load(folder: &Path, name: &str, time: Duration) -> Result<Self, Failure> {
        let output = Rc::new(Output::default());
        let theatre = Rc::new(RefCell::new(Theatre::new(&output)));
        let instance = Instance::new(
            settings::instance_name(folder),
            Arc::new(settings::application()),
            Arc::new(stage::Recorder::default()),
            Arc::new(InMemory::default()),
            Arc::default(),
            Arc::default(),
            Instant::now(),
        )
        .with_listener(output.listener(""));
        let sources = Sources::new(folder, &[]);
        let made = Script::new(&Rc::new(instance), Budget::new(Some(time), MEMORY), sources).and_then(|script| {
            let lua = script.lua();
            let native = commands::natives(lua, &script.state, &theatre, folder)?;
            let tests = lua.create_table()?;
            let prelude = lua.load(include_str!("testing.lua")).set_name("=introd");
            prelude.call::<()>((native, &tests))?;
            let main = script.vm.context.sources.load(lua, name)?;
            Ok((script, tests, main))
        });
        let (script, tests, main) = made.map_err(|error| Failure::from(&error))?;
        script.run_now(&main)?;
        Ok(Self { script, tests, theatre, output })
    }

    /// Its tests, in their order.
    pub(super) fn tests(&self) -> Vec<Test> {
        let read = |test: Table| -> mlua::Result<Test> {
            Ok(Test { name: test.raw_get("name")?, steps: test.raw_get("steps")?, cleanup: test.raw_get("cleanup")? })
        };
        self.tests.sequence_values::<Table>().filter_map(|test| read(test.ok()?).ok()).collect()
    }

    /// Runs a test.
    ///
    /// # Errors
    /// Why it has failed.
    pub(super) fn run(&self, test: &Test) -> Result<(), Failure> {
        let mut result = test.steps.iter().try_for_each(|step| self.step(step));
        for step in &test.cleanup {
            result = result.and(self.step(step));
        }
        self.theatre.replace(Theatre::new(&self.output));
        result
    }

    /// What the last test, and the scripts that it has started, have printed.
    pub(super) fn take_output(&self) -> Vec<String> {
        self.output.take()
    }

    /// What the author of the scripts should know, each once.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.output.take_warnings()
    }

    fn step(&self, step: &Function) -> Result<(), Failure> {
        match self.script.start(Purpose::Other("test"), step, MultiValue::new()) {
            Progress::Ended(_, result) => result.map(drop),
            Progress::Waits => {
                Err(Failure { message: "a test cannot wait; advance the clock".to_owned(), ..Failure::default() })
            }
        }
    }
}

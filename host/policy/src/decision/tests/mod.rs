//! Decisions as tables: every order, every failure, every lateness, without a server.

mod connect;
mod join;
mod lookup;

use std::time::Duration;

use introd_config::{Fallback, LookupMode, Policy};

use super::DecidingApplication;
use crate::InstanceId;

const DEADLINE: Duration = Duration::from_secs(2);

/// An application as a test wants it.
#[derive(Clone, Debug, PartialEq)]
struct App {
    instance: Option<u16>,
    plugins: usize,
    has_script: bool,
    mode: LookupMode,
    on_failure: Fallback,
    on_deadline: Fallback,
}

impl App {
    /// Without policies.
    fn open(instance: u16) -> Self {
        Self {
            instance: Some(instance),
            plugins: 0,
            has_script: false,
            mode: LookupMode::None,
            on_failure: Fallback::Deny,
            on_deadline: Fallback::Ignore,
        }
    }

    fn plugins(self, plugins: usize) -> Self {
        Self { plugins, ..self }
    }

    /// With a script that gets lookups in that mode.
    fn script(self, mode: LookupMode) -> Self {
        Self { has_script: true, mode, ..self }
    }

    fn falling_back(self, on_failure: Fallback, on_deadline: Fallback) -> Self {
        Self { on_failure, on_deadline, ..self }
    }
}

impl DecidingApplication for App {
    fn instance(&self) -> Option<InstanceId> {
        self.instance.map(InstanceId)
    }

    fn plugins(&self) -> usize {
        self.plugins
    }

    fn has_script(&self) -> bool {
        self.has_script
    }

    fn lookup_mode(&self) -> LookupMode {
        self.mode
    }

    fn policy(&self) -> Policy {
        Policy { deadline: DEADLINE, on_deadline: self.on_deadline, on_failure: self.on_failure }
    }
}

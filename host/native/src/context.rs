//! What stands behind a host's table.

use std::sync::Arc;

use introd_plugin::abi::introd_host;

use super::host_state::HostState;
use super::metrics::OwnMetrics;
use super::timers::TimerOwner;

/// What stands behind the host's table of one instance. It is never freed: a plugin's thread may use the table at any time.
/// Few instances are made: at the start, and when the configuration has changed.
pub(super) struct Context {
    pub(super) state: Arc<HostState>,
    /// The number of the instance, which no other has ever had.
    pub(super) owner: u32,
    /// The plugin's name.
    pub(super) name: String,
    pub(super) metrics: OwnMetrics,
    pub(super) has_timers: bool,
    pub(super) timer_owner: TimerOwner,
}

impl Context {
    pub(super) fn new(state: Arc<HostState>, owner: u32, name: &str, has_timers: bool) -> Self {
        Self {
            state,
            owner,
            name: name.to_owned(),
            metrics: OwnMetrics::new(name),
            has_timers,
            timer_owner: TimerOwner::new(owner),
        }
    }

    /// What stands behind a table; `None` if the table belongs to no instance, or to one that has ended.
    ///
    /// # Safety
    /// `host` is null or a table that this server made.
    pub(super) unsafe fn of(host: *const introd_host) -> Option<&'static Self> {
        // SAFETY: the caller says so. Neither tables nor contexts are ever freed.
        let context = unsafe { host.as_ref()?.context.cast::<Self>().as_ref()? };
        (!context.is_over()).then_some(context)
    }

    pub(super) fn is_over(&self) -> bool {
        self.timer_owner.is_over()
    }

    /// Notes that the instance has ended: from now on its table does nothing.
    pub(super) fn end(&self) {
        self.timer_owner.end();
        self.state.timers.stop_all(self.owner);
    }
}

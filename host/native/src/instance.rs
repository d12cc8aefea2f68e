//! An instance of a plugin: how it is made, called and ended, and the calls that ask for a verdict.

mod group_registry;
mod handing_over;
mod notifications;
mod registry;
mod registry_servers;

pub use registry_servers::RegistryServer;

use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::introd_plugin::abi::{self, introd_answer, introd_host, introd_instance, introd_plugin};
use parking_lot::Mutex;

use self::handing_over::Postponed;
use super::account::{Account, Callback, FailureLog};
use super::answer::{Answer, PluginAnswer, Subject};
use super::context::Context;
use super::crash::{self, Stage};
use super::entry;
use super::events::{ConnectEvent, LookupEvent};
use super::host_state::{HostState, PendingVerdict};
use super::library::Library;
use super::load_error::LoadError;
use super::timers::TimedInstance;
use super::values::{error_name, raw_bytes};
use introd_config::XmlSettings;
use introd_policy::{RequestId, Verdict};

/// A callback on a worker's thread that takes longer is logged: at the usual rates, dozens of datagrams wait by then.
const SLOW: Duration = Duration::from_millis(10);

/// The number of the next instance.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);

/// An instance of a plugin.
pub struct PluginInstance {
    library: &'static Library,
    made: introd_instance,
    context: &'static Context,
    table: &'static introd_plugin,
    groups: Option<&'static abi::introd_plugin_groups>,
    registry: Option<abi::introd_plugin_registry>,
    group_registry: Option<&'static abi::introd_plugin_group_registry>,
    timer: Option<&'static abi::introd_plugin_timer>,
    account: Account,
    start: Instant,
    /// Whether it has panicked: it is not called any more.
    is_disabled: AtomicBool,
    is_over: AtomicBool,
    /// Whether another process has what it is a registry for: one that has taken over, or one that this process has not taken over from
    /// yet. It is not destroyed then, because it would say goodbye.
    is_anothers: AtomicBool,
    postponed: Mutex<Postponed>,
    failure_log: Mutex<FailureLog>,
}

// SAFETY: an instance's callbacks may be called from any thread, at the same time: the ABI demands it.
unsafe impl Send for PluginInstance {}
// SAFETY: as above.
unsafe impl Sync for PluginInstance {}

impl PluginInstance {
    /// Makes an instance of a library. Relative paths in the configuration are relative to `root`. `handed_over`: what a registry goes on
    /// with.
    pub(super) fn create(
        library: &'static Library,
        state: &Arc<HostState>,
        config: &XmlSettings,
        root: &Path,
        handed_over: &[u8],
    ) -> Result<Arc<Self>, LoadError> {
        let timer = library.extension::<abi::introd_plugin_timer>(abi::INTROD_EXT_TIMER);
        let owner = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let context = Context::new(Arc::clone(state), owner, library.name(), timer.is_some());
        let context: &'static Context = Box::leak(Box::new(context));
        let host: &'static introd_host = Box::leak(Box::new(entry::table(ptr::from_ref(context).cast_mut().cast())));
        let (config, root) = (config.to_xml("Config"), root.to_string_lossy());
        let create = abi::introd_create {
            struct_size: size_of::<abi::introd_create>() as u32,
            reserved: 0,
            config: raw_bytes(config.as_bytes()),
            root: raw_bytes(root.as_bytes()),
            handed_over: raw_bytes(handed_over),
        };
        let mut made: introd_instance = ptr::null_mut();
        let mut answer = Answer::new(Subject::Create, owner, None);
        let status = answer.during(|answer| match library.table().create {
            Some(function) => crash::during(library.label(), Stage::Callback(Callback::Create), || {
                // SAFETY: the library is a plugin, and the arguments are as the header says.
                unsafe { function(host, &raw const create, answer, &raw mut made) }
            }),
            None => abi::INTROD_E_UNSUPPORTED,
        });
        if status != abi::INTROD_OK {
            context.end();
            let why = match answer.verdict(status) {
                Verdict::Failed(why) => why,
                _ => format!("it returned {status}"),
            };
            return Err(LoadError::Create { name: library.name().to_owned(), path: library.path().to_owned(), why });
        }
        let instance = Arc::new(Self {
            library,
            made,
            context,
            table: library.table(),
            groups: library.extension(abi::INTROD_EXT_GROUPS),
            registry: library.registry(),
            group_registry: library.group_registry(),
            timer,
            account: Account::default(),
            start: Instant::now(),
            is_disabled: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_anothers: AtomicBool::new(!handed_over.is_empty()),
            postponed: Mutex::default(),
            failure_log: Mutex::default(),
        });
        let timed: Weak<dyn TimedInstance> = Arc::<Self>::downgrade(&instance);
        context.timer_owner.set_instance(timed);
        Ok(instance)
    }

    /// The library that it is an instance of.
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// What its callbacks have taken and done.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether it has panicked.
    pub fn is_disabled(&self) -> bool {
        self.is_disabled.load(Ordering::Relaxed)
    }

    /// Calls the plugin, and counts the time that it took.
    fn call(&self, callback: Callback, call: impl FnOnce() -> i32) -> i32 {
        let begin = Instant::now();
        let status = crash::during(self.library.label(), Stage::Callback(callback), call);
        self.charge(callback, begin.elapsed());
        if status == abi::INTROD_E_PANIC && !self.is_disabled.swap(true, Ordering::Relaxed) {
            let (plugin, callback) = (self.library.name(), callback.name());
            tracing::error!(
                plugin,
                callback,
                "a plugin has panicked: it is not called any more, and fails from now on"
            );
        }
        status
    }

    /// Counts a call, and logs one that held up the network.
    pub(super) fn charge(&self, callback: Callback, took: Duration) {
        self.account.add(took);
        if took >= SLOW
            && !callback.may_block()
            && let Some(slow) = self.account.add_slow(self.start.elapsed())
        {
            let (plugin, callback) = (self.library.name(), callback.name());
            tracing::warn!(
                plugin,
                callback,
                ?took,
                slow,
                "a plugin's callback holds up the network: it must not block"
            );
        }
    }

    /// Calls the plugin for a status, and logs an error.
    fn notify(&self, callback: Callback, call: impl FnOnce() -> i32) -> i32 {
        if self.is_disabled() {
            return abi::INTROD_E_PANIC;
        }
        let status = self.call(callback, call);
        if status < 0 {
            self.failed(callback, error_name(status));
        }
        status
    }

    /// Counts a failure, and logs it unless another was logged a moment ago.
    fn failed(&self, callback: Callback, why: &str) {
        self.account.add_failure();
        let Some(unlogged) = self.failure_log.lock().admit(Instant::now()) else { return };
        let (plugin, callback) = (self.library.name(), callback.name());
        tracing::warn!(plugin, callback, why, unlogged, "a plugin has failed");
    }

    /// Calls the plugin for a verdict.
    fn ask(
        &self,
        callback: Callback,
        mut answer: Answer,
        call: impl FnOnce(*mut introd_answer) -> i32,
    ) -> PluginAnswer {
        if self.is_disabled() {
            self.account.add_failure();
            return PluginAnswer::Verdict(Verdict::Failed("it has panicked".to_owned()));
        }
        let status = self.call(callback, || answer.during(call));
        if let Some(token) = answer.token {
            // A verdict that the plugin has completed already comes by its token, whatever the callback returns.
            let is_open = status != abi::INTROD_PENDING && self.revoke(token).is_some();
            if !is_open {
                return PluginAnswer::Pending(token);
            }
        }
        let verdict = answer.verdict(status);
        if let Verdict::Failed(why) = &verdict {
            self.failed(callback, why);
        }
        PluginAnswer::Verdict(verdict)
    }

    /// Takes a token back, with what waits for it; `None` if it has been completed.
    fn revoke(&self, token: u64) -> Option<PendingVerdict> {
        self.context.state.tokens.take(self.context.owner, token)
    }

    /// Cancels a pending verdict, which nothing waits for any more, and tells the plugin. False if the verdict has come already.
    pub fn cancel(&self, token: u64) -> bool {
        if self.revoke(token).is_none() {
            return false;
        }
        if let Some(cancel) = self.table.cancel {
            // SAFETY: these are the plugin's own function and instance.
            self.notify(Callback::Cancel, || unsafe { cancel(self.made, token) });
        }
        true
    }

    /// Counts a verdict whose deadline has passed.
    pub fn count_timeout(&self) {
        self.account.add_timeout();
    }

    /// Counts a verdict that came later and is a failure of that callback.
    pub fn failed_later(&self, callback: Callback, why: &str) {
        self.failed(callback, why);
    }

    /// Asks about a lookup. A verdict that comes later is a reply to `request`.
    pub fn lookup(&self, request: RequestId, event: LookupEvent<'_>) -> PluginAnswer {
        let Some(lookup) = self.table.lookup else { return PluginAnswer::Verdict(Verdict::Continue) };
        let raw = event.to_raw();
        let answer = Answer::new(Subject::Lookup, self.context.owner, Some(request));
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.ask(Callback::Lookup, answer, |answer| unsafe { lookup(self.made, &raw const raw, answer) })
    }

    /// Asks about a connect. A verdict that comes later is a reply to `request`.
    pub fn connect(&self, request: RequestId, event: ConnectEvent<'_>) -> PluginAnswer {
        let Some(connect) = self.table.connect else { return PluginAnswer::Verdict(Verdict::Continue) };
        event.with_raw(|raw| {
            let answer = Answer::new(Subject::Connect, self.context.owner, Some(request));
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            self.ask(Callback::Connect, answer, |answer| unsafe { connect(self.made, raw, answer) })
        })
    }
}

impl TimedInstance for PluginInstance {
    fn on_timer(&self, token: u64, user: u64) {
        let Some(on_timer) = self.timer.and_then(|table| table.on_timer) else { return };
        // SAFETY: these are the plugin's own function and instance.
        self.notify(Callback::Timer, || unsafe { on_timer(self.made, token, user) });
    }

    fn has_pending(&self) -> bool {
        self.context.state.tokens.count(self.context.owner) > 0
    }

    fn end(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        self.context.state.timers.stop_all(self.context.owner);
        if let Some(destroy) = self.table.destroy
            && !self.is_anothers.load(Ordering::Acquire)
        {
            // SAFETY: these are the plugin's own function and instance, and this is the last call.
            self.notify(Callback::Destroy, || unsafe { destroy(self.made) });
        }
        self.context.end();
        tracing::info!(plugin = self.library.name(), version = self.library.version(), "plugin ended");
    }
}

impl Drop for PluginInstance {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;

//! An instance of a plugin: all calls into it.

use std::net::SocketAddr;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::introd_plugin::abi::{self, introd_answer, introd_host, introd_instance, introd_plugin};
use parking_lot::Mutex;
use rtmfp::{PeerId, SessionId, TaggedAddress};
use tokio::sync::oneshot;

use super::account::{Account, Callback};
use super::answer::{Answer, Outcome, Question, Verdict};
use super::context::{Context, Shared, Waiter};
use super::entry;
use super::events::{self, ConnectEvent, LookupEvent, Place};
use super::groups::{self, GroupChange};
use super::library::{Library, LoadError};
use super::timers::TimedInstance;
use super::values::{error_name, raw_address, raw_bytes, raw_client, raw_peer};
use introd_config::Settings;
use introd_policy::registry::Standing;

/// A callback of a worker that takes longer is told of in the log: at the usual rates, dozens of datagrams wait by then.
const SLOW: Duration = Duration::from_millis(10);
/// A failing instance is told of so often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The number of the next instance.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// An instance of a plugin.
pub struct Instance {
    library: &'static Library,
    made: introd_instance,
    context: &'static Context,
    table: &'static introd_plugin,
    groups: Option<&'static abi::introd_plugin_groups>,
    registry: Option<abi::introd_plugin_registry>,
    timer: Option<&'static abi::introd_plugin_timer>,
    account: Account,
    start: Instant,
    /// It has panicked, and is not called any more.
    is_disabled: AtomicBool,
    is_over: AtomicBool,
    /// When a failure was told of last, and how many were not told of since.
    told: Mutex<(Option<Instant>, u64)>,
}

// SAFETY: an instance's callbacks may be called from any thread, at the same time: the ABI demands it.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Has a library make an instance. `root` is the folder from which relative paths in the configuration count.
    pub(super) fn create(
        library: &'static Library,
        shared: &Arc<Shared>,
        config: &Settings,
        root: &Path,
    ) -> Result<Arc<Self>, LoadError> {
        let timer = library.extension::<abi::introd_plugin_timer>(abi::INTROD_EXT_TIMER);
        let owner = NEXT.fetch_add(1, Ordering::Relaxed);
        let context = Context::new(Arc::clone(shared), owner, library.name(), timer.is_some());
        let context: &'static Context = Box::leak(Box::new(context));
        let host: &'static introd_host = Box::leak(Box::new(entry::table(ptr::from_ref(context).cast_mut().cast())));
        let (config, root) = (config.to_xml("Config"), root.to_string_lossy());
        let create = abi::introd_create {
            struct_size: size_of::<abi::introd_create>() as u32,
            reserved: 0,
            config: raw_bytes(config.as_bytes()),
            root: raw_bytes(root.as_bytes()),
        };
        let mut made: introd_instance = ptr::null_mut();
        let mut answer = Answer::new(Question::Create, owner, 0);
        let status = answer.during(|answer| match library.table().create {
            // SAFETY: the library is a plugin, and what it is given is as the header says.
            Some(function) => unsafe { function(host, &raw const create, answer, &raw mut made) },
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
            timer,
            account: Account::default(),
            start: Instant::now(),
            is_disabled: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            told: Mutex::default(),
        });
        let timed: Weak<dyn TimedInstance> = Arc::<Self>::downgrade(&instance);
        context.timer_owner.set_instance(timed);
        Ok(instance)
    }

    /// Its library.
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// What it has taken and done.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether it has panicked.
    pub fn is_disabled(&self) -> bool {
        self.is_disabled.load(Ordering::Relaxed)
    }

    pub(super) fn has_registry(&self) -> bool {
        self.registry.is_some()
    }

    /// Calls it, and writes down what that took.
    fn call(&self, callback: Callback, call: impl FnOnce() -> i32) -> i32 {
        let begin = Instant::now();
        let status = call();
        let took = begin.elapsed();
        self.account.add(took);
        if took >= SLOW
            && !callback.may_block()
            && let Some(slow) = self.account.slow_one(self.start)
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

    /// Calls it for a status: what is an error is told of.
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

    /// Counts a failure, and tells of it, though not of each.
    fn failed(&self, callback: Callback, why: &str) {
        self.account.fail();
        let now = Instant::now();
        let mut told = self.told.lock();
        if told.0.is_some_and(|last| now - last < TELL_EVERY) {
            told.1 += 1;
            return;
        }
        let untold = std::mem::take(&mut told.1);
        told.0 = Some(now);
        drop(told);
        let (plugin, callback) = (self.library.name(), callback.name());
        tracing::warn!(plugin, callback, why, untold, "a plugin has failed");
    }

    /// Asks it something.
    fn ask(&self, callback: Callback, mut answer: Answer, call: impl FnOnce(*mut introd_answer) -> i32) -> Outcome {
        if self.is_disabled() {
            self.account.fail();
            return Outcome::Verdict(Verdict::Failed("it has panicked".to_owned()));
        }
        let status = self.call(callback, || answer.during(call));
        if let Some(token) = answer.token {
            // One that was completed already comes under its token, whatever the callback says then.
            let is_open = status != abi::INTROD_PENDING && self.revoke(token).is_some();
            if !is_open {
                return Outcome::Pending(token);
            }
        }
        let verdict = answer.verdict(status);
        if let Verdict::Failed(why) = &verdict {
            self.failed(callback, why);
        }
        Outcome::Verdict(verdict)
    }

    /// Takes a token back: whether it was still open.
    fn revoke(&self, token: u64) -> Option<Waiter> {
        self.context.shared.tokens.take(self.context.owner, token)
    }

    /// Nobody waits for a verdict any more: true if it had not come. The plugin is told.
    pub fn cancel(&self, token: u64) -> bool {
        if self.revoke(token).is_none() {
            return false;
        }
        if let Some(cancel) = self.table.cancel {
            // SAFETY: it is the plugin's own function and instance.
            self.notify(Callback::Cancel, || unsafe { cancel(self.made, token) });
        }
        true
    }

    /// Counts a verdict that came later and is a failure.
    pub fn failed_later(&self, why: &str) {
        self.failed(Callback::Lookup, why);
    }

    /// Asks about a lookup, for a worker.
    pub fn lookup(&self, worker: u8, event: LookupEvent<'_>) -> Outcome {
        let Some(lookup) = self.table.lookup else { return Outcome::Verdict(Verdict::Continue) };
        let raw = event.to_raw();
        let answer = Answer::new(Question::Lookup, self.context.owner, worker);
        // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
        self.ask(Callback::Lookup, answer, |answer| unsafe { lookup(self.made, &raw const raw, answer) })
    }

    /// Asks about a connect, for a worker.
    pub fn connect(&self, worker: u8, event: ConnectEvent<'_>) -> Outcome {
        let Some(connect) = self.table.connect else { return Outcome::Verdict(Verdict::Continue) };
        event.with_raw(|raw| {
            let answer = Answer::new(Question::Connect, self.context.owner, worker);
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            self.ask(Callback::Connect, answer, |answer| unsafe { connect(self.made, raw, answer) })
        })
    }

    /// Tells it that a client is gone.
    pub fn disconnect(&self, session: SessionId, peer: PeerId, place: Place<'_>, reason: &str) {
        let Some(disconnect) = self.table.disconnect else { return };
        events::disconnect(session, peer, place, reason, |raw| {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            self.notify(Callback::Disconnect, || unsafe { disconnect(self.made, raw) });
        });
    }

    /// Tells it that a client's addresses have changed: where its packets come from, or what it reports.
    pub fn addresses_changed(
        &self,
        session: SessionId,
        peer: PeerId,
        place: Place<'_>,
        far_address: SocketAddr,
        reported: Option<&[SocketAddr]>,
    ) {
        let Some(changed) = self.table.addresses_changed else { return };
        events::address_change(session, peer, place, far_address, reported, |raw| {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            self.notify(Callback::AddressesChanged, || unsafe { changed(self.made, raw) });
        });
    }

    /// Tells it that a client has joined a group: true if it has done what there was to do.
    pub fn group_join(&self, change: &GroupChange<'_>) -> bool {
        let Some(join) = self.groups.and_then(|table| table.join) else { return false };
        groups::during(change, |raw| {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            self.notify(Callback::Join, || unsafe { join(self.made, raw) }) == abi::INTROD_HANDLED
        })
    }

    /// Tells it that a client has left a group.
    pub fn group_leave(&self, change: &GroupChange<'_>) {
        let Some(leave) = self.groups.and_then(|table| table.leave) else { return };
        groups::during(change, |raw| {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            self.notify(Callback::Leave, || unsafe { leave(self.made, raw) });
        });
    }

    pub(super) fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> i32 {
        let Some(publish) = self.registry.as_ref().and_then(|table| table.publish) else {
            return abi::INTROD_E_UNSUPPORTED;
        };
        let peer = raw_peer(peer);
        let addresses: Vec<_> = addresses.iter().map(|address| raw_address(*address)).collect();
        self.notify(Callback::Publish, || {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            unsafe { publish(self.made, &raw const peer, addresses.as_ptr(), addresses.len()) }
        })
    }

    /// `None` if the plugin knows nothing of sessions.
    pub(super) fn publish_session(&self, peer: PeerId, addresses: &[TaggedAddress], standing: Standing) -> Option<i32> {
        let publish_session = self.registry.as_ref()?.publish_session?;
        let addresses: Vec<_> = addresses.iter().map(|address| raw_address(*address)).collect();
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let publication = abi::introd_publication {
            struct_size: size_of::<abi::introd_publication>() as u32,
            flags: flag(standing.is_proven, abi::INTROD_PUBLICATION_PROVEN)
                | flag(standing.is_silent, abi::INTROD_PUBLICATION_SILENT),
            client: raw_client(standing.session, peer),
            addresses: addresses.as_ptr(),
            address_count: addresses.len(),
        };
        Some(self.notify(Callback::Publish, || {
            // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
            unsafe { publish_session(self.made, &raw const publication) }
        }))
    }

    pub(super) fn withdraw(&self, peer: &PeerId) {
        let Some(withdraw) = self.registry.as_ref().and_then(|table| table.withdraw) else { return };
        let peer = raw_peer(*peer);
        // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
        self.notify(Callback::Withdraw, || unsafe { withdraw(self.made, &raw const peer) });
    }

    /// Asks it where a peer can be reached. A verdict that comes later goes to `reply`.
    pub(super) fn find(&self, peer: PeerId, reply: oneshot::Sender<Verdict>) -> Outcome {
        let Some(lookup) = self.registry.as_ref().and_then(|table| table.lookup) else {
            return Outcome::Verdict(Verdict::NotFound);
        };
        let peer = raw_peer(peer);
        let mut answer = Answer::new(Question::Registry, self.context.owner, 0);
        answer.reply = Some(reply);
        // SAFETY: it is the plugin's own function and instance; what it is given is as the header says.
        self.ask(Callback::Find, answer, |answer| unsafe { lookup(self.made, &raw const peer, answer) })
    }
}

impl TimedInstance for Instance {
    fn on_timer(&self, token: u64, user: u64) {
        let Some(on_timer) = self.timer.and_then(|table| table.on_timer) else { return };
        // SAFETY: it is the plugin's own function and instance.
        self.notify(Callback::Timer, || unsafe { on_timer(self.made, token, user) });
    }

    fn has_pending(&self) -> bool {
        self.context.shared.tokens.count(self.context.owner) > 0
    }

    fn end(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        self.context.shared.timers.stop_all(self.context.owner);
        if !self.is_disabled()
            && let Some(destroy) = self.table.destroy
        {
            // SAFETY: it is the plugin's own function and instance, and this is the last call.
            self.notify(Callback::Destroy, || unsafe { destroy(self.made) });
        }
        self.context.end();
        tracing::info!(plugin = self.library.name(), version = self.library.version(), "plugin ended");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}

//! What the host offers.

use std::ffi::CStr;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::abi;
use crate::groups::{Hint, Members};
use crate::raw::{function, raw, text};
use crate::values::{Address, Client, GroupId, Origin, PeerId, Token};

/// The host, as one instance of a plugin sees it. May be used from any thread, at any time, and never blocks.
///
/// A host that is older than this crate may lack something: it does nothing then, and says so where something is returned.
#[derive(Clone, Copy)]
pub struct Host(&'static abi::introd_host);

// SAFETY: the ABI demands that the host's table does not change and its functions can be called from any thread.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())
    }
}

/// Why the host did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Whom it concerns is not there.
    NotFound,
    /// Too much waits already.
    Full,
    /// This host cannot do it.
    Unsupported,
    /// What was given makes no sense.
    Argument,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Full => "too much waits already",
            Self::Unsupported => "this host cannot do that",
            Self::Argument => "what was given makes no sense",
        })
    }
}

impl std::error::Error for HostError {}

fn checked(status: i32) -> Result<(), HostError> {
    match status {
        abi::INTROD_OK => Ok(()),
        abi::INTROD_NOT_FOUND | abi::INTROD_E_GONE => Err(HostError::NotFound),
        abi::INTROD_E_FULL => Err(HostError::Full),
        abi::INTROD_E_UNSUPPORTED => Err(HostError::Unsupported),
        _ => Err(HostError::Argument),
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something does not work.
    Error = abi::INTROD_LOG_ERROR,
    /// Something may not work.
    Warn = abi::INTROD_LOG_WARN,
    /// Something that operators want to know.
    Info = abi::INTROD_LOG_INFO,
    /// Something that helps to find mistakes.
    Debug = abi::INTROD_LOG_DEBUG,
    /// Every step.
    Trace = abi::INTROD_LOG_TRACE,
}

/// What the host knows of a peer that is connected to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// The client by which it is connected.
    pub client: Client,
    /// Where its packets come from.
    pub observed: SocketAddr,
    /// The addresses that it says it has.
    pub reported: Vec<SocketAddr>,
}

/// A figure among the server's that only grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter(Figure);

/// A figure among the server's that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Figure);

#[derive(Clone, Copy)]
struct Figure {
    host: Host,
    table: &'static abi::introd_host_metrics,
    id: u32,
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "figure {}", self.id)
    }
}

// SAFETY: the table does not change and its functions can be called from any thread, as the ABI demands.
unsafe impl Send for Figure {}
// SAFETY: as above.
unsafe impl Sync for Figure {}

impl Figure {
    fn add(self, amount: i64) {
        if let Some(add) = function!(self.table, abi::introd_host_metrics, add) {
            // SAFETY: the table is the host's.
            unsafe { add(self.host.0, self.id, amount) }
        }
    }
}

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.0.add(1);
    }

    /// Counts several.
    pub fn add(&self, amount: u32) {
        self.0.add(i64::from(amount));
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        if let Some(set) = function!(self.0.table, abi::introd_host_metrics, set) {
            // SAFETY: the table is the host's.
            unsafe { set(self.0.host.0, self.0.id, value) }
        }
    }

    /// Changes it.
    pub fn add(&self, amount: i64) {
        self.0.add(amount);
    }
}

/// A timer that runs. Dropping it does not stop it.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    host: Host,
    token: Token,
}

impl Timer {
    /// Names it in [`TimerPlugin::on_timer`](crate::TimerPlugin::on_timer).
    pub fn token(&self) -> Token {
        self.token
    }

    /// Stops it. It may run out one last time meanwhile.
    pub fn stop(self) {
        let Some(table) = self.host.extension::<abi::introd_host_timer>(abi::INTROD_EXT_TIMER) else { return };
        if let Some(stop) = function!(table, abi::introd_host_timer, stop) {
            // SAFETY: the table is the host's.
            unsafe { stop(self.host.0, self.token.0) };
        }
    }
}

impl Host {
    /// # Safety
    /// `host` is a host's table, valid until the process ends, whose functions keep the promises of the header.
    pub(crate) unsafe fn from_raw(host: *const abi::introd_host) -> Option<Self> {
        // SAFETY: the caller says so.
        unsafe { host.as_ref() }.map(Self)
    }

    /// What the host is called.
    pub fn name(self) -> &'static str {
        // SAFETY: a host's table is valid until the process ends, and so are its texts.
        unsafe { text(self.0.name) }
    }

    /// Its version.
    pub fn version(self) -> &'static str {
        // SAFETY: as above.
        unsafe { text(self.0.version) }
    }

    /// Says what the answer of the running callback is.
    pub(crate) fn answer(self, answer: *mut abi::introd_answer, verdict: &abi::introd_verdict) -> i32 {
        match function!(self.0, abi::introd_host, answer) {
            // SAFETY: `answer` is that of the running callback, and the verdict is laid out for the duration of the call.
            Some(function) => unsafe { function(self.0, answer, verdict) },
            None => abi::INTROD_E_UNSUPPORTED,
        }
    }

    pub(crate) fn defer(self, answer: *mut abi::introd_answer) -> Option<u64> {
        let defer = function!(self.0, abi::introd_host, defer)?;
        // SAFETY: `answer` is that of the running callback.
        let token = unsafe { defer(self.0, answer) };
        (token != 0).then_some(token)
    }

    pub(crate) fn complete(self, token: u64, verdict: &abi::introd_verdict) -> i32 {
        match function!(self.0, abi::introd_host, complete) {
            // SAFETY: the verdict is laid out for the duration of the call. Any token may be given.
            Some(complete) => unsafe { complete(self.0, token, verdict) },
            None => abi::INTROD_E_UNSUPPORTED,
        }
    }

    /// What is known of a peer that is connected to this server.
    pub fn find_peer(self, id: PeerId) -> Option<LocalPeer> {
        const MOST: usize = 16;
        let find_peer = function!(self.0, abi::introd_host, find_peer)?;
        let none = abi::introd_address { ip: [0; 16], port: 0, family: 4, origin: 0 };
        let (id, mut reported) = (abi::introd_peer_id::from(id), [none; MOST]);
        let mut peer = abi::introd_peer {
            struct_size: size_of::<abi::introd_peer>() as u32,
            reported_count: MOST as u32,
            client: abi::introd_client { id: 0, peer: id },
            observed: none,
            reported: reported.as_mut_ptr(),
        };
        // SAFETY: both are valid for the call, and there is room for as many addresses as it says.
        if unsafe { find_peer(self.0, &raw const id, &raw mut peer) } != abi::INTROD_OK {
            return None;
        }
        let reported = reported.iter().take(peer.reported_count as usize);
        Some(LocalPeer {
            client: peer.client.into(),
            observed: Address::from(peer.observed).socket,
            reported: reported.map(|address| Address::from(*address).socket).collect(),
        })
    }

    /// Has a peer that is connected to this server told of somebody who looks for it, so that it opens its NAT to them: one half
    /// of an introduction. `tag` is that of the lookup.
    ///
    /// # Errors
    /// If the peer is not there, or too much waits for its worker.
    pub fn introduce(self, target: PeerId, initiator: SocketAddr, tag: &[u8]) -> Result<(), HostError> {
        let introduce = function!(self.0, abi::introd_host, introduce).ok_or(HostError::Unsupported)?;
        let target = target.into();
        let initiator = Address::new(initiator, Origin::Observed).into();
        // SAFETY: all of it is valid for the call.
        checked(unsafe { introduce(self.0, &raw const target, &raw const initiator, raw(tag)) })
    }

    /// Closes a client's connection.
    ///
    /// # Errors
    /// If too much waits for its worker.
    pub fn disconnect(self, client: Client) -> Result<(), HostError> {
        let disconnect = function!(self.0, abi::introd_host, disconnect).ok_or(HostError::Unsupported)?;
        let client = client.into();
        // SAFETY: it is valid for the call.
        checked(unsafe { disconnect(self.0, &raw const client) })
    }

    /// A table of the host's further functions.
    fn extension<T>(self, id: &CStr) -> Option<&'static T> {
        let get_extension = function!(self.0, abi::introd_host, get_extension)?;
        // SAFETY: the name ends with a zero.
        let table = unsafe { get_extension(self.0, id.as_ptr()) };
        // SAFETY: the host's table of that name is of this type, and valid until the process ends.
        unsafe { table.cast::<T>().as_ref() }
    }

    /// Whether a log line of that level would be written anywhere.
    pub fn logs(self, level: Level) -> bool {
        let table = self.extension::<abi::introd_host_log>(abi::INTROD_EXT_LOG);
        let is_enabled = table.and_then(|table| function!(table, abi::introd_host_log, is_enabled));
        // SAFETY: the table is the host's.
        is_enabled.is_some_and(|is_enabled| unsafe { is_enabled(self.0, level as u32) } != 0)
    }

    /// Writes a log line, with the plugin's name.
    pub fn log(self, level: Level, text: &str) {
        let table = self.extension::<abi::introd_host_log>(abi::INTROD_EXT_LOG);
        if let Some(log) = table.and_then(|table| function!(table, abi::introd_host_log, log)) {
            // SAFETY: the table is the host's, and the text is valid for the call.
            unsafe { log(self.0, level as u32, raw(text.as_bytes())) }
        }
    }

    /// A figure among the server's that only grows, named `plugin_NAME_FIGURE`. The same name gives the same figure.
    ///
    /// # Errors
    /// If the name is not of a-z, 0-9 and `_`, is taken by a gauge, or there are too many.
    pub fn counter(self, name: &str, help: &str) -> Result<Counter, HostError> {
        self.figure(abi::INTROD_METRIC_COUNTER, name, help).map(Counter)
    }

    /// A figure among the server's that goes up and down.
    ///
    /// # Errors
    /// As [`Self::counter`].
    pub fn gauge(self, name: &str, help: &str) -> Result<Gauge, HostError> {
        self.figure(abi::INTROD_METRIC_GAUGE, name, help).map(Gauge)
    }

    fn figure(self, kind: u32, name: &str, help: &str) -> Result<Figure, HostError> {
        let table = self.extension::<abi::introd_host_metrics>(abi::INTROD_EXT_METRICS);
        let table = table.ok_or(HostError::Unsupported)?;
        let metric = function!(table, abi::introd_host_metrics, metric).ok_or(HostError::Unsupported)?;
        // SAFETY: the table is the host's, and the texts are valid for the call.
        let id = unsafe { metric(self.0, kind, raw(name.as_bytes()), raw(help.as_bytes())) };
        if id == 0 { Err(HostError::Argument) } else { Ok(Figure { host: self, table, id }) }
    }

    /// Begins a timer that runs out after that time, and then again and again if there is a period.
    /// [`TimerPlugin::on_timer`](crate::TimerPlugin::on_timer) is called with `user`. Below a millisecond counts as one.
    ///
    /// # Errors
    /// If the plugin is not exported with `timer`, or has too many.
    pub fn start_timer(self, after: Duration, every: Option<Duration>, user: u64) -> Result<Timer, HostError> {
        let table = self.extension::<abi::introd_host_timer>(abi::INTROD_EXT_TIMER).ok_or(HostError::Unsupported)?;
        let start = function!(table, abi::introd_host_timer, start).ok_or(HostError::Unsupported)?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        // SAFETY: the table is the host's.
        let token = unsafe { start(self.0, millis(after), every.map_or(0, millis), user) };
        if token == 0 { Err(HostError::Full) } else { Ok(Timer { host: self, token: Token(token) }) }
    }

    /// Another server has published or withdrawn a peer in the registry that this plugin keeps: it can be reached there now, or
    /// nowhere if there are no addresses.
    pub fn registry_changed(self, peer: PeerId, addresses: &[Address]) {
        let table = self.extension::<abi::introd_host_registry>(abi::INTROD_EXT_REGISTRY);
        if let Some(changed) = table.and_then(|table| function!(table, abi::introd_host_registry, changed)) {
            let peer = peer.into();
            let addresses: Vec<abi::introd_address> = addresses.iter().copied().map(Into::into).collect();
            // SAFETY: the table is the host's, and what is given is valid for the call.
            unsafe { changed(self.0, &raw const peer, addresses.as_ptr(), addresses.len()) }
        }
    }

    /// Names a peer to a member of a group.
    ///
    /// # Errors
    /// If too much waits for its worker.
    pub fn hint(self, group: GroupId, how: Hint, to: Client, about: PeerId) -> Result<(), HostError> {
        let table = self.extension::<abi::introd_host_groups>(abi::INTROD_EXT_GROUPS).ok_or(HostError::Unsupported)?;
        let hint = function!(table, abi::introd_host_groups, hint).ok_or(HostError::Unsupported)?;
        let (group, to, about) = (group.into(), to.into(), about.into());
        // SAFETY: the table is the host's, and what is given is valid for the call.
        checked(unsafe { hint(self.0, &raw const group, how as u32, &raw const to, &raw const about) })
    }

    pub(crate) fn members(self, event: &abi::introd_group_event, which: Members, most: usize) -> Vec<Client> {
        const MOST: usize = 256;
        let table = self.extension::<abi::introd_host_groups>(abi::INTROD_EXT_GROUPS);
        let Some(members) = table.and_then(|table| function!(table, abi::introd_host_groups, members)) else {
            return Vec::new();
        };
        let none = abi::introd_client { id: 0, peer: abi::introd_peer_id { bytes: [0; 32] } };
        let mut room = vec![none; most.min(MOST)];
        // SAFETY: the event is that of the running callback, and there is room for as many members as it says.
        let count = unsafe { members(self.0, event, which as u32, room.as_mut_ptr(), room.len()) };
        room.into_iter().take(count).map(Client::from).collect()
    }
}

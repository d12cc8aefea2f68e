//! A plugin that does in each callback what a test says.

use std::ffi::{CStr, c_char, c_void};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ::introd_plugin::abi::{self, *};
use introd_config::XmlSettings;
use introd_netgroup::GroupDigest;
use introd_policy::{Peer, Replies, Reply, RequestId, Verdict};
use rtmfp::{InterfaceId, Lookup, PeerId, SessionId};

use crate::events::{InstancePath, LookupEvent};
use crate::host_state::{HostState, ServerAccess};
use crate::instance::PluginInstance;
use crate::library::Library;
use crate::{LoadError, PluginAnswer};

pub(super) type Work = Box<dyn FnMut(*const introd_host, *mut introd_answer) -> i32 + Send>;

/// What stands behind an instance.
pub(super) struct Fake {
    pub(super) host: *const introd_host,
    work: Mutex<Work>,
    /// The callbacks that came.
    pub(super) calls: Mutex<Vec<&'static str>>,
}

// SAFETY: the host's table may be used by any thread.
unsafe impl Send for Fake {}
// SAFETY: as above.
unsafe impl Sync for Fake {}

/// What `create` returns, and the instance that it made last: tests that make instances take turns.
static CREATES: Mutex<i32> = Mutex::new(INTROD_OK);
static MADE: Mutex<Option<&'static Fake>> = Mutex::new(None);
static TURN: Mutex<()> = Mutex::new(());

fn called(instance: introd_instance, what: &'static str, answer: *mut introd_answer) -> i32 {
    // SAFETY: `create` has made it, and it lasts.
    let fake = unsafe { &*instance.cast::<Fake>() };
    fake.calls.lock().unwrap().push(what);
    (fake.work.lock().unwrap_or_else(PoisonError::into_inner))(fake.host, answer)
}

unsafe extern "C" fn create(
    host: *const introd_host,
    _: *const introd_create,
    _: *mut introd_answer,
    instance: *mut introd_instance,
) -> i32 {
    let fake = Fake { host, work: Mutex::new(Box::new(|_, _| INTROD_OK)), calls: Mutex::default() };
    let fake: &'static Fake = Box::leak(Box::new(fake));
    *MADE.lock().unwrap() = Some(fake);
    // SAFETY: the host gives a place for it.
    unsafe { instance.write(std::ptr::from_ref(fake).cast_mut().cast()) };
    *CREATES.lock().unwrap()
}

unsafe extern "C" fn destroy(instance: introd_instance) -> i32 {
    called(instance, "destroy", std::ptr::null_mut())
}

unsafe extern "C" fn disconnect(instance: introd_instance, _: *const introd_disconnect) -> i32 {
    called(instance, "disconnect", std::ptr::null_mut())
}

unsafe extern "C" fn lookup(instance: introd_instance, _: *const introd_lookup, answer: *mut introd_answer) -> i32 {
    called(instance, "lookup", answer)
}

unsafe extern "C" fn cancel(instance: introd_instance, _: introd_token) -> i32 {
    called(instance, "cancel", std::ptr::null_mut())
}

unsafe extern "C" fn on_timer(instance: introd_instance, _: introd_token, _: u64) -> i32 {
    called(instance, "timer", std::ptr::null_mut())
}

unsafe extern "C" fn join(instance: introd_instance, event: *const introd_group_event) -> i32 {
    called(instance, "join", event.cast_mut().cast())
}

static TIMER: introd_plugin_timer =
    introd_plugin_timer { struct_size: size_of::<introd_plugin_timer>() as u32, reserved: 0, on_timer: Some(on_timer) };
static GROUPS: introd_plugin_groups = introd_plugin_groups {
    struct_size: size_of::<introd_plugin_groups>() as u32,
    reserved: 0,
    join: Some(join),
    leave: None,
};

unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
    // SAFETY: the host gives a text that ends with a zero.
    match unsafe { CStr::from_ptr(id) } {
        id if id == INTROD_EXT_TIMER => (&raw const TIMER).cast(),
        id if id == INTROD_EXT_GROUPS => (&raw const GROUPS).cast(),
        _ => std::ptr::null(),
    }
}

/// The table of the plugin.
pub(super) fn table() -> introd_plugin {
    introd_plugin {
        struct_size: size_of::<introd_plugin>() as u32,
        abi_major: INTROD_ABI_MAJOR,
        abi_minor: INTROD_ABI_MINOR,
        reserved: 0,
        name: crate::values::raw_bytes(b"fake"),
        version: crate::values::raw_bytes(b"1"),
        description: crate::values::raw_bytes(b""),
        create: Some(create),
        destroy: Some(destroy),
        connect: None,
        disconnect: Some(disconnect),
        addresses_changed: None,
        lookup: Some(lookup),
        cancel: Some(cancel),
        get_extension: Some(get_extension),
    }
}

/// A server with one peer, of id 1, and room for so many requests.
pub(super) struct Server {
    pub(super) room: Mutex<usize>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Server {
    fn ask(&self, what: String) -> bool {
        let mut room = self.room.lock().unwrap();
        let Some(left) = room.checked_sub(1) else { return false };
        *room = left;
        self.asked.lock().unwrap().push(what);
        true
    }
}

impl ServerAccess for Server {
    fn find(&self, peer: &PeerId) -> Option<Peer> {
        (*peer == PeerId([1; 32])).then(|| Peer {
            owner: SessionId::from_wire(11),
            instance: 0,
            observed: "192.0.2.1:1".parse().unwrap(),
            reported: (1..=3).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect(),
            is_silent: false,
        })
    }

    fn introduce(&self, id: &PeerId, _: &Peer, initiator: SocketAddr, tag: &[u8]) -> bool {
        self.ask(format!("introduce {} {initiator} {}", id.0[0], tag.len()))
    }

    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool {
        self.ask(format!("disconnect {} {}", session.get(), peer.0[0]))
    }

    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool {
        self.ask(format!("hint {} {} {}", session.get(), group.0[0], about.0[0]))
    }
}

/// A host with a server.
pub(super) struct Bench {
    pub(super) state: Arc<HostState>,
    pub(super) replies: Arc<Replies>,
    pub(super) server: Arc<Server>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let replies = Arc::new(Replies::new(1, |_| ()));
        let state = Arc::new(HostState::new(Arc::clone(&replies)));
        let server = Arc::new(Server { room: Mutex::new(100), asked: Mutex::default() });
        let access: std::sync::Weak<dyn ServerAccess> = Arc::<Server>::downgrade(&server);
        state.set_server_access(access);
        Self { state, replies, server }
    }

    /// An instance of the plugin, and what stands behind it.
    pub(super) fn instance(&self) -> (Arc<PluginInstance>, &'static Fake) {
        let (made, fake) = self.create(table(), INTROD_OK);
        (made.unwrap(), fake)
    }

    /// As [`Self::instance`], of a plugin with that table, whose `create` returns that.
    pub(super) fn create(
        &self,
        table: introd_plugin,
        status: i32,
    ) -> (Result<Arc<PluginInstance>, LoadError>, &'static Fake) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        *CREATES.lock().unwrap() = status;
        let library = Library::of_table(Box::leak(Box::new(table))).unwrap();
        let made = PluginInstance::create(library, &self.state, &XmlSettings::default(), Path::new("/"));
        (made, MADE.lock().unwrap().take().unwrap())
    }

    /// The verdicts that have come since the last time.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |(_, reply)| match reply {
            Reply::Verdict(verdict) => verdict,
            other @ Reply::Resolved(_) => panic!("{other:?}"),
        };
        self.replies.take(0).into_iter().map(verdict).collect()
    }

    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.server.asked.lock().unwrap())
    }
}

impl Fake {
    /// What its callbacks do from now on.
    pub(super) fn does(&self, work: impl FnMut(*const introd_host, *mut introd_answer) -> i32 + Send + 'static) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(work);
    }

    pub(super) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The host's functions.
    pub(super) fn functions(&self) -> &'static introd_host {
        // SAFETY: the host's table lasts.
        unsafe { &*self.host }
    }

    /// A table of the host's.
    pub(super) fn extension<T>(&self, id: &CStr) -> &'static T {
        // SAFETY: the host's table of that name is of that type, and lasts.
        unsafe { &*(self.functions().get_extension.unwrap())(self.host, id.as_ptr()).cast::<T>() }
    }
}

/// Asks about a lookup.
pub(super) fn ask(instance: &PluginInstance) -> PluginAnswer {
    let lookup = Lookup {
        target: None,
        epd: Default::default(),
        initiator: "192.0.2.7:7".parse().unwrap(),
        tag: Default::default(),
        interface: InterfaceId(0),
        asker: None,
        received: 68,
    };
    let event = LookupEvent {
        lookup: &lookup,
        asker: None,
        is_local: false,
        place: InstancePath { application: "app", instance: "room" },
        home: None,
        is_consent: false,
        is_asked_again: false,
    };
    instance.lookup(RequestId::from_number(9), event)
}

/// A verdict without details.
pub(super) fn of_kind(kind: i32) -> abi::introd_verdict {
    let none = introd_bytes { ptr: std::ptr::null(), len: 0 };
    abi::introd_verdict {
        struct_size: size_of::<abi::introd_verdict>() as u32,
        kind,
        addresses: std::ptr::null(),
        address_count: 0,
        peer: std::ptr::null(),
        text: none,
        uri: none,
    }
}

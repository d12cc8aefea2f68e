//! A plugin that does in each callback what a test says.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, PoisonError};

use ::introd_plugin::abi::*;

use crate::values::text;

pub(crate) type Work = Box<dyn FnMut(*const introd_host, *mut introd_answer) -> i32 + Send>;

/// What stands behind an instance.
pub(crate) struct Fake {
    pub(crate) host: *const introd_host,
    work: Mutex<Work>,
    /// The callbacks that came.
    calls: Mutex<Vec<String>>,
    /// The configuration that it was made with, and the folder.
    pub(crate) config: String,
    pub(crate) root: String,
    /// What it is to go on with.
    pub(crate) handed_over: String,
}

// SAFETY: the host's table may be used by any thread.
unsafe impl Send for Fake {}
// SAFETY: as above.
unsafe impl Sync for Fake {}

thread_local! {
    /// What `create` does on this thread.
    static CREATES: RefCell<Option<Work>> = const { RefCell::new(None) };
    /// What was made on this thread.
    static MADE: RefCell<Vec<&'static Fake>> = const { RefCell::new(Vec::new()) };
}

/// Runs work that makes instances on this thread, where `create` does that. Gives what stands behind the instances, in the order in
/// which they were made.
pub(crate) fn creating<R>(
    creates: impl FnMut(*const introd_host, *mut introd_answer) -> i32 + Send + 'static,
    work: impl FnOnce() -> R,
) -> (R, Vec<&'static Fake>) {
    CREATES.set(Some(Box::new(creates)));
    MADE.take();
    let result = work();
    CREATES.take();
    (result, MADE.take())
}

fn called(instance: introd_instance, what: impl Into<String>, answer: *mut introd_answer) -> i32 {
    // SAFETY: `create` has made it, and it lasts.
    let fake = unsafe { &*instance.cast::<Fake>() };
    fake.calls.lock().unwrap().push(what.into());
    (fake.work.lock().unwrap_or_else(PoisonError::into_inner))(fake.host, answer)
}

unsafe extern "C" fn create(
    host: *const introd_host,
    create: *const introd_create,
    answer: *mut introd_answer,
    instance: *mut introd_instance,
) -> i32 {
    // SAFETY: the host gives what to make, with texts that are valid for the call.
    let [config, root, handed_over] =
        unsafe { [(*create).config, (*create).root, (*create).handed_over].map(|raw| text(raw).unwrap()) };
    let work: Work = Box::new(|_, _| INTROD_OK);
    let fake = Fake { host, work: Mutex::new(work), calls: Mutex::default(), config, root, handed_over };
    let fake: &'static Fake = Box::leak(Box::new(fake));
    MADE.with_borrow_mut(|made| made.push(fake));
    // SAFETY: the host gives a place for it.
    unsafe { instance.write(std::ptr::from_ref(fake).cast_mut().cast()) };
    CREATES.with_borrow_mut(|creates| creates.as_mut().map_or(INTROD_OK, |creates| creates(host, answer)))
}

unsafe extern "C" fn destroy(instance: introd_instance) -> i32 {
    called(instance, "destroy", std::ptr::null_mut())
}

unsafe extern "C" fn connect(
    instance: introd_instance,
    event: *const introd_connect,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives an event that is valid for the call.
    let uri = unsafe { text((*event).uri) }.unwrap();
    called(instance, format!("connect {uri}"), answer)
}

unsafe extern "C" fn addresses_changed(instance: introd_instance, event: *const introd_address_change) -> i32 {
    // SAFETY: the host gives an event that is valid for the call.
    let changed = unsafe { (*event).changed };
    called(instance, format!("addresses_changed {changed}"), std::ptr::null_mut())
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

unsafe extern "C" fn on_timer(instance: introd_instance, _: introd_token, user: u64) -> i32 {
    called(instance, format!("timer {user}"), std::ptr::null_mut())
}

unsafe extern "C" fn join(instance: introd_instance, event: *const introd_group_event) -> i32 {
    called(instance, "join", event.cast_mut().cast())
}

unsafe extern "C" fn leave(instance: introd_instance, _: *const introd_group_event) -> i32 {
    called(instance, "leave", std::ptr::null_mut())
}

unsafe extern "C" fn publish(
    instance: introd_instance,
    peer: *const introd_peer_id,
    _: *const introd_address,
    count: usize,
) -> i32 {
    // SAFETY: the host gives a peer that is valid for the call.
    let peer = unsafe { (*peer).bytes[0] };
    called(instance, format!("publish {peer} at {count}"), std::ptr::null_mut())
}

unsafe extern "C" fn withdraw(instance: introd_instance, peer: *const introd_peer_id) -> i32 {
    // SAFETY: as above.
    called(instance, format!("withdraw {}", unsafe { (*peer).bytes[0] }), std::ptr::null_mut())
}

unsafe extern "C" fn find(instance: introd_instance, peer: *const introd_peer_id, answer: *mut introd_answer) -> i32 {
    // SAFETY: as above.
    called(instance, format!("find {}", unsafe { (*peer).bytes[0] }), answer)
}

unsafe extern "C" fn reconfigure(
    instance: introd_instance,
    create: *const introd_create,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives a configuration that is valid for the call.
    let (config, root) = unsafe { (text((*create).config).unwrap(), text((*create).root).unwrap()) };
    called(instance, format!("reconfigure {config} in {root}"), answer)
}

/// Names as many servers as the answer says, the first with flags and the others without, and one that is cut off.
unsafe extern "C" fn servers(
    instance: introd_instance,
    context: *mut c_void,
    each: Option<unsafe extern "C" fn(context: *mut c_void, server: *const introd_registry_server)>,
) -> i32 {
    let status = called(instance, "servers".to_owned(), std::ptr::null_mut());
    let long = "n".repeat(300);
    for number in 0..status.max(0) {
        let name = if number == 0 { "a\u{fffd}" } else { &long };
        let server = introd_registry_server {
            struct_size: size_of::<introd_registry_server>() as u32,
            flags: if number == 0 { INTROD_SERVER_SELF | INTROD_SERVER_ALIVE } else { 0 },
            name: introd_bytes { ptr: name.as_ptr(), len: name.len() },
        };
        let cut = introd_registry_server { struct_size: 8, ..server };
        // SAFETY: the host gives its function and context, and the server is valid for the call.
        unsafe {
            (each.unwrap())(context, &raw const server);
            (each.unwrap())(context, &raw const cut);
            (each.unwrap())(context, std::ptr::null());
        }
    }
    status
}

/// It gives its state twice: once is enough.
unsafe extern "C" fn hand_over(
    instance: introd_instance,
    context: *mut c_void,
    take: Option<unsafe extern "C" fn(context: *mut c_void, state: introd_bytes)>,
) -> i32 {
    let status = called(instance, "hand over".to_owned(), std::ptr::null_mut());
    for state in [&b"state"[..], b"later"] {
        // SAFETY: the host gives its function and context, and the bytes are valid for the call.
        unsafe { (take.unwrap())(context, introd_bytes { ptr: state.as_ptr(), len: state.len() }) };
    }
    status
}

unsafe extern "C" fn took_over(instance: introd_instance, state: introd_bytes) -> i32 {
    // SAFETY: the host gives bytes that are valid for the call.
    let state = unsafe { text(state) }.unwrap();
    called(instance, format!("took over {state}"), std::ptr::null_mut())
}

unsafe extern "C" fn handed_over(instance: introd_instance) -> i32 {
    called(instance, "handed over".to_owned(), std::ptr::null_mut())
}

unsafe extern "C" fn publish_session(instance: introd_instance, publication: *const introd_publication) -> i32 {
    // SAFETY: the host gives a publication that is valid for the call.
    let publication = unsafe { &*publication };
    let (client, count, flags) = (publication.client, publication.address_count, publication.flags);
    let what = format!("publish {} of {} at {count}, flags {flags}", client.peer.bytes[0], client.id);
    called(instance, what, std::ptr::null_mut())
}

/// Reads what the host tells of a member: the first bytes of the group, the peer and the position.
unsafe fn member(member: *const introd_group_member) -> String {
    // SAFETY: the host gives a member that is valid for the call.
    let introd_group_member { struct_size, group, peer, position, .. } = unsafe { *member };
    assert_eq!(struct_size as usize, size_of::<introd_group_member>());
    format!("{} of {} at {}", peer.bytes[0], group.bytes[0], position.bytes[0])
}

unsafe extern "C" fn join_registered(instance: introd_instance, joined: *const introd_group_member) -> i32 {
    // SAFETY: as there.
    called(instance, format!("join {}", unsafe { member(joined) }), std::ptr::null_mut())
}

unsafe extern "C" fn leave_registered(instance: introd_instance, left: *const introd_group_member) -> i32 {
    // SAFETY: as there.
    called(instance, format!("leave {}", unsafe { member(left) }), std::ptr::null_mut())
}

unsafe extern "C" fn neighbors(
    instance: introd_instance,
    query: *const introd_neighbor_query,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives a query that is valid for the call.
    let introd_neighbor_query { group, peer, position, near_count, far_count, .. } = unsafe { *query };
    let what = format!("{} of {} at {}", peer.bytes[0], group.bytes[0], position.bytes[0]);
    called(instance, format!("neighbors {what}: {near_count}, {far_count}"), answer)
}

static TIMER: introd_plugin_timer =
    introd_plugin_timer { struct_size: size_of::<introd_plugin_timer>() as u32, reserved: 0, on_timer: Some(on_timer) };
static GROUPS: introd_plugin_groups = introd_plugin_groups {
    struct_size: size_of::<introd_plugin_groups>() as u32,
    reserved: 0,
    join: Some(join),
    leave: Some(leave),
};
/// A registry of ABI 1.4.
pub(crate) static REGISTRY: introd_plugin_registry = introd_plugin_registry {
    struct_size: size_of::<introd_plugin_registry>() as u32,
    capabilities: 0,
    publish: Some(publish),
    withdraw: Some(withdraw),
    lookup: Some(find),
    publish_session: Some(publish_session),
    reconfigure: Some(reconfigure),
    servers: Some(servers),
    hand_over: Some(hand_over),
    took_over: Some(took_over),
    handed_over: Some(handed_over),
};
/// The members of groups.
static GROUP_REGISTRY: introd_plugin_group_registry = introd_plugin_group_registry {
    struct_size: size_of::<introd_plugin_group_registry>() as u32,
    reserved: 0,
    join: Some(join_registered),
    leave: Some(leave_registered),
    neighbors: Some(neighbors),
};
/// A table that lacks a function without which members are not found.
static HALF_GROUP_REGISTRY: introd_plugin_group_registry =
    introd_plugin_group_registry { neighbors: None, ..GROUP_REGISTRY };
/// A registry of ABI 1.0.
static OLD_REGISTRY: introd_plugin_registry = introd_plugin_registry {
    struct_size: std::mem::offset_of!(introd_plugin_registry, publish_session) as u32,
    publish_session: None,
    reconfigure: None,
    servers: None,
    hand_over: None,
    took_over: None,
    handed_over: None,
    ..REGISTRY
};
/// A registry that can do nothing.
static EMPTY_REGISTRY: introd_plugin_registry = introd_plugin_registry {
    publish: None,
    withdraw: None,
    lookup: None,
    publish_session: None,
    reconfigure: None,
    servers: None,
    hand_over: None,
    took_over: None,
    handed_over: None,
    ..REGISTRY
};

unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
    // SAFETY: the host gives a text that ends with a zero.
    match unsafe { CStr::from_ptr(id) } {
        id if id == INTROD_EXT_TIMER => (&raw const TIMER).cast(),
        id if id == INTROD_EXT_GROUPS => (&raw const GROUPS).cast(),
        _ => std::ptr::null(),
    }
}

/// Which registry a plugin is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Current,
    /// With the members of groups.
    Groups,
    /// With a table for the members of groups that lacks a function.
    HalfGroups,
    Old,
    Empty,
}

/// The table of a plugin that is a registry.
pub(crate) fn registry_table(kind: Kind) -> introd_plugin {
    unsafe extern "C" fn current(id: *const c_char) -> *const c_void {
        registry_or_else(id, &REGISTRY)
    }
    unsafe extern "C" fn groups(id: *const c_char) -> *const c_void {
        groups_or_else(id, &GROUP_REGISTRY)
    }
    unsafe extern "C" fn half_groups(id: *const c_char) -> *const c_void {
        groups_or_else(id, &HALF_GROUP_REGISTRY)
    }
    fn groups_or_else(id: *const c_char, groups: &'static introd_plugin_group_registry) -> *const c_void {
        // SAFETY: the host gives a text that ends with a zero.
        if unsafe { CStr::from_ptr(id) } == INTROD_EXT_GROUP_REGISTRY {
            return std::ptr::from_ref(groups).cast();
        }
        registry_or_else(id, &REGISTRY)
    }
    unsafe extern "C" fn old(id: *const c_char) -> *const c_void {
        registry_or_else(id, &OLD_REGISTRY)
    }
    unsafe extern "C" fn empty(id: *const c_char) -> *const c_void {
        registry_or_else(id, &EMPTY_REGISTRY)
    }
    fn registry_or_else(id: *const c_char, registry: &'static introd_plugin_registry) -> *const c_void {
        // SAFETY: the host gives a text that ends with a zero.
        match unsafe { CStr::from_ptr(id) } {
            id if id == INTROD_EXT_REGISTRY => std::ptr::from_ref(registry).cast(),
            // SAFETY: as above.
            _ => unsafe { get_extension(id) },
        }
    }
    let extensions = match kind {
        Kind::Current => current,
        Kind::Groups => groups,
        Kind::HalfGroups => half_groups,
        Kind::Old => old,
        Kind::Empty => empty,
    };
    introd_plugin { name: crate::values::raw_bytes(b"fake-registry"), get_extension: Some(extensions), ..table() }
}

/// The table of the plugin.
pub(crate) fn table() -> introd_plugin {
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
        connect: Some(connect),
        disconnect: Some(disconnect),
        addresses_changed: Some(addresses_changed),
        lookup: Some(lookup),
        cancel: Some(cancel),
        get_extension: Some(get_extension),
    }
}

impl Fake {
    /// What its callbacks do from now on.
    pub(crate) fn does(&self, work: impl FnMut(*const introd_host, *mut introd_answer) -> i32 + Send + 'static) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(work);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The host's functions.
    pub(crate) fn functions(&self) -> &'static introd_host {
        // SAFETY: the host's table lasts.
        unsafe { &*self.host }
    }

    /// A table of the host's.
    pub(crate) fn extension<T>(&self, id: &CStr) -> &'static T {
        // SAFETY: the host's table of that name is of that type, and lasts.
        unsafe { &*(self.functions().get_extension.unwrap())(self.host, id.as_ptr()).cast::<T>() }
    }
}

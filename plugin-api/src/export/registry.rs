//! The table of a registry: [`RegistryPlugin`] as an `introd_plugin_registry`.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::call::{failed, hand_over, with};
use crate::abi::{self, introd_answer, introd_instance};
use crate::completion::Later;
use crate::config::Config;
use crate::raw::{array, bytes};
use crate::registry::{InForce, PeerSession, RegistryError, RegistryPlugin, RegistryServer};
use crate::values::Address;

struct Table<P>(PhantomData<P>);

impl<P: RegistryPlugin> Table<P> {
    const REGISTRY: &'static abi::introd_plugin_registry = &abi::introd_plugin_registry {
        struct_size: size_of::<abi::introd_plugin_registry>() as u32,
        capabilities: if P::TELLS_CHANGES { abi::INTROD_REGISTRY_CHANGES } else { 0 },
        publish: Some(publish::<P>),
        withdraw: Some(withdraw::<P>),
        lookup: Some(find::<P>),
        publish_session: Some(publish_session::<P>),
        reconfigure: Some(reconfigure::<P>),
        servers: Some(servers::<P>),
        hand_over: Some(give::<P>),
        took_over: Some(took_over::<P>),
        handed_over: Some(handed_over::<P>),
    };
}

/// The `introd_plugin_registry` of a plugin.
pub fn registry_table<P: RegistryPlugin>() -> *const c_void {
    std::ptr::from_ref(Table::<P>::REGISTRY).cast()
}

/// The result of a callback that publishes or withdraws.
pub(super) fn status(result: Result<(), RegistryError>) -> i32 {
    match result {
        Ok(()) => abi::INTROD_OK,
        Err(RegistryError::Full) => abi::INTROD_E_FULL,
        Err(RegistryError::Unavailable) => abi::INTROD_E_UNAVAILABLE,
    }
}

/// # Safety
/// There are so many addresses there, valid for the call.
unsafe fn read(addresses: *const abi::introd_address, count: usize) -> Vec<Address> {
    // SAFETY: the caller says so.
    let addresses = unsafe { array(addresses, count) };
    addresses.iter().copied().map(Address::from).collect()
}

unsafe extern "C" fn publish<P: RegistryPlugin>(
    instance: introd_instance,
    peer: *const abi::introd_peer_id,
    addresses: *const abi::introd_address,
    address_count: usize,
) -> i32 {
    // SAFETY: the host gives what `create` has made, and an array of that length.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
            status(plugin.publish((*peer).into(), &read(addresses, address_count)))
        })
    }
}

unsafe extern "C" fn publish_session<P: RegistryPlugin>(
    instance: introd_instance,
    publication: *const abi::introd_publication,
) -> i32 {
    // SAFETY: the host gives what `create` has made, and an array of that length.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(publication) = publication.as_ref() else { return abi::INTROD_E_ARGUMENT };
            let session = PeerSession {
                id: publication.client.id,
                is_proven: publication.flags & abi::INTROD_PUBLICATION_PROVEN != 0,
                is_silent: publication.flags & abi::INTROD_PUBLICATION_SILENT != 0,
            };
            let addresses = read(publication.addresses, publication.address_count);
            status(plugin.publish_session(publication.client.peer.into(), &addresses, session))
        })
    }
}

unsafe extern "C" fn withdraw<P: RegistryPlugin>(instance: introd_instance, peer: *const abi::introd_peer_id) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
            status(plugin.withdraw((*peer).into()))
        })
    }
}

unsafe extern "C" fn find<P: RegistryPlugin>(
    instance: introd_instance,
    peer: *const abi::introd_peer_id,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
            hand_over(host, answer, plugin.find((*peer).into(), Later::new(host, answer)))
        })
    }
}

unsafe extern "C" fn reconfigure<P: RegistryPlugin>(
    instance: introd_instance,
    create: *const abi::introd_create,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives what `create` has made, and a configuration that is valid for the call.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(create) = create.as_ref() else { return abi::INTROD_E_ARGUMENT };
            match plugin.reconfigure(&Config::from_raw(create)) {
                Ok(InForce::Now) => abi::INTROD_OK,
                Ok(InForce::AtNextStart) => abi::INTROD_E_UNSUPPORTED,
                Err(error) => failed(host, answer, &error.to_string()),
            }
        })
    }
}

unsafe extern "C" fn servers<P: RegistryPlugin>(
    instance: introd_instance,
    context: *mut c_void,
    each: Option<unsafe extern "C" fn(context: *mut c_void, server: *const abi::introd_registry_server)>,
) -> i32 {
    // SAFETY: the host gives what `create` has made, and a function that takes its context.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(each) = each else { return abi::INTROD_E_ARGUMENT };
            let Some(servers) = plugin.servers() else { return abi::INTROD_E_UNAVAILABLE };
            for RegistryServer { name, is_self, is_alive } in servers {
                let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
                let server = abi::introd_registry_server {
                    struct_size: size_of::<abi::introd_registry_server>() as u32,
                    flags: flag(is_self, abi::INTROD_SERVER_SELF) | flag(is_alive, abi::INTROD_SERVER_ALIVE),
                    name: abi::introd_bytes { ptr: name.as_ptr(), len: name.len() },
                };
                each(context, &raw const server);
            }
            abi::INTROD_OK
        })
    }
}

unsafe extern "C" fn give<P: RegistryPlugin>(
    instance: introd_instance,
    context: *mut c_void,
    take: Option<unsafe extern "C" fn(context: *mut c_void, state: abi::introd_bytes)>,
) -> i32 {
    // SAFETY: the host gives what `create` has made, and a function that takes its context.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(take) = take else { return abi::INTROD_E_ARGUMENT };
            if let Some(state) = plugin.hand_over() {
                take(context, abi::introd_bytes { ptr: state.as_ptr(), len: state.len() });
            }
            abi::INTROD_OK
        })
    }
}

unsafe extern "C" fn took_over<P: RegistryPlugin>(instance: introd_instance, state: abi::introd_bytes) -> i32 {
    // SAFETY: the host gives what `create` has made, and bytes that are valid for the call.
    unsafe {
        with::<P>(instance, |plugin, _| {
            plugin.took_over(bytes(state));
            abi::INTROD_OK
        })
    }
}

unsafe extern "C" fn handed_over<P: RegistryPlugin>(instance: introd_instance) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            plugin.handed_over();
            abi::INTROD_OK
        })
    }
}

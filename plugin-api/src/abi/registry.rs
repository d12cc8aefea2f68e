//! `introd.registry/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_address, introd_answer, introd_instance, introd_peer_id};

/// The plugin keeps the registry of peers that servers share: `introd_plugin_registry`, and of the host `introd_host_registry`.
pub const INTROD_EXT_REGISTRY: &CStr = c"introd.registry/1";

/// The registry tells of changes by `changed`.
pub const INTROD_REGISTRY_CHANGES: u32 = 1;

/// What a plugin offers for INTROD_EXT_REGISTRY. The host asks it what others asked the host; nothing here may block.
#[repr(C)]
pub struct introd_plugin_registry {
    /// sizeof(introd_plugin_registry) at the plugin
    pub struct_size: u32,
    /// Some of INTROD_REGISTRY.
    pub capabilities: u32,
    /// Says where a peer can be reached, instead of what was said before: INTROD_OK when it is taken in, which need not mean that
    /// others can see it yet; INTROD_E_FULL or INTROD_E_UNAVAILABLE. Any thread.
    pub publish: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            peer: *const introd_peer_id,
            addresses: *const introd_address,
            address_count: usize,
        ) -> i32,
    >,
    /// Takes back what this server has published of a peer: INTROD_OK, whether there was something or not. Any thread.
    pub withdraw: Option<unsafe extern "C" fn(instance: introd_instance, peer: *const introd_peer_id) -> i32>,
    /// Where a peer can be reached: INTROD_REDIRECT by `host->answer`, INTROD_NOT_FOUND, INTROD_PENDING, or an error. Any thread.
    pub lookup: Option<
        unsafe extern "C" fn(instance: introd_instance, peer: *const introd_peer_id, answer: *mut introd_answer) -> i32,
    >,
}

/// What the host offers for INTROD_EXT_REGISTRY. Any thread.
#[repr(C)]
pub struct introd_host_registry {
    /// sizeof(introd_host_registry) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// Another server has published or withdrawn a peer: it can be reached there now, or nowhere if there are no addresses.
    pub changed: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            peer: *const introd_peer_id,
            addresses: *const introd_address,
            address_count: usize,
        ),
    >,
}

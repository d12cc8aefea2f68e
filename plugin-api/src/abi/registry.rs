//! `introd.registry/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_address, introd_answer, introd_client, introd_instance, introd_peer_id};

/// The plugin keeps the registry of peers that servers share: `introd_plugin_registry`, and of the host `introd_host_registry`.
pub const INTROD_EXT_REGISTRY: &CStr = c"introd.registry/1";

/// The registry tells of changes by `changed`.
pub const INTROD_REGISTRY_CHANGES: u32 = 1;

/// Since 1.1. The peer's session has proven that the peer's id is its own, which takes a certificate with lasting keys. Any other
/// certificate can be shown by whoever has seen it: a newcomer that has proven nothing is not to take the place of a peer that
/// another server has.
pub const INTROD_PUBLICATION_PROVEN: u32 = 1;

/// Since 1.1. Nothing is heard of the peer's session though it was asked for a sign of life: it may be gone, and what another server says
/// of the peer counts before this.
pub const INTROD_PUBLICATION_SILENT: u32 = 2;

/// Since 1.1. Where a peer can be reached, and how its session stands.
#[repr(C)]
pub struct introd_publication {
    /// sizeof(introd_publication) at the host
    pub struct_size: u32,
    /// Some of INTROD_PUBLICATION.
    pub flags: u32,
    /// The peer, and the session by which it is connected.
    pub client: introd_client,
    /// Where it can be reached.
    pub addresses: *const introd_address,
    /// How many `addresses`. Without any, only how the session stands may have changed, of what was said of the peer before, if
    /// something was.
    pub address_count: usize,
}

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
    /// Since 1.1. As `publish`, which the host calls instead where this is null, unless the session is silent; what policies publish comes
    /// by `publish` in any case. Any thread.
    pub publish_session:
        Option<unsafe extern "C" fn(instance: introd_instance, publication: *const introd_publication) -> i32>,
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

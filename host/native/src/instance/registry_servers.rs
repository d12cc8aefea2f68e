//! The servers that share a registry, as its plugin names them.

use std::ffi::c_void;

use introd_plugin::abi;

use super::PluginInstance;
use crate::account::Callback;
use crate::guarded::guarded;
use crate::values::error_name;

/// The servers that are shown.
const MAX_SERVERS: usize = 1000;
/// The bytes of a server's name that are shown.
const MAX_NAME: usize = 256;

/// A server that shares the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryServer {
    /// Its name in the registry.
    pub name: String,
    /// Whether it is this server.
    pub is_self: bool,
    /// Whether it is alive, so that its peers are found.
    pub is_alive: bool,
}

impl PluginInstance {
    /// The servers that share the registry, 1000 at most; `None` if the plugin does not know at present, or was built before it could say so.
    pub fn registry_servers(&self) -> Option<Vec<RegistryServer>> {
        let servers = self.registry.as_ref()?.servers?;
        if self.is_disabled() {
            return None;
        }
        let mut known: Vec<RegistryServer> = Vec::new();
        let context = (&raw mut known).cast::<c_void>();
        // SAFETY: these are the plugin's own function and instance, and the list outlives the call.
        let status = self.call(Callback::Servers, || unsafe { servers(self.made, context, Some(add)) });
        if status < 0 && status != abi::INTROD_E_UNAVAILABLE {
            self.failed(Callback::Servers, error_name(status));
        }
        (status >= 0).then_some(known)
    }
}

/// Adds a server that a plugin names to the list at `context`.
unsafe extern "C" fn add(context: *mut c_void, server: *const abi::introd_registry_server) {
    guarded((), || {
        // SAFETY: `registry_servers` has given the list for the time of its call, and does not use it meanwhile.
        let known = unsafe { context.cast::<Vec<RegistryServer>>().as_mut() }?;
        // SAFETY: the plugin gives a server that is valid for the call; a null pointer is none.
        let server = unsafe { server.as_ref() }?;
        let is_whole = server.struct_size as usize >= size_of::<abi::introd_registry_server>();
        if known.len() >= MAX_SERVERS || !is_whole || server.name.ptr.is_null() {
            return None;
        }
        // SAFETY: the plugin gives so many bytes, valid for the call.
        let name = unsafe { std::slice::from_raw_parts(server.name.ptr, server.name.len.min(MAX_NAME)) };
        known.push(RegistryServer {
            name: String::from_utf8_lossy(name).into_owned(),
            is_self: server.flags & abi::INTROD_SERVER_SELF != 0,
            is_alive: server.flags & abi::INTROD_SERVER_ALIVE != 0,
        });
        Some(())
    });
}

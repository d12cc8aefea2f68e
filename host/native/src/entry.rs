//! The host's main table: one for each instance, and one for a library that has no instance yet.

use std::ffi::c_void;
use std::ptr;

use introd_plugin::abi::{self, introd_bytes, introd_host};

use super::{host_extensions, host_table};

const NAME: &str = "introd";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The host's table for the instance with that context, or for none.
pub(super) fn table(context: *mut c_void) -> introd_host {
    let text = |text: &'static str| introd_bytes { ptr: text.as_ptr(), len: text.len() };
    introd_host {
        struct_size: size_of::<introd_host>() as u32,
        abi_major: abi::INTROD_ABI_MAJOR,
        abi_minor: abi::INTROD_ABI_MINOR,
        reserved: 0,
        context,
        name: text(NAME),
        version: text(VERSION),
        answer: Some(host_table::answer),
        defer: Some(host_table::defer),
        complete: Some(host_table::complete),
        find_peer: Some(host_table::find_peer),
        introduce: Some(host_table::introduce),
        disconnect: Some(host_table::disconnect),
        get_extension: Some(host_extensions::get_extension),
    }
}

/// The table without an instance: its functions do nothing.
pub(super) fn host() -> *const introd_host {
    struct SharedTable(introd_host);
    // SAFETY: it does not change, and has no context.
    unsafe impl Send for SharedTable {}
    // SAFETY: as above.
    unsafe impl Sync for SharedTable {}
    static HOST: std::sync::LazyLock<SharedTable> = std::sync::LazyLock::new(|| SharedTable(table(ptr::null_mut())));
    &raw const HOST.0
}

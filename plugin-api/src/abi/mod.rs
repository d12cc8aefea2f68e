//! The C ABI, as `include/introd_plugin.h` has it: tables of functions, and the values that pass through them.
//!
//! The header is generated from these items. They are `repr(C)`, and have neither methods nor behaviour. Plugins in Rust use the
//! safe layer of this crate instead; the host, and tests of the ABI itself, use these items directly.
//!
//! # Rules that hold everywhere
//! - A table begins with its own size in bytes. A field exists if it lies within that size: new fields are only ever appended.
//! - An argument is valid until the function returns, unless its comment says otherwise. To keep it, copy it.
//! - Neither side frees memory that the other has allocated.
//! - Text is UTF-8 with a length, without a terminating zero. An empty text may have a null pointer.
//! - The comment of each function says on which threads it is called, or may be called. The host calls a plugin from several threads
//!   at the same time. The worker threads drive the server's sockets: while a callback runs on one, its clients wait.
//! - No exception and no panic may leave a callback.
#![allow(non_camel_case_types, reason = "the names are those of the header")]

mod group_registry;
mod groups;
mod host;
mod log;
mod metrics;
mod plugin;
mod registry;
mod timer;
mod values;

pub use group_registry::*;
pub use groups::*;
pub use host::*;
pub use log::*;
pub use metrics::*;
pub use plugin::*;
pub use registry::*;
pub use timer::*;
pub use values::*;

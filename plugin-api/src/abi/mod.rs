//! The C ABI, as `include/introd_plugin.h` has it: tables of functions, and what passes through them.
//!
//! These items are what the header is generated from. They are `repr(C)`, have no methods and no behaviour. Plugins in Rust use
//! the safe layer over them instead; the host, and tests of the ABI itself, use them directly.
//!
//! # Rules that hold everywhere
//! - A table begins with its own size. A field is there if it lies within that size: fields are only ever added, at the end.
//! - What a function is given is valid until it returns, unless its comment says otherwise. Whoever wants to keep it copies it.
//! - Neither side frees what the other has allocated.
//! - Text is UTF-8 with a length, without a terminating zero. An empty text may have a null pointer.
//! - Callbacks of a plugin may come from several threads at the same time. They must not block: the server's network stands
//!   still for as long as one runs.
//! - No exception and no panic may leave a callback.
#![allow(non_camel_case_types, reason = "the names are those of the header")]

mod groups;
mod host;
mod log;
mod metrics;
mod plugin;
mod registry;
mod timer;
mod values;

pub use groups::*;
pub use host::*;
pub use log::*;
pub use metrics::*;
pub use plugin::*;
pub use registry::*;
pub use timer::*;
pub use values::*;

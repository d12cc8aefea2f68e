//! What a script runs in: its values, its files, its patterns, and the limits on its time and memory. Nothing here knows of
//! applications, clients or threads.

pub(crate) mod expando;
pub(crate) mod failure;
pub(crate) mod limits;
pub(crate) mod loading;
pub(crate) mod memory;
pub(crate) mod opaque;
pub(crate) mod pattern;
pub(crate) mod values;

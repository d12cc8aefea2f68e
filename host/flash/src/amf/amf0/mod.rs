//! AMF0: its markers, reading and writing.

mod decode;
mod encode;
pub(super) mod marker;

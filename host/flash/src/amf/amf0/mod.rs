//! AMF0.

mod decode;
mod encode;
pub(super) mod marker;

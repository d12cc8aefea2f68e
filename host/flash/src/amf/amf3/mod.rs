//! AMF3: its markers, traits and integers, reading and writing.

mod decode;
mod encode;
mod marker;
mod traits;
mod u29;

pub(super) use traits::Traits;

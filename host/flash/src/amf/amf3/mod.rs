//! AMF3.

mod decode;
mod encode;
mod marker;
mod traits;
mod u29;

pub(super) use traits::Traits;

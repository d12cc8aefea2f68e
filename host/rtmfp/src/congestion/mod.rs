//! How much may be outstanding in the network (RFC 7016 §3.5.2).

mod controller;
mod tcp_compatible;

pub use controller::{Controller, Feedback};
pub use tcp_compatible::TcpCompatible;

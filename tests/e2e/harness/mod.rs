//! What the tests share: the program, and clients to meet it with.

pub(crate) mod clients;
pub(crate) mod independent;
pub(crate) mod log;
pub(crate) mod members;
pub(crate) mod raw;

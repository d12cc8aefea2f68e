//! Recorded traffic of an independent implementation, read and written by this crate.

mod recorded;
mod streams;

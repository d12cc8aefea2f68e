//! The locks and atomics of the queues, which the model checker replaces by its own.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::{Mutex, PoisonError};

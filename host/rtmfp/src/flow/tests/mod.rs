//! Flows of two ends against each other, in virtual time.

mod channel;
mod delivery;
mod hostile;
mod rules;

pub(crate) use crate::test_clock as epoch;

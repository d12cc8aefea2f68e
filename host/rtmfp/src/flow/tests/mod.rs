//! Flows of two ends against each other, in virtual time.

mod channel;
mod delivery;
mod hostile;
mod rules;

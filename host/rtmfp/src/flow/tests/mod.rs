//! Flows of two ends against each other, in virtual time.

mod acknowledging;
mod admission;
mod budget;
mod channel;
mod chunks;
mod delivery;
mod gaps;
mod hostile;
mod receive_window;
mod rules;

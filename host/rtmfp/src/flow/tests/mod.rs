//! Flows of two ends against each other, in virtual time.

mod acknowledging;
mod admission;
mod budget;
mod bursts;
mod channel;
mod chunks;
mod delivery;
mod footprint;
mod gaps;
mod giving_up;
mod hostile;
mod opening;
mod packing;
mod receive_window;
mod rejecting;
mod sending;
mod waiting;

//! The rates of one client's part in calls of clients by each other.

use crate::serve::rates::ClientRate;

/// The rates of the calls that a client makes and gets by `relay`.
#[derive(Default)]
pub(super) struct RelayRates {
    pub(super) made: ClientRate,
    pub(super) got: ClientRate,
}

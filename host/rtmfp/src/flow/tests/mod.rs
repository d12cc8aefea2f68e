//! Flows of two ends against each other, in virtual time.

mod channel;
mod delivery;
mod hostile;
mod rules;

use std::time::Instant;

/// Any point in time: only differences matter.
#[allow(clippy::disallowed_methods, reason = "where virtual time starts has no effect on anything")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

//! What recognises cookies as a record, and back.

use std::time::Instant;

use super::CookieJar;
use crate::crypto::keyed_hmac::KeyedHmac;
use crate::handover::{Clock, CookieJarState, StateError};

impl CookieJar {
    /// The jar as a value, as secret as its key. Times in it count from `now`.
    pub fn hand_over(&self, now: Instant) -> CookieJarState {
        CookieJarState { made: Clock::new(now).write(self.made), keyed: self.keyed.write() }
    }

    /// The jar that was handed over at `then`: what it has baked is recognised.
    ///
    /// # Errors
    /// If the state has no key.
    pub fn take_over(then: Instant, state: &CookieJarState) -> Result<Self, StateError> {
        let keyed = KeyedHmac::read(&state.keyed).ok_or(StateError::Invalid("the key of cookies"))?;
        Ok(Self { made: Clock::new(then).read(state.made), keyed })
    }
}

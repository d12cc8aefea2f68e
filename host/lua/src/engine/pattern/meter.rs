//! The bound on the work of a match.

use super::error::PatternError;

/// Counts the steps of a match.
pub(super) struct Meter<'a> {
    left: u64,
    until_check: u32,
    is_expired: &'a dyn Fn() -> bool,
}

impl<'a> Meter<'a> {
    /// Enough for every pattern that is not built to be slow.
    const STEPS: u64 = 4 << 20;
    const STEPS_PER_BYTE: u64 = 32;
    /// Between two checks of the clock: some tens of microseconds.
    const CHECK_EVERY: u32 = 1 << 14;

    /// A meter for a subject of that length.
    pub(super) fn new(subject: usize, is_expired: &'a dyn Fn() -> bool) -> Self {
        let left = Self::STEPS + Self::STEPS_PER_BYTE * subject as u64;
        Self { left, until_check: Self::CHECK_EVERY, is_expired }
    }

    pub(super) fn step(&mut self) -> Result<(), PatternError> {
        self.left = self.left.checked_sub(1).ok_or(PatternError::TooComplex)?;
        self.until_check -= 1;
        if self.until_check == 0 {
            self.until_check = Self::CHECK_EVERY;
            if (self.is_expired)() {
                return Err(PatternError::Expired);
            }
        }
        Ok(())
    }
}

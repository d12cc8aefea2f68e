//! Lua's patterns, with a bound on the work that a match may take.
//!
//! The pattern functions of Lua's own library run in C, where no hook can stop them: a pattern such as `.-.-.-.-x` on a long
//! subject keeps them busy for hours. These count each byte they look at, stop at a limit, and look at the handler's deadline
//! on the way. What patterns mean is as in the Lua 5.4 reference manual, §6.4.1, with one difference: a malformed pattern is an
//! error even when the subject would not have led the match to the malformed place.

mod byte_set;
mod compile;
mod functions;
mod matcher;
mod replace;
#[cfg(test)]
mod tests;

pub(crate) use functions::register;

use std::rc::Rc;

use mlua::Lua;

use crate::engine::limits::Budget;
use crate::engine::opaque::Held;
use compile::{Item, Pattern};
use matcher::{Capture, Match, Matcher};

/// The most captures of a pattern, as in Lua.
const MAX_CAPTURES: usize = 32;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum PatternError {
    /// The pattern is not one.
    #[error("malformed pattern ({0})")]
    Malformed(&'static str),
    /// The match takes more steps than it may.
    #[error("pattern too complex for this text")]
    TooComplex,
    /// The handler's time is over.
    #[error("out of time")]
    Expired,
}

/// What a script may use.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) budget: Rc<Budget>,
    pub(crate) held: Rc<Held>,
}

/// A pattern whose memory counts as the script's.
struct Counted {
    pattern: Pattern,
    bytes: usize,
    held: Rc<Held>,
}

impl Counted {
    /// Takes a pattern apart. `anchors` says whether `^` at the beginning is an anchor.
    fn new(lua: &Lua, bounds: &Bounds, text: &[u8], anchors: bool) -> mlua::Result<Self> {
        // An item takes a byte of the text at least.
        let bytes = text.len().saturating_mul(size_of::<Item>());
        let held = Rc::clone(&bounds.held);
        held.take(lua, bytes)?;
        // From here on it gives back what it has taken.
        let mut counted = Self { pattern: Pattern::default(), bytes, held };
        counted.pattern = Pattern::new(text, anchors).map_err(mlua::Error::runtime)?;
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.give_back(self.bytes);
    }
}

/// Counts the steps of a match.
struct Meter<'a> {
    left: u64,
    until_check: u32,
    is_expired: &'a dyn Fn() -> bool,
}

impl<'a> Meter<'a> {
    /// Ample for every pattern that is not built to be slow.
    const STEPS: u64 = 4 << 20;
    const STEPS_PER_BYTE: u64 = 32;
    /// Some tens of microseconds.
    const CHECK_EVERY: u32 = 1 << 14;

    /// A meter for a subject of that length.
    fn new(subject: usize, is_expired: &'a dyn Fn() -> bool) -> Self {
        let left = Self::STEPS + Self::STEPS_PER_BYTE * subject as u64;
        Self { left, until_check: Self::CHECK_EVERY, is_expired }
    }

    fn step(&mut self) -> Result<(), PatternError> {
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

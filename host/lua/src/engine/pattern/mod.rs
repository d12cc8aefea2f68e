//! Lua's patterns, with a bound on the work that a match may take.
//!
//! The pattern functions of Lua's own library run in C, where no hook can stop them: a pattern such as `.-.-.-.-x` on a long
//! subject keeps them busy for hours. These count each byte that they look at, stop at a limit, and check the handler's deadline
//! on the way. What patterns mean is as in the Lua 5.4 reference manual, §6.4.1, with one difference: a malformed pattern is an
//! error even when the subject would not have led the match to the malformed place.

mod byte_set;
mod compile;
mod counted;
mod error;
mod find;
mod matcher;
mod matches;
mod meter;
mod replace;
#[cfg(test)]
mod tests;

pub(crate) use counted::Bounds;

/// Puts the functions into the table `string`, in the place of Lua's own.
pub(crate) fn register(lua: &mlua::Lua, string: &mlua::Table, bounds: &Bounds) -> mlua::Result<()> {
    find::register(lua, string, bounds)?;
    replace::register(lua, string, bounds)
}

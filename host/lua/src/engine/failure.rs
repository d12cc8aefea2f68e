//! What went wrong in a script, and where.

use std::fmt;

use mlua::{Error, Function, Lua, Value};

/// An error of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error message.
    pub message: String,
    /// The file, as the script's folder has it; empty if unknown.
    pub file: String,
    /// The line, from 1; 0 if unknown.
    pub line: usize,
    /// The stack of calls that led to the error.
    pub traceback: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("{}:{}:", self.file, self.line);
        if self.file.is_empty() || self.message.starts_with(&place) {
            f.write_str(&self.message)
        } else {
            write!(f, "{place} {}", self.message)
        }
    }
}

impl Failure {
    /// The stack of calls in one line.
    pub(crate) fn calls(&self) -> String {
        let lines =
            self.traceback.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "stack traceback:");
        lines.collect::<Vec<_>>().join(" < ")
    }
}

/// With more nested calls than this, they are not looked at: Lua would go through all of them again and again, for seconds if there are as many as it
/// allows.
const DEEP: usize = 10_000;
/// How many levels of the call stack are searched for one of the script's own functions.
const MAX_LEVELS: usize = 32;
/// What the prelude is called in messages.
const PRELUDE: &str = "introd";
/// The longest message that is kept; the script chooses it.
const MAX_MESSAGE: usize = 2000;

impl Failure {
    /// The error value of a script, at the place where it is raised.
    pub(crate) fn here(lua: &Lua, value: &Value) -> Self {
        let mut failure = Self::of(value);
        if lua.inspect_stack(DEEP, |_| ()).is_some() {
            failure.traceback = format!("more than {DEEP} nested calls");
        } else if let Ok(traceback) = lua.traceback(None, 1) {
            failure.traceback = cut(&traceback.to_string_lossy());
        }
        let place = caller(lua);
        // The place in the message itself counts first: `error` may name a caller's line.
        if failure.line == 0
            && let Some((file, line)) = place
        {
            (failure.file, failure.line) = (file, line);
        }
        failure
    }

    /// The failure that an error value describes.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::said(&text.to_string_lossy()),
            Value::Error(error) => Self::from(&**error),
            Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => {
                Self::said(&value.to_string().unwrap_or_default())
            }
            other => Self::said(&format!("(the error is a {})", other.type_name())),
        }
    }

    /// The same; a failure without a place gets that where the function begins. A tail call leaves no trace of its function on the
    /// stack.
    pub(crate) fn or_at(mut self, function: &Function) -> Self {
        if self.line == 0 {
            let info = function.info();
            self.file = info.source.as_deref().unwrap_or_default().trim_start_matches('@').to_owned();
            self.line = info.line_defined.unwrap_or_default();
        }
        self
    }

    fn said(message: &str) -> Self {
        let message = cut(without_prelude(message).unwrap_or(message));
        let (file, line) = place_of(&message).unwrap_or_default();
        Self { message, file, line, traceback: String::new() }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::CallbackError { traceback, cause } => {
                let mut failure = Self::from(&**cause);
                if failure.line == 0 {
                    let place = traceback.lines().find_map(|line| place_of(line.trim_start()));
                    (failure.file, failure.line) = place.unwrap_or_default();
                }
                failure.traceback = cut(traceback);
                failure
            }
            Error::RuntimeError(text) => {
                let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
                Self { traceback: cut(traceback.trim_start()), ..Self::said(message) }
            }
            Error::MemoryError(_) => Self::said("not enough memory"),
            Error::SyntaxError { message, .. } => Self::said(message),
            Error::FromLuaConversionError { from, to, message } => Self::said(&expected(from, to, message.as_deref())),
            Error::BadArgument { pos, cause, .. } => Self::said(&format!("argument {pos}: {}", Self::from(&**cause))),
            other => Self::said(&other.to_string()),
        }
    }
}

/// A value of another kind was expected, in the words of Lua's own functions: scripts know nothing of the types of Rust.
fn expected(from: &str, to: &str, message: Option<&str>) -> String {
    let kind = match to {
        "f32" | "f64" | "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => "number",
        "String" | "LuaString" => "string",
        "bool" => "boolean",
        other => other,
    };
    match message {
        Some("out of range") => "number out of range".to_owned(),
        _ => format!("{kind} expected, got {from}"),
    }
}

/// The script's file and line that are being executed.
pub(crate) fn caller(lua: &Lua) -> Option<(String, usize)> {
    (0..MAX_LEVELS).find_map(|level| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let file = source.source.as_deref()?.strip_prefix('@')?.to_owned();
            Some((file, debug.current_line()?))
        })?
    })
}

/// A message without the prelude's line that it begins with. `None` if it begins with none.
fn without_prelude(message: &str) -> Option<&str> {
    let (line, message) = message.strip_prefix(PRELUDE)?.strip_prefix(':')?.split_once(": ")?;
    line.bytes().all(|byte| byte.is_ascii_digit()).then_some(message)
}

/// An error value for the script: where its message would name a line of the prelude, it names the script's line that called it.
pub(crate) fn placed(lua: &Lua, value: Value) -> mlua::Result<Value> {
    let Value::String(text) = &value else { return Ok(value) };
    let placed = text.to_str().ok().and_then(|text| {
        let message = without_prelude(&text)?;
        let (file, line) = caller(lua)?;
        Some(format!("{file}:{line}: {message}"))
    });
    placed.map_or(Ok(value), |text| Ok(Value::String(lua.create_string(text)?)))
}

/// Reads `file:line:` at the beginning of a message.
fn place_of(message: &str) -> Option<(String, usize)> {
    let (file, rest) = message.split_once(':')?;
    let (line, _) = rest.split_once(':')?;
    // A bracket is not the beginning of a file's name but of `[C]` and `[string "..."]`.
    // The prelude's own lines tell the script's author nothing.
    if file.is_empty() || file == PRELUDE || file.starts_with('[') || file.contains(char::is_whitespace) {
        return None;
    }
    Some((file.to_owned(), line.parse().ok()?))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_says_in_an_error_is_bounded() {
        let long = format!("main.lua:3: {}", "ä".repeat(3 * MAX_MESSAGE));
        let failure = Failure::from(&Error::RuntimeError(format!("{long}\nstack traceback:{long}")));
        assert_eq!((failure.file.as_str(), failure.line), ("main.lua", 3));
        assert_eq!((failure.message.chars().count(), failure.traceback.chars().count()), (MAX_MESSAGE, MAX_MESSAGE));
    }
}

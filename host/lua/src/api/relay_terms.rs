//! The limits that a script sets for a relay: the second argument of `application.relayPeer`.

use std::time::Duration;

use mlua::{Error, Result, Value};

use introd_policy::RelayTerms;

/// How much of a name that is unknown an error shows, in bytes.
const MAX_NAME: usize = 64;
/// The highest rate: the numbers up to here are exact.
const MAX_RATE: f64 = 9_007_199_254_740_992.0;

/// Reads the limits: nothing, or a table with `bytesPerSecond` and `lifetime` (milliseconds), each of which may be missing.
///
/// # Errors
/// If it is something else, if it has other fields, or if a limit is no positive number.
pub(crate) fn from_lua(limits: Option<Value>) -> Result<RelayTerms> {
    let limits = match limits {
        None | Some(Value::Nil) => return Ok(RelayTerms::default()),
        Some(Value::Table(limits)) => limits,
        Some(other) => {
            let kind = other.type_name();
            return Err(Error::runtime(format!("the limits of application.relayPeer are a table, not a {kind}")));
        }
    };
    let mut terms = RelayTerms::default();
    for pair in limits.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let Value::String(name) = &name else {
            let kind = name.type_name();
            return Err(Error::runtime(format!(
                "the limits of application.relayPeer have names, and one of them is a {kind}"
            )));
        };
        match &*name.as_bytes() {
            b"bytesPerSecond" => terms.bytes_per_second = Some(number("bytesPerSecond", &value, MAX_RATE)? as u64),
            b"lifetime" => {
                let milliseconds = number("lifetime", &value, RelayTerms::MAX_LIFETIME.as_millis() as f64)?;
                terms.lifetime = Some(Duration::from_millis(milliseconds as u64));
            }
            other => {
                let name = other.get(..MAX_NAME).unwrap_or(other).escape_ascii();
                return Err(Error::runtime(format!(
                    "application.relayPeer knows no limit {name}: it has bytesPerSecond and lifetime"
                )));
            }
        }
    }
    Ok(terms)
}

/// A number from 1 up to the highest value; a higher one becomes that.
fn number(name: &str, value: &Value, highest: f64) -> Result<f64> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        other => {
            let kind = other.type_name();
            return Err(Error::runtime(format!("{name} of application.relayPeer is a number, not a {kind}")));
        }
    };
    // The comparison is false for a number that is none (NaN) as well.
    if number >= 1.0 {
        Ok(number.min(highest))
    } else {
        Err(Error::runtime(format!("{name} of application.relayPeer is at least 1, not {number}")))
    }
}

//! The list of the servers that share the registry, as Redis last had it.

use std::time::Duration;

use redis::Value;

/// The servers that are read.
pub(crate) const MAX_LISTED: usize = 1000;
/// For so long a server that has died stays on the list, for administrators to see.
const KEEP_DEAD: Duration = Duration::from_secs(3600);

/// A server on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Vec<u8>,
    /// Whether its key exists, so that its peers are found.
    pub is_alive: bool,
    /// When it was last entered, in seconds since 1970, by its own clock.
    entered: u64,
}

/// Reads the answer to the command that lists the servers. Names without a time are left out.
pub(crate) fn read(answer: &Value) -> Vec<(Vec<u8>, u64)> {
    let Value::Array(items) = answer else { return Vec::new() };
    let mut servers = Vec::new();
    match items.first() {
        // RESP3 has pairs.
        Some(Value::Array(_)) => {
            for item in items {
                if let Value::Array(pair) = item
                    && let [name, time] = &pair[..]
                {
                    servers.extend(bytes(name).zip(seconds(time)));
                }
            }
        }
        _ => {
            for pair in items.chunks_exact(2) {
                if let [name, time] = pair {
                    servers.extend(bytes(name).zip(seconds(time)));
                }
            }
        }
    }
    servers
}

/// Puts together what was listed and what the servers' keys held: the servers by name, and the names of those that have been dead for long.
pub(crate) fn call(listed: Vec<(Vec<u8>, u64)>, are_alive: &[bool], now: u64) -> (Vec<Listed>, Vec<Vec<u8>>) {
    let all = listed.into_iter().zip(are_alive).map(|((name, entered), is_alive)| Listed {
        name,
        is_alive: *is_alive,
        entered,
    });
    let is_kept = |server: &Listed| server.is_alive || now < server.entered.saturating_add(KEEP_DEAD.as_secs());
    let (mut kept, gone): (Vec<Listed>, Vec<Listed>) = all.partition(is_kept);
    kept.sort_by(|one, other| one.name.cmp(&other.name));
    (kept, gone.into_iter().map(|server| server.name).collect())
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        Value::SimpleString(text) => Some(text.clone().into_bytes()),
        _ => None,
    }
}

fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Double(seconds) => Some(*seconds as u64),
        Value::Int(seconds) => u64::try_from(*seconds).ok(),
        other => std::str::from_utf8(&bytes(other)?).ok()?.parse::<f64>().ok().map(|seconds| seconds as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_in_both_forms_of_the_protocol() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let expected = vec![(b"b".to_vec(), 20), (b"a".to_vec(), 10)];
        let pairs = Value::Array(vec![
            Value::Array(vec![text("b"), Value::Double(20.0)]),
            Value::Array(vec![text("x")]),
            Value::Array(vec![text("a"), Value::Double(10.0)]),
        ]);
        assert_eq!(read(&pairs), expected);
        let flat = Value::Array(["b", "20", "y", "no time", "a", "10", "z"].map(text).to_vec());
        assert_eq!(read(&flat), expected);
        assert_eq!(read(&Value::Array(Vec::new())), []);
        assert_eq!(read(&Value::Nil), []);
    }

    #[test]
    fn dead_servers_stay_for_an_hour() {
        let listed = vec![(b"c".to_vec(), 10_000), (b"a".to_vec(), 6_401), (b"b".to_vec(), 6_400), (b"d".to_vec(), 1)];
        let (kept, gone) = call(listed, &[true, false, false, true], 10_000);
        let names: Vec<_> = kept.iter().map(|server| (server.name.as_slice(), server.is_alive)).collect();
        assert_eq!(names, [(b"a".as_slice(), false), (b"c", true), (b"d", true)]);
        assert_eq!(gone, [b"b"]);
    }
}

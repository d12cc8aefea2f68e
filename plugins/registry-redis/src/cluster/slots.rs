//! Which node of a cluster has which keys.

use redis::Value;

/// The number of slots of a cluster.
const SLOTS: u16 = 16_384;

/// The slot of a key: CRC16 (XMODEM) of the key, or of what stands between its first `{` and the next `}`.
pub(crate) fn slot(key: &[u8]) -> u16 {
    let tagged = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    let mut crc = 0_u16;
    for byte in tagged.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

/// The address of a node: its host and port.
pub(crate) type Address = (String, u16);

/// The masters and their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotMap(Vec<(u16, u16, Address)>);

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS`. `asked` is the host of the node that gave it, which may leave out its own.
    pub(crate) fn read(answer: &Value, asked: &str) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let range = |range: &Value| {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &parts[..] else { return None };
            let host = match master.first()? {
                Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
                Value::SimpleString(host) => host.clone(),
                _ => String::new(),
            };
            let Some(Value::Int(port)) = master.get(1) else { return None };
            let host = if host.is_empty() || host == "?" { asked.to_owned() } else { host };
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            Some((first, last, (host, u16::try_from(*port).ok()?)))
        };
        let slots: Vec<_> = ranges.iter().filter_map(range).collect();
        (!slots.is_empty()).then_some(Self(slots))
    }

    /// The master that has a slot.
    pub(crate) fn master(&self, slot: u16) -> Option<&Address> {
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., master)| master)
    }

    /// All masters, each once.
    pub(crate) fn masters(&self) -> Vec<Address> {
        let mut masters: Vec<Address> = self.0.iter().map(|(.., master)| master.clone()).collect();
        masters.sort();
        masters.dedup();
        masters
    }
}

/// Where a node sends a client: the rest of its answer `MOVED` or `ASK`, "SLOT HOST:PORT". `asked` is its own host, which it may leave out.
pub(crate) fn redirection(detail: &str, asked: &str) -> Option<Address> {
    let (host, port) = detail.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    Some((if host.is_empty() { asked } else { host }.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_redis_computes() {
        // As CLUSTER KEYSLOT says.
        for (key, expected) in [("123456789", 12_739), ("foo", 12_182), ("{foo}:bar", 12_182), ("", 0)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!((slot(b"n:{b9}:a"), slot(b"n:{y3}:a")), (2610, 13_553));
        assert_eq!(slot(b"{}foo"), slot(b"{}foo"), "an empty tag is none");
        assert_ne!(slot(b"{}foo"), slot(b""));
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, Value::Int(port), text("id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
    }

    #[test]
    fn the_answer_of_a_node_says_who_has_which_slots() {
        let answer = Value::Array(vec![
            range(0, 100, text("10.0.0.1"), 1),
            range(101, 16_383, Value::Nil, 2),
            Value::Int(7),
            range(-1, 5, text("x"), 3),
        ]);
        let map = SlotMap::read(&answer, "asked").unwrap();
        assert_eq!(map.master(100), Some(&("10.0.0.1".to_owned(), 1)));
        assert_eq!(map.master(101), Some(&("asked".to_owned(), 2)));
        assert_eq!(map.masters().len(), 2);
        assert_eq!(SlotMap::default().master(0), None);
        assert_eq!((SlotMap::read(&Value::Array(vec![]), "a"), SlotMap::read(&Value::Nil, "a")), (None, None));
    }

    #[test]
    fn a_redirection_names_a_node() {
        assert_eq!(redirection("3999 10.0.0.1:6381", "asked"), Some(("10.0.0.1".to_owned(), 6381)));
        assert_eq!(redirection("3999 :6381", "asked"), Some(("asked".to_owned(), 6381)));
        assert_eq!(redirection("3999 fd00::1:6381", "asked"), Some(("fd00::1".to_owned(), 6381)));
        for other in ["", "3999", "3999 host", "3999 host:x", "3999 host:70000"] {
            assert_eq!(redirection(other, "asked"), None, "{other}");
        }
    }
}

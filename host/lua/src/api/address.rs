//! Addresses and peer ids as scripts write them: `host:port`, numbers only, and hexadecimal digits.

use std::net::SocketAddr;
use std::str::FromStr;

use introd_netgroup::GroupDigest;
use mlua::{Result, Value};
use rtmfp::PeerId;

/// The text of an address.
pub(crate) fn text(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Reads an address.
pub(crate) fn parse(value: &Value) -> Result<SocketAddr> {
    let text = match value {
        Value::String(text) => text,
        other => return Err(mlua::Error::runtime(format!("an address is a string, not a {}", other.type_name()))),
    };
    let parsed = std::str::from_utf8(&text.as_bytes()).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let shown: String = text.to_string_lossy().chars().take(64).collect();
        mlua::Error::runtime(format!("an address is an IP address with a port, such as 192.0.2.1:1935, not {shown:?}"))
    })
}

/// Reads a peer id.
pub(crate) fn peer(value: &Value) -> Result<PeerId> {
    hexadecimal(value, "a peer ID")
}

/// Reads the digest of a groupspec.
pub(crate) fn groupspec_digest(value: &Value) -> Result<GroupDigest> {
    // It is written as a peer id is.
    hexadecimal(value, "a groupspec digest").map(|id: PeerId| GroupDigest(id.0))
}

fn hexadecimal<T: FromStr>(value: &Value, what: &str) -> Result<T> {
    let text = match value {
        Value::String(text) => text.as_bytes(),
        other => return Err(mlua::Error::runtime(format!("{what} is a string, not a {}", other.type_name()))),
    };
    let parsed = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| mlua::Error::runtime(format!("{what} is a string of 64 hexadecimal digits")))
}

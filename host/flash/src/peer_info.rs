//! `setPeerInfo`: the addresses that a client reports (RFC 7425 §5.3.3).

use std::net::{IpAddr, SocketAddr};

use crate::amf::Value;

/// How many addresses of one command are kept. Others are skipped.
pub const MAX_ADDRESSES: usize = 16;

/// How many skipped entries are kept with their reasons. Others are only counted.
pub const MAX_SKIPPED: usize = 16;

/// The contents of a `setPeerInfo` command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerInfo {
    /// The usable addresses, in the client's order, each once. They replace the addresses of an earlier command.
    pub addresses: Vec<SocketAddr>,
    /// The skipped entries, at most the first [`MAX_SKIPPED`] of them.
    pub skipped: Vec<Skipped>,
    /// How many entries were skipped.
    pub skipped_count: usize,
}

/// A skipped entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Skipped {
    /// The beginning of the entry's text.
    pub text: String,
    pub reason: SkipReason,
}

/// Why an entry is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// The entry is not a string.
    #[error("not a string")]
    NotText,
    /// The entry is the empty string. Phones send it.
    #[error("empty")]
    Empty,
    /// The address has no port. Phones send it.
    #[error("no port")]
    NoPort,
    /// The entry is not an address.
    #[error("not an address")]
    Malformed,
    /// No packet can be sent to the address: its port is 0, or it is unspecified, multicast or broadcast.
    #[error("not the address of one endpoint")]
    NotUnicast,
    /// The command has [`MAX_ADDRESSES`] addresses before this one.
    #[error("too many addresses")]
    TooMany,
}

impl PeerInfo {
    /// Reads the arguments of a `setPeerInfo` command. Bad entries are skipped, and the others are kept.
    pub fn read(arguments: &[Value]) -> Self {
        let mut info = Self::default();
        for argument in arguments {
            match entry(argument) {
                Ok(address) if info.addresses.contains(&address) => {}
                Ok(address) if info.addresses.len() < MAX_ADDRESSES => info.addresses.push(address),
                Ok(_) => info.skip(argument, SkipReason::TooMany),
                Err(reason) => info.skip(argument, reason),
            }
        }
        info
    }

    fn skip(&mut self, argument: &Value, reason: SkipReason) {
        const KEPT_CHARS: usize = 64;
        self.skipped_count += 1;
        if self.skipped.len() < MAX_SKIPPED {
            let text = argument.as_str().unwrap_or_default().chars().take(KEPT_CHARS).collect();
            self.skipped.push(Skipped { text, reason });
        }
    }
}

fn entry(argument: &Value) -> Result<SocketAddr, SkipReason> {
    let text = argument.as_str().ok_or(SkipReason::NotText)?.trim();
    if text.is_empty() {
        return Err(SkipReason::Empty);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let without_brackets = text.trim_end_matches(':').trim_matches(['[', ']']);
        let is_ip = without_brackets.parse::<IpAddr>().is_ok();
        return Err(if is_ip { SkipReason::NoPort } else { SkipReason::Malformed });
    };
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(SkipReason::NotUnicast);
    }
    Ok(SocketAddr::new(ip, address.port()))
}

/// Whether a server should assume that a client is behind a NAT: it is if the address at which the server sees it is not among the addresses
/// that it reports (RFC 7425 §5.3.3).
pub fn behind_nat(observed: SocketAddr, reported: &[SocketAddr]) -> bool {
    let canonical = |address: &SocketAddr| (address.ip().to_canonical(), address.port());
    !reported.iter().any(|address| canonical(address) == canonical(&observed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| Value::from(*text)).collect()
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_example_of_the_rfc() {
        let info = PeerInfo::read(&strings(&["192.0.2.129:50001", "[2001:db8:1::2]:50002"]));
        assert_eq!(info.addresses, addresses(&["192.0.2.129:50001", "[2001:db8:1::2]:50002"]));
        assert_eq!(info.skipped_count, 0);
    }

    #[test]
    fn bad_entries_do_not_affect_the_others() {
        use SkipReason::*;
        let entries = [
            ("", Empty),
            ("  ", Empty),
            ("192.0.2.1", NoPort),
            ("192.0.2.1:", NoPort),
            ("fe80::1", NoPort),
            ("[fe80::1]", NoPort),
            ("192.0.2.1:99999", Malformed),
            ("[fe80::1%wlan0]:1", Malformed),
            ("example.org:1935", Malformed),
            ("192.0.2.1:0", NotUnicast),
            ("0.0.0.0:1", NotUnicast),
            ("224.0.0.1:1", NotUnicast),
            ("255.255.255.255:1", NotUnicast),
            ("[ff02::1]:1", NotUnicast),
        ];
        let mut arguments = vec![Value::Null];
        for (text, _) in entries {
            arguments.push(text.into());
        }
        arguments.push("192.0.2.1:1".into());
        let info = PeerInfo::read(&arguments);
        assert_eq!(info.addresses, addresses(&["192.0.2.1:1"]));
        assert_eq!(info.skipped_count, entries.len() + 1);
        assert_eq!(info.skipped[0].reason, NotText);
        for (skipped, (text, reason)) in info.skipped[1..].iter().zip(entries) {
            assert_eq!((skipped.text.as_str(), skipped.reason), (text, reason));
        }
    }

    #[test]
    fn no_address_at_all() {
        assert_eq!(PeerInfo::read(&[]), PeerInfo::default());
    }

    #[test]
    fn both_lists_are_bounded() {
        let many: Vec<Value> = (1..=100).map(|port| Value::from(format!("192.0.2.1:{port}"))).collect();
        let info = PeerInfo::read(&many);
        assert_eq!((info.addresses.len(), info.skipped.len(), info.skipped_count), (MAX_ADDRESSES, MAX_SKIPPED, 84));
        let long = PeerInfo::read(&[Value::from("x".repeat(100_000))]);
        assert_eq!(long.skipped[0].text.len(), 64);
    }

    #[test]
    fn repeated_and_mapped_addresses() {
        let info = PeerInfo::read(&strings(&["192.0.2.1:1", "[::ffff:192.0.2.1]:1", "192.0.2.1:1"]));
        assert_eq!(info.addresses, addresses(&["192.0.2.1:1"]));
        assert_eq!(info.skipped_count, 0);
    }

    #[test]
    fn nat_iff_the_observed_address_is_not_reported() {
        let reported = addresses(&["192.0.2.1:1", "[2001:db8::1]:2"]);
        assert!(!behind_nat("192.0.2.1:1".parse().unwrap(), &reported));
        assert!(!behind_nat("[::ffff:192.0.2.1]:1".parse().unwrap(), &reported));
        assert!(behind_nat("192.0.2.1:3".parse().unwrap(), &reported));
        assert!(behind_nat("198.51.100.1:1".parse().unwrap(), &reported));
        assert!(behind_nat("192.0.2.1:1".parse().unwrap(), &[]));
    }
}

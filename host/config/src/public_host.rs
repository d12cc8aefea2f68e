//! The host by which others reach this machine, where it is behind a NAT.

use std::fmt;
use std::net::IpAddr;

use super::rule::host_name;
use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};

/// The host by which others reach this machine: an address, or a name and the addresses that it had when it was looked up last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    name: Option<String>,
    addresses: Vec<IpAddr>,
}

impl PublicHost {
    /// Reads an address, or the name of a host, which has no address until it is looked up.
    ///
    /// # Errors
    /// If the text is neither, or an address of no single machine.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            if !is_usable(&ip) {
                return Err(format!("{ip} is nothing that others could reach"));
            }
            return Ok(Self { name: None, addresses: vec![ip] });
        }
        let name = host_name(text);
        let name = name.ok_or_else(|| format!("`{}` is neither an IP address nor a host name", shown_value(text)))?;
        Ok(Self { name: Some(name), addresses: Vec::new() })
    }

    /// The name, if the configuration has one in place of an address.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The addresses, in an order of their own; none if the name has none now.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The same host with these addresses, which its name has now. Those that lead to no single machine are left out. An address stays
    /// what it is.
    #[must_use]
    pub fn with_addresses(self, found: &[IpAddr]) -> Self {
        if self.name.is_none() {
            return self;
        }
        let mut addresses: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).filter(is_usable).collect();
        // The answer of a name server may have another order each time.
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses, ..self }
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        match &self.name {
            None => f.write_str(&addresses),
            Some(name) if addresses.is_empty() => write!(f, "{name}, which has no address now"),
            Some(name) => write!(f, "{name}, which is {addresses} now"),
        }
    }
}

/// Whether others can reach a machine by it.
fn is_usable(ip: &IpAddr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast())
}

/// An IP address or the name of a host, or none.
pub(crate) struct PublicAddress;

impl Described for PublicAddress {
    fn describe(&self) -> String {
        "an IP address or a host name".into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for PublicAddress {
    type Value = Option<PublicHost>;

    fn parse(&self, text: &str) -> Result<Option<PublicHost>, Wrong> {
        PublicHost::parse(text).map(Some).map_err(|why| match text.parse::<IpAddr>() {
            Ok(_) => why.into(),
            Err(_) => Wrong::Syntax,
        })
    }

    fn default(&self) -> Option<PublicHost> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> PublicHost {
        PublicAddress.parse(text).unwrap().unwrap()
    }

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_known_and_stays_what_it_is() {
        for (text, shown) in
            [("203.0.113.5", "203.0.113.5"), ("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1")]
        {
            let host = host(text).with_addresses(&ips(&["198.51.100.1"]));
            assert_eq!((host.name(), host.addresses(), host.to_string().as_str()), (None, &ips(&[shown])[..], shown));
        }
    }

    #[test]
    fn a_name_has_the_addresses_that_were_found_last() {
        let host = host("Home.Example.NET");
        assert_eq!((host.name(), host.addresses()), (Some("home.example.net"), &[][..]));
        assert_eq!(host.to_string(), "home.example.net, which has no address now");
        let found = ["203.0.113.9", "2001:db8::1", "203.0.113.5", "::ffff:203.0.113.9", "0.0.0.0", "224.0.0.1", "::"];
        let host = host.with_addresses(&ips(&found));
        assert_eq!(host.addresses(), ips(&["203.0.113.5", "203.0.113.9", "2001:db8::1"]));
        assert_eq!(host.to_string(), "home.example.net, which is 203.0.113.5, 203.0.113.9, 2001:db8::1 now");
        assert!(host.with_addresses(&[]).addresses().is_empty());
    }

    #[test]
    fn what_is_neither_address_nor_name_or_leads_nowhere_is_refused() {
        for text in [
            "203.0.113",
            "203.0.113.256",
            "a b",
            "http://example.net",
            "example.net:1935",
            "-..",
            "[::1]",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(PublicAddress.parse(text).is_err(), "{text}");
        }
        assert_eq!(PublicAddress.default(), None);
    }
}

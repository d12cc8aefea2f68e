//! Multicast addresses in groupspecs: where members announce themselves on the local network (WIRE.md §5.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rtmfp::{Origin, TaggedAddress};

use super::error::GroupspecError;

/// An IP multicast address of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MulticastAddress {
    /// The address and the UDP port.
    pub address: SocketAddr,
    /// The only source from which members accept packets, if there is one. It is of the same family.
    pub source: Option<IpAddr>,
}

impl MulticastAddress {
    /// A multicast address.
    ///
    /// # Errors
    /// If the address is not a multicast address, or the source is of the other family.
    pub fn new(address: SocketAddr, source: Option<IpAddr>) -> Result<Self, GroupspecError> {
        if !address.ip().is_multicast() || source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
            return Err(GroupspecError::MulticastAddress);
        }
        Ok(Self { address, source })
    }

    /// The value of the option: the address, and after it that of the source.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut value = Vec::new();
        TaggedAddress::new(self.address, Origin::Unspecified).put(&mut value);
        match self.source {
            Some(IpAddr::V4(ip)) => value.extend_from_slice(&ip.octets()),
            Some(IpAddr::V6(ip)) => value.extend_from_slice(&ip.octets()),
            None => {}
        }
        value
    }

    /// Reads the value of an option. `None` if it is none, or has no port.
    pub(super) fn read(mut value: &[u8]) -> Option<Self> {
        let TaggedAddress { address, .. } = TaggedAddress::take(&mut value).ok()?;
        let source = match value.len() {
            0 => None,
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
            _ => return None,
        };
        Self::new(address, source).ok().filter(|read| read.address.port() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groupspec::{GroupSpecifier, Groupspec, SpecOption, kind};

    #[test]
    fn what_is_added_is_read_in_its_order() {
        let mut group = GroupSpecifier::new("g").unwrap();
        let added = [
            ("224.0.0.254:30000", None),
            ("[ff03::ffff]:30000", None),
            ("232.1.1.1:1", Some("192.0.2.1")),
            ("[ff35::1]:65535", Some("2001:db8::1")),
        ]
        .map(|(address, source)| MulticastAddress {
            address: address.parse().unwrap(),
            source: source.map(|source| source.parse().unwrap()),
        });
        for MulticastAddress { address, source } in added {
            group.add_ip_multicast_address(address, source).unwrap();
        }
        assert!(group.with_authorizations().unwrap().multicast_addresses().eq(added));
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        let right = MulticastAddress::new("224.0.0.254:30000".parse().unwrap(), None).unwrap();
        let value = right.write();
        assert_eq!(MulticastAddress::read(&value), Some(right));
        for end in 0..value.len() {
            assert_eq!(MulticastAddress::read(&value[..end]), None, "{end} bytes");
        }
        let with = |address: &str, more: usize| {
            let mut value = Vec::new();
            TaggedAddress::new(address.parse().unwrap(), Origin::Unspecified).put(&mut value);
            value.extend(vec![1; more]);
            MulticastAddress::read(&value)
        };
        assert!(with("224.0.0.1:7", 4).is_some() && with("[ff02::1]:7", 16).is_some());
        for (address, more) in [
            ("192.0.2.1:7", 0),
            ("224.0.0.1:0", 0),
            ("224.0.0.1:7", 3),
            ("224.0.0.1:7", 5),
            ("224.0.0.1:7", 16),
            ("[ff02::1]:7", 4),
        ] {
            assert_eq!(with(address, more), None, "{address} {more}");
        }
        // One in the canonical part, where nobody puts it, is not one of the holder of the text.
        let options = [(kind::NAME, &b"g"[..]), (kind::IP_MULTICAST_ADDRESS, &value)];
        let group = Groupspec::from_options(options.map(|(kind, value)| SpecOption { kind, value })).unwrap();
        assert_eq!(group.multicast_addresses().count(), 0);
    }
}

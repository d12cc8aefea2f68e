//! Which addresses are public: those of hosts on the Internet, rather than of this machine, its network, or no host at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public (the registry of special-purpose addresses of RFC 6890, and multicast), as address and bits.
const NOT_PUBLIC_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Whether an address is that of a host on the Internet. An address of IPv6 that leads to one of IPv4 is as public as that.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|(network, bits)| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == u32::from_be_bytes(*network) & mask
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |from: usize| {
        let octets = address.octets();
        let four = octets.get(from..from + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
        four.is_some_and(|four| is_public_v4(four.into()))
    };
    match address.segments() {
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(12),
        // 6to4 (RFC 3056).
        [0x2002, ..] => embedded(2),
        // Teredo, ORCHID, benchmarks and the like (RFC 2928), and both networks for documents.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only this part is given to hosts of the Internet.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_public_and_all_others_are_not_in_whatever_form() {
        let private = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
        ];
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.0",
            "223.255.255.255",
        ];
        for (list, expected) in [(&private[..], false), (&public[..], true)] {
            for text in list {
                let plain: Ipv4Addr = text.parse().unwrap();
                let [a, b, c, d] = plain.octets().map(u16::from);
                let (high, low) = (a << 8 | b, c << 8 | d);
                let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low);
                let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
                let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);
                for address in [IpAddr::V4(plain), mapped.into(), nat64.into(), six_to_four.into()] {
                    assert_eq!(is_public(address), expected, "{address}");
                }
                // A form that is no longer in use, and leads nowhere.
                assert!(!is_public(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into()), "{text}");
            }
        }
        for (text, expected) in [
            ("::", false),
            ("::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("fc00::1", false),
            ("fd12::1", false),
            ("ff02::1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:1ff::1", false),
            ("2001:db8::1", false),
            ("3fff:1::1", false),
            ("64:ff9b:1::a00:1", false),
            ("5f00::1", false),
            ("2001:200::1", true),
            ("2001:4860:4860::8888", true),
            ("2606:4700::1111", true),
            ("2a00:1450::1", true),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }
}

//! What NATs do, in the words of RFC 4787, as rules of nftables. `nat_behaviour` proves each kind.

use std::net::Ipv4Addr;

/// How a NAT maps the ports of the hosts behind it, and which packets it lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// The same outside port for every destination, another one than the host's own; packets come in from everywhere.
    FullCone,
    /// A [`Nat::FullCone`] that takes packets from the inside to its own outside address for those that they are meant for
    /// (hairpinning). The other kinds drop them.
    Hairpinning,
    /// The same outside port for every destination, another one than the host's own; packets come in only from addresses that the
    /// host has sent to from that port.
    AddressRestricted,
    /// The host's own port for every destination, unless it is taken; packets come in only from addresses and ports that the host
    /// has sent to. Most homes have such a NAT.
    PortRestricted,
    /// Another outside port for each destination; packets come in only from that destination.
    Symmetric,
}

impl Nat {
    /// The rules of a NAT with that outside address. Its interfaces are `wan` and `br0`.
    pub(crate) fn rules(self, outside: Ipv4Addr) -> String {
        let translation = match self {
            Self::FullCone => allotting(outside, "", "oifname wan"),
            // Packets from the inside that stay there get an outside source address too.
            Self::Hairpinning => {
                let inward = format!("iifname br0 ip daddr {outside} dnat ip to udp dport map @insides\n");
                allotting(outside, "", "oifname { wan, br0 }")
                    + &format!("chain inward {{\n type nat hook prerouting priority -100;\n {inward} }}\n")
            }
            Self::AddressRestricted => allotting(outside, "ip saddr . udp dport @permitted", "oifname wan"),
            Self::PortRestricted => masquerading(""),
            Self::Symmetric => masquerading("fully-random"),
        };
        // Unsolicited packets are dropped silently, as routers do: they must not count as connections of the router's own.
        format!(
            "table ip nat {{\n{translation}\
             chain self {{\n type filter hook input priority 0;\n iifname wan drop\n meta l4proto udp drop\n }}\n\
             chain pass {{\n type filter hook forward priority 0;\n ct status dnat accept\n iifname wan ct state new,invalid drop\n }}\n}}\n"
        )
    }

    /// More rules, for a NAT that forwards these UDP ports of its outside address to a host behind it.
    pub(crate) fn forwarding(ports: &str, to: Ipv4Addr) -> String {
        format!(
            "table ip forwarded {{\n\
             chain in {{\n type nat hook prerouting priority -110;\n iifname wan udp dport {ports} dnat to {to}\n }}\n}}\n"
        )
    }
}

/// Connection tracking gives out ports, and passes what belongs to a connection.
fn masquerading(ports: &str) -> String {
    format!(
        "chain out {{\n type nat hook postrouting priority 100;\n oifname wan meta l4proto udp masquerade {ports}\n }}\n"
    )
}

/// Each port of each host has an outside port of its own, of 200 at most, which is forwarded to it from those who are `permitted`. Packets that leave by
/// `way` are translated.
///
/// `numgen` counts in the machine's order of bytes, and ports have the network's: as a rule they are 48 * 256, 49 * 256 and so on.
fn allotting(outside: Ipv4Addr, permitted: &str, way: &str) -> String {
    format!(
        "map outsides {{\n type ipv4_addr . inet_service : inet_service\n size 4096\n flags dynamic\n }}\n\
         map insides {{\n type inet_service : ipv4_addr . inet_service\n size 4096\n flags dynamic\n }}\n\
         set permitted {{\n type ipv4_addr . inet_service\n size 4096\n flags dynamic\n }}\n\
         chain allot {{\n type filter hook forward priority -10;\n iifname br0 meta l4proto udp ct state new \
         add @outsides {{ ip saddr . udp sport : numgen inc mod 200 offset 48 }}\n }}\n\
         chain out {{\n type nat hook postrouting priority 100;\n iifname br0 {way} meta l4proto udp \
         snat ip to {outside} : ip saddr . udp sport map @outsides\n }}\n\
         chain learn {{\n type filter hook postrouting priority 110;\n iifname br0 {way} meta l4proto udp jump note\n }}\n\
         chain note {{\n ct direction original update @insides {{ udp sport : ct original ip saddr . ct original proto-src }}\n\
         update @permitted {{ ip daddr . udp sport }}\n }}\n\
         chain in {{\n type nat hook prerouting priority -100;\n iifname wan {permitted} dnat ip to udp dport map @insides\n }}\n"
    )
}

//! Which of the addresses that a peer reports are believed.
//!
//! A peer that is introduced to another sends packets to all addresses of the other. A peer that could name any address would aim all
//! others at a victim of its choice. So an address is believed if the peer itself has been seen there or if packets to it do not leave a
//! site, and beyond that for a few hosts: a peer may have two networks, or IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};

use rtmfp::is_private;

/// How many hosts are believed that are neither where the peer is seen nor in a private network: a computer has several IPv6 addresses
/// at a time, a lasting one and temporary ones for privacy.
pub const MAX_OTHER_HOSTS: usize = 3;
/// How many ports of each of those hosts are believed. A client has one socket for each address.
pub const MAX_PORTS_ELSEWHERE: usize = 2;
/// How many ports are believed of the address where the peer is seen, and of each address in a private network: a NAT may show one inside
/// port as another.
pub const MAX_PORTS: usize = 4;

/// The reported addresses that are believed of a peer which is seen at `observed`, in the peer's order, each once.
///
/// A loopback address is believed of a peer that is itself seen at one.
pub fn believed(observed: SocketAddr, reported: &[SocketAddr]) -> Vec<SocketAddr> {
    let seen = observed.ip().to_canonical();
    let mut kept: Vec<SocketAddr> = Vec::with_capacity(reported.len().min(introd_policy::MAX_REPORTED));
    let mut others: Vec<IpAddr> = Vec::new();
    for address in reported {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let ip = address.ip();
        if ip.is_loopback() && !seen.is_loopback() || kept.contains(&address) {
            continue;
        }
        let is_near = ip == seen || ip.is_loopback() || is_private(ip);
        let ports = kept.iter().filter(|known| known.ip() == ip).count();
        // A peer that reports the address where it is seen is behind no NAT: this address counts wherever it stands.
        let is_seen = ip == seen && address.port() == observed.port();
        if !is_seen && ports >= if is_near { MAX_PORTS } else { MAX_PORTS_ELSEWHERE } {
            continue;
        }
        if !is_near && !others.contains(&ip) {
            if others.len() >= MAX_OTHER_HOSTS {
                continue;
            }
            others.push(ip);
        }
        kept.push(address);
        if kept.len() >= introd_policy::MAX_REPORTED {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn of(observed: &str, reported: &[&str]) -> Vec<String> {
        believed(observed.parse().unwrap(), &addresses(reported)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_real_clients_report_is_believed() {
        // A home network behind a NAT, with two IPv6 addresses and a tunnel; the port that the NAT maps.
        let list = [
            "192.168.1.5:50001",
            "[fd00::5]:50001",
            "[2001:db8::5]:50001",
            "[2001:db8::a1:5]:50001",
            "10.8.0.2:50001",
            "100.64.3.4:50001",
            "169.254.1.1:50001",
            "[fe80::5]:50001",
            "203.0.113.5:40000",
            "203.0.113.5:50001",
        ];
        assert_eq!(of("203.0.113.5:40000", &list), list);
        // A server in a private network, seen there.
        assert_eq!(of("10.0.0.7:5", &["10.0.0.7:5", "192.0.2.7:5"]), ["10.0.0.7:5", "192.0.2.7:5"]);
    }

    #[test]
    fn no_peer_can_aim_others_at_a_victim() {
        let ports: Vec<String> = (1..=16).map(|port| format!("198.51.100.9:{port}")).collect();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        assert_eq!(of("203.0.113.5:5", &ports), ports[..MAX_PORTS_ELSEWHERE]);
        let hosts: Vec<String> = (1..=16).map(|host| format!("198.51.100.{host}:5")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        assert_eq!(of("203.0.113.5:5", &hosts), hosts[..MAX_OTHER_HOSTS]);
        // Useful addresses come through wherever they stand in the list.
        let mixed = [&ports[..], &hosts[..], &["192.168.1.5:5", "203.0.113.5:6"]].concat();
        let kept = of("203.0.113.5:5", &mixed);
        assert_eq!(kept.len(), MAX_PORTS_ELSEWHERE + (MAX_OTHER_HOSTS - 1) + 2, "{kept:?}");
        assert!(kept.ends_with(&["192.168.1.5:5".to_owned(), "203.0.113.5:6".to_owned()]));
        // Other spellings of an address are the same address.
        assert_eq!(
            of("203.0.113.5:5", &["198.51.100.9:1", "[::ffff:198.51.100.9]:1", "[::ffff:198.51.100.9]:2"]).len(),
            2
        );
    }

    #[test]
    fn ports_of_one_host_are_few() {
        for host in ["203.0.113.5", "192.168.1.5", "127.0.0.1"] {
            let ports: Vec<String> = (1..=16).map(|port| format!("{host}:{port}")).collect();
            let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
            let observed = if host == "192.168.1.5" { "203.0.113.5:7" } else { &format!("{host}:7") };
            let kept = of(observed, &ports);
            assert_eq!(kept[..MAX_PORTS], ports[..MAX_PORTS]);
            let more: &[&str] = if host == "192.168.1.5" { &[] } else { &ports[6..7] };
            assert_eq!(kept[MAX_PORTS..], *more);
        }
    }

    #[test]
    fn loopback_is_believed_of_loopback() {
        let list = ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:6"];
        assert!(of("203.0.113.5:5", &list).is_empty());
        assert_eq!(of("127.0.0.1:9", &list), ["127.0.0.1:5", "[::1]:5", "127.0.0.1:6"]);
    }

    #[test]
    fn a_list_is_cut_where_the_directory_would_cut_it() {
        let private: Vec<String> = (1..=40).map(|host| format!("10.0.0.{host}:5")).collect();
        let private: Vec<&str> = private.iter().map(String::as_str).collect();
        assert_eq!(of("203.0.113.5:5", &private), private[..introd_policy::MAX_REPORTED]);
    }

    #[test]
    fn hosts_in_the_site_and_where_the_peer_is_seen_leave_the_room_of_the_others() {
        let near = ["10.0.0.1:5", "[fe80::1]:5", "[fe80::2]:5", "203.0.113.5:6", "169.254.0.1:5"];
        let others = ["198.51.100.1:5", "198.51.100.2:5", "198.51.100.3:5"];
        let list = [&near[..], &others[..]].concat();
        assert_eq!(of("[::ffff:203.0.113.5]:5", &list), list);
        // Many ports where the peer is seen, as a NAT makes them, and many in the site.
        for host in ["203.0.113.5", "10.0.0.1", "[fe80::1]"] {
            let ports: Vec<String> = (1..=16).map(|port| format!("{host}:{port}")).collect();
            let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
            assert_eq!(of("203.0.113.5:40000", &ports), ports[..MAX_PORTS]);
        }
    }

    #[test]
    fn an_address_counts_once_and_hosts_on_one_computer_are_not_few() {
        assert_eq!(of("203.0.113.5:5", &["10.0.0.1:5", "[::ffff:10.0.0.1]:5", "10.0.0.1:5"]), ["10.0.0.1:5"]);
        let list = ["127.0.0.2:5", "127.0.0.3:5", "127.0.0.4:5", "127.0.0.5:5", "[::1]:5"];
        assert_eq!(of("127.0.0.1:9", &list), list);
    }
}

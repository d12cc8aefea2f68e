//! The answer to a lookup of a connected peer: where the asker should try, and which session is told (RFC 7016 §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;

use rtmfp::SessionId;
use rtmfp::wire::{Origin, TaggedAddress};
use smallvec::SmallVec;

use super::reach::{Rank, canonical, rank};
use super::site::Site;
use introd_policy::{MAX_ADDRESSES, Peer};

/// The two halves of an introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Where the asker should try, the most useful first, at most [`MAX_ADDRESSES`]. If there is none, no redirect must be
    /// sent: an empty one would send the asker to the server itself (RFC 7016 §2.3.5). The target can still be told.
    pub redirect: SmallVec<[TaggedAddress; 4]>,
    /// The session of the target, to which the asker's hello is forwarded so that the target opens its NAT to the asker.
    pub target: SessionId,
}

/// Introduces `target` to the peer whose packets come from `asker`.
///
/// Every peer of the directory can be introduced, that is every one whose connect was accepted. The server of rtmfp-cpp waits
/// for a `setPeerInfo` too. This one does not, because a client with nothing to add to its observed address may never send one.
///
/// If the target stands in the server's own network, `site`, and the asker does not, the asker is told first where the NAT of that network
/// shows the target.
pub fn introduce(target: &Peer, asker: SocketAddr, site: &Site) -> Introduction {
    let asker_ip = asker.ip().to_canonical();
    let observed = canonical(target.observed);
    let is_same_site = site.is_one(asker_ip, observed.ip());
    let outside = site.outside(observed, asker);
    let mut redirect: SmallVec<[TaggedAddress; 4]> =
        outside.iter().map(|address| TaggedAddress::new(*address, Origin::Observed)).collect();
    // The observed address comes first of those of the target, because it is known to work: the NAT, if there is one, holds it open.
    if rank(observed, is_same_site, asker_ip).is_some() {
        redirect.push(TaggedAddress::new(observed, Origin::Observed));
    }
    let mut reported: SmallVec<[(Rank, SocketAddr); 4]> = target
        .reported
        .iter()
        .map(|address| canonical(*address))
        // A peer that is behind no NAT reports the address at which it is observed.
        .filter(|address| *address != observed && !outside.contains(address))
        .filter_map(|address| Some((rank(address, is_same_site, asker_ip)?, address)))
        .collect();
    // The sort is stable: addresses of one rank stay in the peer's own order.
    reported.sort_by_key(|(rank, _)| *rank);
    let room = MAX_ADDRESSES - redirect.len();
    redirect.extend(reported.iter().take(room).map(|(_, address)| TaggedAddress::new(*address, Origin::Reported)));
    Introduction { redirect, target: target.owner }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_session() -> SessionId {
        SessionId::from_wire(77)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn peer(observed: &str, reported: &[&str]) -> Peer {
        let reported = reported.iter().map(|text| address(text)).collect();
        Peer { owner: target_session(), instance: 0, observed: address(observed), reported, is_silent: false }
    }

    fn redirect(observed: &str, reported: &[&str], asker: &str) -> Vec<String> {
        redirect_of(&Site::default(), observed, reported, asker)
    }

    fn redirect_of(site: &Site, observed: &str, reported: &[&str], asker: &str) -> Vec<String> {
        let introduction = introduce(&peer(observed, reported), address(asker), site);
        assert_eq!(introduction.target, target_session());
        introduction.redirect.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_that_reported_nothing() {
        assert_eq!(redirect("203.0.113.5:40000", &[], "198.51.100.1:1"), ["203.0.113.5:40000 (observed)"]);
    }

    #[test]
    fn an_asker_is_told_a_bounded_number_of_addresses_the_observed_one_included() {
        let reported: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let reported: Vec<&str> = reported.iter().map(String::as_str).collect();
        let told = redirect("203.0.113.5:40000", &reported, "198.51.100.1:1");
        assert_eq!((told.len(), told[0].as_str()), (MAX_ADDRESSES, "203.0.113.5:40000 (observed)"));
        assert_eq!(told[15], "192.0.2.15:5 (reported)");
        // Where the observed address is of no use to the asker, there is room for one more.
        let told = redirect("127.0.0.1:9", &reported, "198.51.100.1:1");
        assert_eq!((told.len(), told[15].as_str()), (MAX_ADDRESSES, "192.0.2.16:5 (reported)"));
    }

    #[test]
    fn the_observed_address_is_not_repeated() {
        let list = ["10.0.0.2:1935", "203.0.113.5:40000", "[::ffff:203.0.113.5]:40000", "203.0.113.5:1935"];
        assert_eq!(
            redirect("203.0.113.5:40000", &list, "198.51.100.1:1"),
            ["203.0.113.5:40000 (observed)", "203.0.113.5:1935 (reported)", "10.0.0.2:1935 (reported)"]
        );
    }

    #[test]
    fn mapped_addresses_are_the_ipv4_addresses_that_they_are() {
        assert_eq!(
            redirect("[::ffff:127.0.0.1]:5", &["[::ffff:127.0.0.1]:6"], "[::ffff:127.0.0.1]:7"),
            ["127.0.0.1:5 (observed)", "127.0.0.1:6 (reported)"]
        );
    }

    #[test]
    fn behind_one_nat_private_addresses_come_first() {
        let list = ["[2001:db8::5]:5", "192.168.1.5:5", "[fd00::5]:5"];
        assert_eq!(
            redirect("203.0.113.5:40000", &list, "203.0.113.5:50000"),
            [
                "203.0.113.5:40000 (observed)",
                "192.168.1.5:5 (reported)",
                "[fd00::5]:5 (reported)",
                "[2001:db8::5]:5 (reported)"
            ]
        );
    }

    #[test]
    fn to_others_private_addresses_come_last() {
        let list = ["10.1.2.3:5", "172.16.0.1:5", "100.64.0.1:5", "169.254.1.1:5", "100.128.0.1:5", "[2001:db8::5]:5"];
        assert_eq!(
            redirect("203.0.113.5:40000", &list, "198.51.100.1:1"),
            [
                "203.0.113.5:40000 (observed)",
                "100.128.0.1:5 (reported)",
                "[2001:db8::5]:5 (reported)",
                "10.1.2.3:5 (reported)",
                "172.16.0.1:5 (reported)",
                "100.64.0.1:5 (reported)",
                "169.254.1.1:5 (reported)"
            ]
        );
    }

    #[test]
    fn loopback_only_for_loopback() {
        let list = ["127.0.0.1:9", "[::1]:9", "192.0.2.2:9"];
        assert_eq!(redirect("127.0.0.1:9", &list, "192.0.2.1:5"), ["192.0.2.2:9 (reported)"]);
        assert_eq!(
            redirect("127.0.0.1:9", &list, "[::1]:5"),
            ["127.0.0.1:9 (observed)", "192.0.2.2:9 (reported)", "[::1]:9 (reported)"]
        );
    }

    #[test]
    fn useless_addresses_are_never_sent() {
        let list =
            ["0.0.0.0:5", "[::]:5", "192.0.2.2:0", "224.0.0.1:5", "[ff02::1]:5", "255.255.255.255:5", "[fe80::1]:5"];
        assert_eq!(redirect("203.0.113.5:5", &list, "203.0.113.5:6"), ["203.0.113.5:5 (observed)"]);
        for observed in list {
            assert!(redirect(observed, &[], "203.0.113.5:6").is_empty(), "{observed}");
        }
    }

    #[test]
    fn the_list_is_bounded() {
        let list: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let sent = redirect("203.0.113.5:5", &list, "198.51.100.1:1");
        assert_eq!(sent.len(), MAX_ADDRESSES);
        assert_eq!(sent[1], "192.0.2.1:5 (reported)");
        assert_eq!(sent[15], "192.0.2.15:5 (reported)");
    }

    #[test]
    fn an_introduction_is_made_without_allocating_for_most_peers() {
        let introduction = introduce(
            &peer("203.0.113.5:5", &["10.0.0.1:5", "10.0.1.1:5", "[fd00::1]:5"]),
            address("198.51.100.1:1"),
            &Site::default(),
        );
        assert_eq!(introduction.redirect.len(), 4);
        assert!(!introduction.redirect.spilled());
        assert!(size_of::<Introduction>() <= 192, "{}", size_of::<Introduction>());
    }

    #[test]
    fn the_room_of_an_address_that_is_not_sent_is_free_for_another() {
        let list: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        // An observed address of no use takes no place.
        let sent = redirect("127.0.0.1:5", &list, "198.51.100.1:1");
        assert_eq!((sent.len(), sent[0].as_str()), (MAX_ADDRESSES, "192.0.2.1:5 (reported)"));
    }

    #[test]
    fn an_asker_whose_ipv4_address_is_mapped_is_behind_the_nat_of_its_ipv4_address() {
        let sent = redirect("203.0.113.5:40000", &["192.0.2.7:7", "10.0.0.2:7"], "[::ffff:203.0.113.5]:1");
        assert_eq!(sent[1], "10.0.0.2:7 (reported)");
    }

    #[test]
    fn a_target_beside_the_server_is_told_to_askers_outside_at_the_public_address_and_its_own_port() {
        let home = Site::new(std::sync::Arc::from([address("203.0.113.1:1935")]));
        let list = ["192.168.1.5:4000", "[2001:db8::5]:4000", "203.0.113.1:4000"];
        let told = |observed, asker| redirect_of(&home, observed, &list, asker);
        assert_eq!(
            told("192.168.1.5:4000", "198.51.100.1:1"),
            ["203.0.113.1:4000 (observed)", "192.168.1.5:4000 (observed)", "[2001:db8::5]:4000 (reported)"],
            "it is named once"
        );
        // On the server's own machine.
        assert_eq!(
            told("127.0.0.1:4000", "198.51.100.1:1"),
            ["203.0.113.1:4000 (observed)", "[2001:db8::5]:4000 (reported)", "192.168.1.5:4000 (reported)"]
        );
        // An asker in the same network goes the short way.
        assert_eq!(told("192.168.1.5:4000", "192.168.1.6:1")[0], "192.168.1.5:4000 (observed)");
        // So does one that comes back by the public address.
        assert_eq!(
            told("203.0.113.1:4000", "192.168.1.6:1"),
            ["203.0.113.1:4000 (observed)", "192.168.1.5:4000 (reported)", "[2001:db8::5]:4000 (reported)"]
        );
        // A target elsewhere is told as ever.
        assert_eq!(told("198.51.100.9:4000", "198.51.100.1:1")[0], "198.51.100.9:4000 (observed)");
    }

    #[test]
    fn the_list_is_bounded_beside_the_server_too() {
        let home = Site::new(std::sync::Arc::from([address("203.0.113.1:1935"), address("203.0.113.2:1935")]));
        let list: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let sent = redirect_of(&home, "192.168.1.5:5", &list, "198.51.100.1:1");
        assert_eq!(sent.len(), MAX_ADDRESSES);
        assert_eq!(sent[..3], ["203.0.113.1:5 (observed)", "203.0.113.2:5 (observed)", "192.168.1.5:5 (observed)"]);
    }
}

//! The answer to a lookup: where the asker should try, and who tells the target (RFC 7016 §3.5.1.4, §3.5.1.5).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rtmfp::SessionId;
use rtmfp::wire::{Origin, TaggedAddress};
use smallvec::SmallVec;

use introd_policy::{Addresses, MAX_ADDRESSES, Peer};

/// The two halves of an introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Where the asker should try, the most useful first, at most [`MAX_ADDRESSES`]. If there is none, no redirect must be
    /// sent: an empty one would send the asker to the server itself (RFC 7016 §2.3.5). The target can still be told.
    pub redirect: SmallVec<[TaggedAddress; 4]>,
    /// The session of the target, to which the asker's hello is forwarded so that the target opens its NAT to the asker.
    pub target: SessionId,
}

/// How useful a reported address is to an asker, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    First,
    Second,
    Third,
}

/// Introduces `target` to the peer whose packets come from `asker`.
///
/// Every peer of the directory can be introduced, that is every one whose connect was accepted. rtmfp-cpp's server waits
/// for a `setPeerInfo` too; that message is not waited for here, because a client with nothing to add to its observed
/// address may never send one.
pub fn introduce(target: &Peer, asker: SocketAddr) -> Introduction {
    let asker_ip = asker.ip().to_canonical();
    let mut redirect = SmallVec::new();
    let observed = canonical(target.observed);
    // First what is known to work: the NAT, if there is one, holds this address open.
    if rank(observed, observed.ip(), asker_ip).is_some() {
        redirect.push(TaggedAddress::new(observed, Origin::Observed));
    }
    let mut reported: SmallVec<[(Rank, SocketAddr); 4]> = target
        .reported
        .iter()
        .map(|address| canonical(*address))
        // A peer that is behind no NAT reports the address it is observed at.
        .filter(|address| *address != observed)
        .filter_map(|address| Some((rank(address, observed.ip(), asker_ip)?, address)))
        .collect();
    // A stable sort: among equals the peer's own order stands.
    reported.sort_by_key(|(rank, _)| *rank);
    let room = MAX_ADDRESSES - redirect.len();
    redirect.extend(reported.iter().take(room).map(|(_, address)| TaggedAddress::new(*address, Origin::Reported)));
    Introduction { redirect, target: target.owner }
}

/// The most addresses in a redirect to another server: as many as librtmfp keeps. The other server names them all.
const MAX_ELSEWHERE: usize = 7;
/// So many of them may be servers'.
const MAX_RELAYS: usize = 3;

/// Where `asker` should try to reach a peer of another server: what of the peer's published `addresses` is of use to the asker,
/// the most useful first, and at the end the addresses of that server, which introduces the two when it is asked.
///
/// It comes out empty if it is this server, reached at `own`, that the addresses lead to: the peer is not here any more.
pub fn elsewhere(addresses: &[TaggedAddress], asker: SocketAddr, own: &[SocketAddr]) -> Addresses {
    let asker_ip = asker.ip().to_canonical();
    let mut found = Addresses::new();
    for tagged in addresses.iter().take(4 * MAX_ADDRESSES) {
        let address = canonical(tagged.address);
        if tagged.origin == Origin::Relay && own.contains(&address) {
            return SmallVec::new();
        }
        // Some clients take an address of unknown origin for the news that the peer is gone.
        let origin = if tagged.origin == Origin::Unspecified { Origin::Reported } else { tagged.origin };
        if found.iter().all(|known| known.address != address) {
            found.push(TaggedAddress::new(address, origin));
        }
    }
    // Who is behind the same NAT as the peer is told by where the peer is seen.
    let seen = found.iter().find(|tagged| tagged.origin == Origin::Observed);
    let target_ip = seen.or(found.first()).map_or(asker_ip, |tagged| tagged.address.ip());
    let usable = |tagged: TaggedAddress| Some((rank(tagged.address, target_ip, asker_ip)?, tagged));
    let (relays, mut direct): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) =
        found.into_iter().filter_map(usable).partition(|(_, tagged)| tagged.origin == Origin::Relay);
    direct.sort_by_key(|(rank, tagged)| (tagged.origin != Origin::Observed, *rank));
    let relays = &relays[..relays.len().min(MAX_RELAYS)];
    direct.truncate(MAX_ELSEWHERE - relays.len());
    direct.iter().chain(relays).map(|(_, tagged)| *tagged).collect()
}

/// What a server tells others of where one of its peers can be reached: where it is seen, what it reports, and at the end the
/// server itself, at `relays`, so that whoever looks for the peer can ask there. At most [`MAX_ADDRESSES`].
pub fn published(peer: &Peer, relays: &[SocketAddr]) -> SmallVec<[TaggedAddress; 8]> {
    let relays = &relays[..relays.len().min(MAX_RELAYS)];
    let observed = canonical(peer.observed);
    let reported = peer.reported.iter().map(|address| canonical(*address)).filter(|address| *address != observed);
    let reported = reported.map(|address| TaggedAddress::new(address, Origin::Reported));
    let direct = std::iter::once(TaggedAddress::new(observed, Origin::Observed)).chain(reported);
    let relays = relays.iter().map(|address| TaggedAddress::new(canonical(*address), Origin::Relay));
    direct.take(MAX_ADDRESSES - relays.len()).chain(relays).collect()
}

/// What a server tells others of a peer whose addresses it keeps to itself: that whoever looks for the peer is to ask there.
pub fn relays(relays: &[SocketAddr]) -> SmallVec<[TaggedAddress; 8]> {
    relays.iter().take(MAX_RELAYS).map(|address| TaggedAddress::new(canonical(*address), Origin::Relay)).collect()
}

/// How useful `address` is to the asker, `None` if not at all. The target is observed at `target_ip`.
fn rank(address: SocketAddr, target_ip: IpAddr, asker_ip: IpAddr) -> Option<Rank> {
    let ip = address.ip();
    // Nothing can be sent to these. What is sent to a multicast or broadcast address reaches hosts that asked for nothing.
    if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast(ip) {
        return None;
    }
    // A loopback address means another host to everybody else: the asker would talk to itself.
    if ip.is_loopback() {
        return asker_ip.is_loopback().then_some(Rank::Third);
    }
    // Such an address is complete only with the name of an interface, which is different on each host and is not sent.
    if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
        return None;
    }
    // Two peers behind one NAT are best off with their private addresses: many NATs do not pass on what comes from inside
    // for their own outside address. To everybody else private addresses are the last hope (a tunnel, a second network).
    let same_site = asker_ip == target_ip;
    Some(if is_private(ip) == same_site { Rank::First } else { Rank::Second })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// Whether the address is meant for use within one site: private (RFC 1918), shared behind a carrier's NAT (RFC 6598), link
/// local (RFC 3927), or unique local (RFC 4193).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => Ipv6Addr::is_unique_local(&ip),
    }
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
        let introduction = introduce(&peer(observed, reported), address(asker));
        assert_eq!(introduction.target, target_session());
        introduction.redirect.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_that_reported_nothing() {
        assert_eq!(redirect("203.0.113.5:40000", &[], "198.51.100.1:1"), ["203.0.113.5:40000 (observed)"]);
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

    fn addresses(list: &str) -> Vec<TaggedAddress> {
        let tagged = |text: &str| {
            let (address, origin) = text.split_once('=').unwrap();
            let origin = match origin {
                "o" => Origin::Observed,
                "r" => Origin::Reported,
                _ => Origin::Relay,
            };
            TaggedAddress::new(address.parse().unwrap(), origin)
        };
        list.split(' ').map(tagged).collect()
    }

    #[test]
    fn a_peer_of_another_server_is_asked_for_there() {
        let own = [address("198.51.100.1:1935")];
        let list = addresses(
            "10.0.0.2:7=r 203.0.113.5:40000=o [::ffff:203.0.113.5]:40000=r 203.0.113.5:7=r 198.51.100.2:1935=s 127.0.0.1:5=s",
        );
        let sent = elsewhere(&list, address("192.0.2.1:1"), &own);
        assert_eq!(sent[..], addresses("203.0.113.5:40000=o 203.0.113.5:7=r 10.0.0.2:7=r 198.51.100.2:1935=s"));
        // Behind the same NAT.
        let sent = elsewhere(&list, address("203.0.113.5:1"), &own);
        assert_eq!(sent[..], addresses("203.0.113.5:40000=o 10.0.0.2:7=r 203.0.113.5:7=r 198.51.100.2:1935=s"));
    }

    #[test]
    fn nobody_is_sent_to_the_server_that_was_asked() {
        let own = [address("198.51.100.1:1935")];
        let list = addresses("203.0.113.5:40000=o 198.51.100.1:1935=s");
        assert!(elsewhere(&list, address("192.0.2.1:1"), &own).is_empty());
        assert!(elsewhere(&[], address("192.0.2.1:1"), &own).is_empty());
    }

    #[test]
    fn the_other_server_is_among_the_first_addresses() {
        let reported: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let reported: Vec<&str> = reported.iter().map(String::as_str).collect();
        let relays: Vec<SocketAddr> = (1..=5).map(|host| address(&format!("198.51.100.{host}:1935"))).collect();
        let list = published(&peer("203.0.113.5:5", &reported), &relays);
        assert_eq!(list.len(), MAX_ADDRESSES);
        assert_eq!(list[0], TaggedAddress::new(address("203.0.113.5:5"), Origin::Observed));
        let is_relay = |tagged: &TaggedAddress| tagged.origin == Origin::Relay;
        assert!(list[13..].iter().all(is_relay) && !list[..13].iter().any(is_relay));
        let sent = elsewhere(&list, address("203.0.113.77:1"), &[]);
        assert_eq!(sent.len(), 7);
        assert!(sent[4..].iter().all(is_relay) && !sent[..4].iter().any(is_relay));
    }

    #[test]
    fn an_introduction_is_made_without_allocating_for_most_peers() {
        let introduction =
            introduce(&peer("203.0.113.5:5", &["10.0.0.1:5", "10.0.1.1:5", "[fd00::1]:5"]), address("198.51.100.1:1"));
        assert_eq!(introduction.redirect.len(), 4);
        assert!(!introduction.redirect.spilled());
        assert!(size_of::<Introduction>() <= 192, "{}", size_of::<Introduction>());
    }
}

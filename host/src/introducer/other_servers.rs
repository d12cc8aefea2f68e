//! Introductions between servers: what a server publishes of its peers, and where an asker looks for a peer of another server.

use std::net::SocketAddr;

use rtmfp::wire::{Origin, TaggedAddress};
use smallvec::SmallVec;

use super::reach::{canonical, rank};
use super::site::Site;
use introd_policy::{Addresses, MAX_ADDRESSES, Peer};

/// The maximum number of addresses in a redirect to another server: as many as librtmfp keeps. The other server names all addresses.
const MAX_ELSEWHERE: usize = 7;
/// How many of them may be addresses of servers.
const MAX_RELAYS: usize = 3;

/// Where `asker` should try to reach a peer of another server: the published `addresses` of the peer that are of use to the asker,
/// the most useful first, and at the end the addresses of that server, which introduces the two when it is asked.
///
/// It is empty if the addresses lead to this server, which is reached at `own` and stands in the network `site`: the peer is not here any
/// more.
pub fn elsewhere(addresses: &[TaggedAddress], asker: SocketAddr, own: &[SocketAddr], site: &Site) -> Addresses {
    let asker_ip = asker.ip().to_canonical();
    let mut found = Addresses::new();
    for tagged in addresses.iter().take(4 * MAX_ADDRESSES) {
        let address = canonical(tagged.address);
        if tagged.origin == Origin::Relay && own.contains(&address) {
            return SmallVec::new();
        }
        // Some clients take an address of unknown origin as a sign that the peer is gone.
        let origin = if tagged.origin == Origin::Unspecified { Origin::Reported } else { tagged.origin };
        if found.iter().all(|known| known.address != address) {
            found.push(TaggedAddress::new(address, origin));
        }
    }
    // The asker is behind the same NAT as the peer if both are seen at the same address.
    let seen = found.iter().find(|tagged| tagged.origin == Origin::Observed);
    let target_ip = seen.or(found.first()).map_or(asker_ip, |tagged| tagged.address.ip());
    let is_same_site = site.is_one(asker_ip, target_ip);
    let usable = |tagged: TaggedAddress| Some((rank(tagged.address, is_same_site, asker_ip)?, tagged));
    let (relays, mut direct): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) =
        found.into_iter().filter_map(usable).partition(|(_, tagged)| tagged.origin == Origin::Relay);
    direct.sort_by_key(|(rank, tagged)| (tagged.origin != Origin::Observed, *rank));
    let relays = &relays[..relays.len().min(MAX_RELAYS)];
    direct.truncate(MAX_ELSEWHERE - relays.len());
    direct.iter().chain(relays).map(|(_, tagged)| *tagged).collect()
}

/// The addresses that a server publishes of a peer: where the peer is seen, what it reports, and at the end the server itself, at
/// `relays`, so that peers which look for the peer can ask there. At most [`MAX_ADDRESSES`]. If the peer stands in the server's own network,
/// `site`, the list begins with where the NAT of that network shows it to others.
pub fn published(peer: &Peer, relays: &[SocketAddr], site: &Site) -> SmallVec<[TaggedAddress; 8]> {
    let relays = &relays[..relays.len().min(MAX_RELAYS)];
    let observed = canonical(peer.observed);
    let outside = site.outside_of(observed);
    let reported = peer.reported.iter().map(|address| canonical(*address));
    let reported = reported.filter(|address| *address != observed && !outside.contains(address));
    let reported = reported.map(|address| TaggedAddress::new(address, Origin::Reported));
    let seen = outside.iter().copied().chain([observed]).map(|address| TaggedAddress::new(address, Origin::Observed));
    let direct = seen.chain(reported);
    let relays = relays.iter().map(|address| TaggedAddress::new(canonical(*address), Origin::Relay));
    direct.take(MAX_ADDRESSES - relays.len()).chain(relays).collect()
}

/// The addresses that a server publishes of a peer whose own addresses it keeps to itself: those of the server, which an asker
/// should ask.
pub fn relays(relays: &[SocketAddr]) -> SmallVec<[TaggedAddress; 8]> {
    relays.iter().take(MAX_RELAYS).map(|address| TaggedAddress::new(canonical(*address), Origin::Relay)).collect()
}

#[cfg(test)]
mod tests {
    use rtmfp::SessionId;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn peer(observed: &str, reported: &[&str]) -> Peer {
        let (owner, reported) = (SessionId::from_wire(77), reported.iter().map(|text| address(text)).collect());
        Peer { owner, instance: 0, observed: address(observed), reported, is_silent: false }
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
        let sent = elsewhere(&list, address("192.0.2.1:1"), &own, &Site::default());
        assert_eq!(sent[..], addresses("203.0.113.5:40000=o 203.0.113.5:7=r 10.0.0.2:7=r 198.51.100.2:1935=s"));
        // Behind the same NAT.
        let sent = elsewhere(&list, address("203.0.113.5:1"), &own, &Site::default());
        assert_eq!(sent[..], addresses("203.0.113.5:40000=o 10.0.0.2:7=r 203.0.113.5:7=r 198.51.100.2:1935=s"));
    }

    #[test]
    fn no_asker_is_sent_to_the_server_that_it_asked() {
        let own = [address("198.51.100.1:1935")];
        let list = addresses("203.0.113.5:40000=o 198.51.100.1:1935=s");
        assert!(elsewhere(&list, address("192.0.2.1:1"), &own, &Site::default()).is_empty());
        assert!(elsewhere(&[], address("192.0.2.1:1"), &own, &Site::default()).is_empty());
    }

    #[test]
    fn the_other_server_is_among_the_first_addresses() {
        let reported: Vec<String> = (1..=40).map(|host| format!("192.0.2.{host}:5")).collect();
        let reported: Vec<&str> = reported.iter().map(String::as_str).collect();
        let relays: Vec<SocketAddr> = (1..=5).map(|host| address(&format!("198.51.100.{host}:1935"))).collect();
        let list = published(&peer("203.0.113.5:5", &reported), &relays, &Site::default());
        assert_eq!(list.len(), MAX_ADDRESSES);
        assert_eq!(list[0], TaggedAddress::new(address("203.0.113.5:5"), Origin::Observed));
        let is_relay = |tagged: &TaggedAddress| tagged.origin == Origin::Relay;
        assert!(list[13..].iter().all(is_relay) && !list[..13].iter().any(is_relay));
        let sent = elsewhere(&list, address("203.0.113.77:1"), &[], &Site::default());
        assert_eq!(sent.len(), 7);
        assert!(sent[4..].iter().all(is_relay) && !sent[..4].iter().any(is_relay));
    }

    #[test]
    fn of_what_a_registry_says_a_bounded_part_is_read() {
        let repeated = TaggedAddress::new(address("192.0.2.1:5"), Origin::Reported);
        let mut list = vec![repeated; 4 * MAX_ADDRESSES - 1];
        list.push(TaggedAddress::new(address("192.0.2.2:5"), Origin::Reported));
        list.push(TaggedAddress::new(address("192.0.2.3:5"), Origin::Reported));
        let sent = elsewhere(&list, address("203.0.113.77:1"), &[], &Site::default());
        assert_eq!(sent[..], addresses("192.0.2.1:5=r 192.0.2.2:5=r"));
    }

    #[test]
    fn an_address_of_unknown_origin_counts_as_reported() {
        let list = [TaggedAddress::new(address("192.0.2.1:5"), Origin::Unspecified)];
        assert_eq!(elsewhere(&list, address("203.0.113.77:1"), &[], &Site::default())[..], addresses("192.0.2.1:5=r"));
    }

    #[test]
    fn a_peer_may_report_the_address_of_the_server_that_is_asked() {
        let (own, list) = ([address("198.51.100.1:1935")], addresses("203.0.113.5:5=o 198.51.100.1:1935=r"));
        assert_eq!(
            elsewhere(&list, address("203.0.113.77:1"), &own, &Site::default()).len(),
            2,
            "only a relay is this server itself"
        );
    }

    #[test]
    fn the_place_where_a_peer_is_seen_decides_who_is_behind_the_same_nat() {
        // The peer reports an address of its own before the one where it is seen.
        let list = addresses("198.51.100.7:5=r 203.0.113.5:40000=o 10.0.0.2:7=r 192.0.2.7:7=r");
        let sent = elsewhere(&list, address("203.0.113.5:1"), &[], &Site::default());
        assert_eq!(sent[..2], addresses("203.0.113.5:40000=o 10.0.0.2:7=r"));
        let sent = elsewhere(&list, address("198.51.100.7:1"), &[], &Site::default());
        assert_eq!(sent[..2], addresses("203.0.113.5:40000=o 198.51.100.7:5=r"));
    }

    #[test]
    fn the_observed_address_is_published_once() {
        let peer = peer("203.0.113.5:5", &["[::ffff:203.0.113.5]:5", "10.0.0.2:5", "203.0.113.5:5"]);
        let list = published(&peer, &[address("198.51.100.1:1935")], &Site::default());
        assert_eq!(list[..], addresses("203.0.113.5:5=o 10.0.0.2:5=r 198.51.100.1:1935=s"));
    }

    #[test]
    fn a_server_names_a_bounded_number_of_its_own_addresses() {
        let own: Vec<SocketAddr> = (1..=9).map(|host| address(&format!("[::ffff:198.51.100.{host}]:1935"))).collect();
        let expected = addresses("198.51.100.1:1935=s 198.51.100.2:1935=s 198.51.100.3:1935=s");
        assert_eq!(relays(&own)[..], expected);
        assert_eq!(published(&peer("203.0.113.5:5", &[]), &own, &Site::default())[1..], expected);
        let many: Vec<_> = own.iter().map(|address| TaggedAddress::new(*address, Origin::Relay)).collect();
        assert_eq!(elsewhere(&many, address("203.0.113.77:1"), &[], &Site::default())[..], expected);
    }

    #[test]
    fn a_peer_beside_its_server_is_published_where_others_reach_it() {
        let home = Site::new(std::sync::Arc::from([address("203.0.113.1:1935")]));
        let relay = address("203.0.113.1:1935");
        let list = published(&peer("192.168.1.5:4000", &["10.8.0.2:4000", "203.0.113.1:4000"]), &[relay], &home);
        assert_eq!(list[..], addresses("203.0.113.1:4000=o 192.168.1.5:4000=o 10.8.0.2:4000=r 203.0.113.1:1935=s"));
        // Another server tells its own clients the same, and a client that is behind the same NAT the short way.
        let told = |asker: &str, site: &Site| elsewhere(&list, address(asker), &[], site);
        let far = told("198.51.100.7:1", &Site::default());
        assert_eq!(far[..], addresses("203.0.113.1:4000=o 192.168.1.5:4000=o 10.8.0.2:4000=r 203.0.113.1:1935=s"));
        let near = addresses("192.168.1.5:4000=o 203.0.113.1:4000=o 10.8.0.2:4000=r 203.0.113.1:1935=s");
        assert_eq!(told("203.0.113.1:1", &Site::default())[..], near);
        // Two servers in one network.
        assert_eq!(told("192.168.1.9:1", &home)[..], near);
        assert_eq!(published(&peer("198.51.100.9:5", &[]), &[relay], &home)[0], addresses("198.51.100.9:5=o")[0]);
    }
}

//! The NATs of these tests do what their kinds say, by the measures of RFC 4787: which outside port a host gets for which
//! destination, whose packets come in, and whether hosts behind one NAT reach each other by its outside address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use introd_tests::waiting::DEADLINE;

use crate::hosts::{Host, Internet};
use crate::nats::Nat;

/// What the far end's address and port matter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Nothing: endpoint-independent.
    Nothing,
    /// Its address: address-dependent.
    Address,
    /// Its address and its port: address and port-dependent.
    AddressAndPort,
}

/// What a NAT does (RFC 4787).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behaviour {
    /// What decides about the outside port (§4.1).
    mapping: By,
    /// What decides about packets that come in (§5).
    filtering: By,
    /// Whether the outside port is the host's own (§4.2.1).
    preserves_ports: bool,
    /// Whether a host behind it reaches another one by its outside address (§6).
    hairpins: bool,
}

const HOME: Behaviour =
    Behaviour { mapping: By::Nothing, filtering: By::AddressAndPort, preserves_ports: true, hairpins: false };

/// Two hosts on the internet, each with several sockets.
struct Outside {
    near: [UdpSocket; 3],
    far: [UdpSocket; 3],
    _hosts: [Host; 2],
}

impl Outside {
    fn new(net: &Internet) -> Self {
        let hosts = [net.host_v4("s"), net.host_v4("t")];
        let [near, far] = hosts.each_ref().map(|host| [(); 3].map(|()| socket(host)));
        Self { near, far, _hosts: hosts }
    }
}

fn socket(host: &Host) -> UdpSocket {
    let socket = host.inside(|| UdpSocket::bind((host.v4.unwrap(), 0)).unwrap());
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn send(from: &UdpSocket, to: SocketAddr, what: &str) {
    assert_eq!(from.send_to(what.as_bytes(), to).unwrap(), what.len());
}

/// Waits for the next packet: its text and where it comes from.
fn receive(at: &UdpSocket) -> (String, SocketAddr) {
    let mut packet = [0; 64];
    let (length, from) = at.recv_from(&mut packet).expect("a packet comes");
    (String::from_utf8_lossy(&packet[..length]).into_owned(), from)
}

/// The outside address that a socket behind a NAT has for that one on the internet.
fn mapped(inside: &UdpSocket, outside: &UdpSocket) -> SocketAddr {
    send(inside, address(outside), "who am I?");
    let (text, from) = receive(outside);
    assert_eq!(text, "who am I?");
    from
}

fn mapping(inside: &UdpSocket, outside: &Outside) -> By {
    let [near, far] = [&outside.near, &outside.far].map(|sockets| sockets.each_ref().map(|to| mapped(inside, to)));
    // A NAT that gives out ports by chance may give out one twice, but not three times.
    let is_one = |mapped: &[SocketAddr]| mapped.iter().collect::<BTreeSet<_>>().len() == 1;
    match (is_one(&[near, far].concat()), is_one(&near) && is_one(&far)) {
        (true, _) => By::Nothing,
        (false, true) => By::Address,
        (false, false) => By::AddressAndPort,
    }
}

/// What is let in for a socket that has sent to one address only. All that is `expected` to come in must come.
fn filtering(inside: &UdpSocket, outside: &Outside, expected: By) -> By {
    let [known, same_address, _] = &outside.near;
    let to = mapped(inside, known);
    let senders = [(&outside.far[0], By::Nothing), (same_address, By::Address), (known, By::AddressAndPort)];
    let awaited = senders.iter().filter(|(_, filtering)| match expected {
        By::Nothing => true,
        By::Address => *filtering != By::Nothing,
        By::AddressAndPort => *filtering == By::AddressAndPort,
    });
    let mut awaited: BTreeSet<String> = awaited.map(|(_, filtering)| format!("{filtering:?}")).collect();
    // What must not come in is sent first.
    for (from, filtering) in senders {
        send(from, to, &format!("{filtering:?}"));
    }
    let mut came = BTreeSet::new();
    while !awaited.is_empty() {
        let (text, _) = receive(inside);
        awaited.remove(&text);
        came.insert(text);
    }
    let has_come = |filtering: By| came.contains(&format!("{filtering:?}"));
    match (has_come(By::Nothing), has_come(By::Address)) {
        (true, _) => By::Nothing,
        (false, true) => By::Address,
        (false, false) => By::AddressAndPort,
    }
}

/// Whether a packet to the outside address of another host comes to it, and from the sender's outside address.
fn hairpins(one: &UdpSocket, other: &UdpSocket, outside: &UdpSocket, expected: bool) -> bool {
    let (from, to) = (mapped(one, outside), mapped(other, outside));
    send(one, to, "from inside");
    if expected {
        assert_eq!(receive(other), ("from inside".to_owned(), from));
        return true;
    }
    send(outside, to, "from outside");
    receive(other) != ("from outside".to_owned(), address(outside))
}

/// What the NAT in front of two hosts does. Fails if what is expected does not come about in time.
fn behaviour(net: &Internet, one: &Host, other: &Host, expected: Behaviour) -> Behaviour {
    let outside = Outside::new(net);
    let inside = socket(one);
    // A NAT that gives out ports by chance may give out the host's own one time, but not three times.
    let keeps_port = |to: &UdpSocket| mapped(&inside, to).port() == address(&inside).port();
    Behaviour {
        mapping: mapping(&socket(one), &outside),
        filtering: filtering(&socket(one), &outside, expected.filtering),
        preserves_ports: outside.near.iter().all(keeps_port),
        hairpins: hairpins(&socket(one), &socket(other), &outside.near[0], expected.hairpins),
    }
}

#[track_caller]
fn behaves(nat: Nat, expected: Behaviour) {
    let net = Internet::new();
    let router = net.nat("n", nat);
    let (one, other) = (router.host("c1"), router.host("c2"));
    assert_eq!(behaviour(&net, &one, &other, expected), expected, "{nat:?}");
}

#[test]
fn a_full_cone_nat_lets_all_packets_in_to_a_port_that_it_has_given_out() {
    let expected = Behaviour { mapping: By::Nothing, filtering: By::Nothing, preserves_ports: false, hairpins: false };
    behaves(Nat::FullCone, expected);
    behaves(Nat::Hairpinning, Behaviour { hairpins: true, ..expected });
}

#[test]
fn an_address_restricted_nat_lets_packets_in_from_addresses_that_were_sent_to() {
    behaves(
        Nat::AddressRestricted,
        Behaviour { mapping: By::Nothing, filtering: By::Address, preserves_ports: false, hairpins: false },
    );
}

#[test]
fn a_port_restricted_nat_lets_packets_in_from_addresses_and_ports_that_were_sent_to() {
    behaves(Nat::PortRestricted, HOME);
}

#[test]
fn a_symmetric_nat_has_another_port_for_each_destination() {
    behaves(
        Nat::Symmetric,
        Behaviour {
            mapping: By::AddressAndPort,
            filtering: By::AddressAndPort,
            preserves_ports: false,
            hairpins: false,
        },
    );
}

#[test]
fn two_nats_behind_each_other_are_as_strict_as_the_stricter_one() {
    let net = Internet::new();
    let outer = net.nat("n1", Nat::PortRestricted);
    let inner = outer.nat("n2", Nat::PortRestricted);
    let (one, other) = (inner.host("c1"), inner.host("c2"));
    assert_eq!(behaviour(&net, &one, &other, HOME), HOME);
}

#[test]
fn homes_behind_a_carriers_nat_reach_each_other_by_its_address_only_if_it_hairpins() {
    for (nat, hairpins) in [(Nat::PortRestricted, false), (Nat::Hairpinning, true)] {
        let net = Internet::new();
        let carrier = net.carrier("n1", nat);
        let homes = ["n2", "n3"].map(|name| carrier.nat(name, Nat::PortRestricted));
        let [one, other] = homes.each_ref().map(|home| home.host("c"));
        // The homes' own NATs let in only those that the hosts have sent to. With hairpinning, one home must know the other.
        let expected = Behaviour { preserves_ports: !hairpins, ..HOME };
        assert_eq!(behaviour(&net, &one, &other, expected), expected, "{nat:?}");
        let outside = Outside::new(&net);
        let (one, other) = (socket(&one), socket(&other));
        let [from, to] = [&one, &other].map(|inside| mapped(inside, &outside.near[0]));
        assert_eq!([from.ip(), to.ip()], [IpAddr::from(carrier.outside); 2]);
        send(&other, from, "first");
        send(&one, to, "second");
        send(&outside.near[0], to, "last");
        let came = receive(&other);
        assert_eq!(came == ("second".to_owned(), from), hairpins, "{nat:?}: {came:?}");
    }
}

#[test]
fn nothing_comes_in_to_a_port_that_was_not_given_out() {
    for nat in [Nat::FullCone, Nat::Hairpinning, Nat::AddressRestricted, Nat::PortRestricted, Nat::Symmetric] {
        let net = Internet::new();
        let router = net.nat("n", nat);
        let host = router.host("c");
        let outside = Outside::new(&net);
        let inside = socket(&host);
        let own_port = address(&inside).port();
        for to in [own_port, 1935, 20_000] {
            send(&outside.near[0], (router.outside, to).into(), "unsolicited");
        }
        let to = mapped(&inside, &outside.near[0]);
        send(&outside.near[0], to, "solicited");
        assert_eq!(receive(&inside), ("solicited".to_owned(), address(&outside.near[0])), "{nat:?}");
    }
}

#[test]
fn a_forwarded_port_is_the_hosts_own_from_everywhere_and_for_its_answers() {
    let net = Internet::new();
    let router = net.nat("n", Nat::PortRestricted);
    let host = router.forwarded_host("c", "{ 1935, 19350-19353 }");
    let outside = Outside::new(&net);
    for port in [1935, 19350, 19353] {
        let inside = host.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        inside.set_read_timeout(Some(DEADLINE)).unwrap();
        for from in [&outside.near[0], &outside.far[0]] {
            send(from, (router.outside, port).into(), "hello");
            assert_eq!(receive(&inside), ("hello".to_owned(), address(from)));
            send(&inside, address(from), "answer");
            assert_eq!(receive(from), ("answer".to_owned(), (router.outside, port).into()));
        }
    }
    // The host has a public IPv6 address, too.
    let v6 = host.v6.unwrap();
    let inside = host.inside(|| UdpSocket::bind((v6, 1935)).unwrap());
    inside.set_read_timeout(Some(DEADLINE)).unwrap();
    let other = net.host_v6("d");
    let from = other.inside(|| UdpSocket::bind((other.v6.unwrap(), 0)).unwrap());
    from.set_read_timeout(Some(DEADLINE)).unwrap();
    send(&from, (v6, 1935).into(), "hello");
    assert_eq!(receive(&inside), ("hello".to_owned(), address(&from)));
    send(&inside, address(&from), "answer");
    assert_eq!(receive(&from), ("answer".to_owned(), (v6, 1935).into()));
}

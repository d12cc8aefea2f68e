//! Servers on one local network find each other by IP multicast, where their groupspecs ask for it, and only there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_netgroup::discovery::ANNOUNCEMENT_LEN;
use introd_netgroup::{GroupSpecifier, Groupspec};
use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;
use introd_udp::{InterfaceAddress, MulticastReceiver, RecvBatch, interface_addresses, send_multicast};

use crate::hosts::{Host, Internet};
use crate::programs::{POSTING_SERVER, server};

/// A family with its multicast address, and what the servers bind.
const FAMILIES: [(&str, &str); 3] =
    [("224.0.0.254:30000", "0.0.0.0:1936"), ("[ff02::fe]:30000", "[::]:1936"), ("[ff05::fe]:30000", "[::]:1936")];

/// A group whose members find each other at this multicast address.
fn group(name: &str, multicast: Option<&str>) -> Groupspec {
    let mut spec = GroupSpecifier::new(name).unwrap();
    spec.posting_enabled = true;
    spec.ip_multicast_member_updates_enabled = multicast.is_some();
    if let Some(address) = multicast {
        spec.add_ip_multicast_address(address.parse().unwrap(), None).unwrap();
    }
    spec.with_authorizations().unwrap()
}

/// A server on its host. Its files are kept: it loads its script after it has said that it serves.
struct Member {
    host: Host,
    server: Server,
    _files: Files,
}

impl Member {
    fn start(net: &Internet, name: &str, group: &Groupspec, bind: &str) -> Self {
        let host = net.host(name);
        host.count_packets();
        let files = Files::new();
        let config = format!(
            "<LoadOnStartup>true</LoadOnStartup><ScriptEngine><ApplicationObject><config><name>{name}</name><says>{name}</says>\
             <bind>{bind}</bind><groupspec>{}</groupspec></config></ApplicationObject></ScriptEngine>",
            group.as_str()
        );
        files.script("servers", POSTING_SERVER, &config);
        let server = server(&host, &["--conf", &files.path().to_string_lossy()]);
        Self { host, server, _files: files }
    }

    fn has_neighbors(&self, count: usize) {
        self.server.logged().wait_for(&format!("now {count} neighbors."), 1);
    }

    /// Waits for a new posting of another member.
    fn hears(&self, other: &str) {
        let posting = format!("posting of {other}: ");
        self.server.logged().wait_for(&posting, self.server.logged().count(&posting) + 1);
    }
}

#[test]
fn servers_of_one_group_become_neighbours_and_those_of_another_group_do_not() {
    for (multicast, bind) in FAMILIES {
        let net = Internet::new();
        let began = Instant::now();
        let start = |name, group| Member::start(&net, name, &self::group(group, Some(multicast)), bind);
        let [a, b, c, d] = [("a", "g"), ("b", "g"), ("c", "h"), ("d", "h")].map(|(name, group)| start(name, group));
        let all = [&a, &b, &c, &d];
        all.iter().for_each(|member| member.has_neighbors(1));
        println!(
            "{multicast}: two pairs of servers are neighbours {} ms after the first start",
            began.elapsed().as_millis()
        );
        for (one, other) in [(&a, "b"), (&b, "a"), (&c, "d"), (&d, "c")] {
            one.hears(other);
        }
        // Each has heard those of the other group, and done nothing with it.
        for member in all {
            let heard = member.host.packets().multicast_in;
            eventually("more announcements come", || member.host.packets().multicast_in >= heard + 6);
        }
        for Member { host, server, .. } in [a, b, c, d] {
            assert!(!server.logged().so_far().contains("now 2 neighbors"));
            let counted = host.packets();
            assert!(counted.multicast_out > 0 && counted.multicast_from_afar == 0, "{multicast}: {counted:?}");
            let ended = server.stop();
            let counter = |name: &str| ended.counter(&format!("netgroup_announcements_{name}"));
            assert!(counter("sent") > 0 && counter("accepted") > 0 && counter("foreign") > 0, "{multicast}");
            assert_eq!([counter("forged"), counter("over_rate")], [0, 0], "{multicast}");
        }
    }
}

#[test]
fn a_server_whose_groupspec_does_not_ask_for_it_sends_no_multicast() {
    let net = Internet::new();
    let (multicast, bind) = FAMILIES[0];
    let asking = group("g", Some(multicast));
    // The flag alone, an address alone, and neither.
    let mut flag = GroupSpecifier::new("g").unwrap();
    flag.ip_multicast_member_updates_enabled = true;
    let address = GroupSpecifier::encode_ip_multicast_address_spec(multicast.parse().unwrap(), None).unwrap();
    let address: Groupspec = format!("{}{address}", group("g", None).as_str()).parse().unwrap();
    let silent = [flag.with_authorizations().unwrap(), address, group("g", None)];
    let silent = [("a", &silent[0]), ("b", &silent[1]), ("c", &silent[2])];
    let silent = silent.map(|(name, group)| Member::start(&net, name, group, bind));
    // Those that ask, and were started after them, have found each other meanwhile.
    let asking = ["d", "e"].map(|name| Member::start(&net, name, &asking, bind));
    asking.iter().for_each(|member| member.has_neighbors(1));
    for Member { host, server, .. } in silent {
        let counted = host.packets();
        assert!(counted.multicast_out == 0 && counted.multicast_from_afar == 0, "{counted:?}");
        let ended = server.stop();
        let counter = |name: &str| ended.counter(&format!("netgroup_announcements_{name}"));
        assert_eq!([counter("sent"), counter("accepted"), counter("foreign")], [0; 3]);
        assert_eq!(ended.counter("netconnections_opened"), 1);
    }
}

/// The interface of a host with an address of this family, in whose namespace this runs.
fn interface(is_ipv4: bool) -> InterfaceAddress {
    let all = interface_addresses().unwrap();
    *all.iter().find(|known| known.address.is_ipv4() == is_ipv4 && !known.is_loopback).unwrap()
}

/// An announcement that comes to a multicast address.
fn overhear(multicast: SocketAddr) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut receiver = MulticastReceiver::bind(multicast).unwrap();
        assert_eq!(receiver.join(&[interface(multicast.is_ipv4()).interface].into()), 0);
        let mut batch = RecvBatch::new(1);
        loop {
            std::future::poll_fn(|context| receiver.poll_receive(context, &mut batch)).await.unwrap();
            if let Some(datagram) = batch.datagrams().next() {
                return datagram.bytes.to_vec();
            }
        }
    })
}

#[test]
fn ten_thousand_forged_announcements_disturb_nobody() {
    let net = Internet::new();
    let (multicast, bind) = FAMILIES[0];
    let group = group("g", Some(multicast));
    let start = |name| Member::start(&net, name, &group, bind);
    let (a, b, attacker) = (start("a"), start("b"), net.host("x"));
    [&a, &b].iter().for_each(|member| member.has_neighbors(1));
    let before = a.server.resident();
    attacker.count_packets();
    // A host on the network hears what members say, and sends it again as it is and with a change, from its own address.
    let multicast: SocketAddr = multicast.parse().unwrap();
    attacker.inside(|| {
        let said = overhear(multicast);
        assert_eq!(said.len(), ANNOUNCEMENT_LEN);
        let here = interface(true);
        for number in 0..10_000u16 {
            let mut forged = said.clone();
            // Other peer IDs, of nobody.
            if number % 2 == 0 {
                forged[30..32].copy_from_slice(&number.to_be_bytes());
            }
            send_multicast(here.address, here.interface, multicast, &forged).unwrap();
            // Not faster than a server's socket is read on a busy computer.
            if number % 100 == 99 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    // The members go on, and one more finds them.
    a.hears("b");
    b.hears("a");
    let late = start("late");
    late.has_neighbors(2);
    let after = a.server.resident();
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    println!("memory: {before} KiB before, {after} KiB after");
    // Not a packet was sent to the address that the forged ones came from.
    assert_eq!(attacker.packets().unicast_in, 0);
    let ended = a.server.stop();
    let counter = |name: &str| ended.counter(&format!("netgroup_announcements_{name}"));
    println!("forged {}, over the rate {}", counter("forged"), counter("over_rate"));
    // Those of the late member may have been over the rate, too.
    let refused = counter("forged") + counter("over_rate");
    assert!(counter("forged") >= 1000 && refused <= 10_100, "{refused}");
}

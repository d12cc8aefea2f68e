//! Which clients at one address are noticed, and which are not.

use std::sync::Arc;

use super::*;

/// A server in a container: 172.17.0.2 behind the gateway 172.17.0.1.
fn container() -> Standing {
    Standing { interfaces: vec!["172.17.0.2/16".parse().unwrap()], ..Standing::at(Arc::from([])) }
}

fn seen(standing: &Standing, observed: &str, reported: &[&str]) -> Option<Sighting> {
    let reported: Vec<SocketAddr> = reported.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 5)).collect();
    Sighting::of(SocketAddr::new(observed.parse().unwrap(), 40_000), &reported, standing)
}

/// Clients that are seen at one address, each with what it reports.
fn clients(standing: &Standing, observed: &str, reported: impl IntoIterator<Item = String>) -> Vec<Sighting> {
    reported.into_iter().filter_map(|ip| seen(standing, observed, &[&ip])).collect()
}

/// What so many clients in as many homes as there are in an /8 report.
fn homes(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|home| format!("10.{}.{}.7", home / 256, home % 256))
}

fn of(all: &[Sighting]) -> Crowds {
    let crowds = Crowds::default();
    all.iter().for_each(|sighting| crowds.add(*sighting));
    crowds
}

fn is_noticed(standing: &Standing, all: &[Sighting]) -> bool {
    let crowds = of(all);
    let (new, gone) = crowds.judge(standing);
    assert!(gone.is_empty());
    assert_eq!(crowds.noticed(), new);
    !new.is_empty()
}

#[test]
fn many_clients_from_everywhere_at_a_gateways_address_are_noticed_once_and_until_few_are_left() {
    let standing = container();
    let all = clients(&standing, "172.17.0.1", homes(MIN_CROWD));
    let crowds = of(&all[1..]);
    assert_eq!(crowds.judge(&standing), (vec![], vec![]), "one is missing");
    crowds.add(all[0]);
    let noticed = |clients| Noticed { ip: "172.17.0.1".parse().unwrap(), clients };
    assert_eq!(crowds.judge(&standing), (vec![noticed(MIN_CROWD)], vec![]));
    assert_eq!(crowds.judge(&standing), (vec![], vec![]), "it is told once");
    let (leave, stay) = all.split_at(MIN_CROWD - MIN_LEFT);
    leave.iter().for_each(|sighting| crowds.remove(*sighting));
    assert_eq!(crowds.judge(&standing), (vec![], vec![]));
    assert_eq!(crowds.noticed(), [noticed(MIN_LEFT)]);
    crowds.remove(stay[0]);
    assert_eq!(crowds.judge(&standing), (vec![], vec![noticed(MIN_LEFT - 1)]));
    assert!(crowds.noticed().is_empty());
    // It begins anew.
    all[..=leave.len()].iter().for_each(|sighting| crowds.add(*sighting));
    assert_eq!(crowds.judge(&standing).0, [noticed(MIN_CROWD)]);
    // All leave at once.
    all.iter().for_each(|sighting| crowds.remove(*sighting));
    assert_eq!(crowds.judge(&standing).1, [noticed(0)]);
    let table = crowds.0.lock();
    assert!(table.crowds.is_empty() && table.large.is_empty(), "nothing is kept of clients that are gone");
}

#[test]
fn clients_behind_a_nat_of_their_own_are_innocent() {
    let standing = container();
    // The NAT's address is public.
    assert!(clients(&standing, "203.0.113.5", homes(100)).is_empty());
    // It stands in another network than the server: the NAT of a branch office.
    assert!(!is_noticed(&standing, &clients(&standing, "10.2.0.1", homes(100))));
    // It is a neighbour of the server, and the clients are those of one LAN, some of which have a virtual machine.
    let party = (0..200).map(|host| match host % 50 {
        1 => "192.168.56.1".to_owned(),
        _ => format!("192.168.1.{host}"),
    });
    assert!(!is_noticed(&standing, &clients(&standing, "172.17.0.9", party)));
}

#[test]
fn neighbours_that_come_back_by_the_public_address_are_innocent() {
    let home = Standing { interfaces: vec!["192.168.1.2/24".parse().unwrap()], ..container() };
    let neighbours = (0..100).map(|host| format!("192.168.1.{host}"));
    assert!(!is_noticed(&home, &clients(&home, "192.168.1.1", neighbours)));
    // Some of those from everywhere have an address as in the server's network by chance: they are noticed all the same.
    let mixed = homes(60).chain((0..20).map(|host| format!("192.168.1.{host}")));
    assert!(is_noticed(&home, &clients(&home, "192.168.1.1", mixed)));
}

#[test]
fn a_proxy_on_the_servers_own_machine_is_noticed_and_local_clients_are_not() {
    let standing = container();
    for own in ["127.0.0.1", "172.17.0.2", "::1"] {
        assert!(is_noticed(&standing, &clients(&standing, own, homes(50))), "{own}");
    }
    // Clients on the machine report its address, or that of loopback.
    assert!(!is_noticed(&standing, &clients(&standing, "127.0.0.1", (0..50).map(|_| "172.17.0.2".to_owned()))));
    assert!(!is_noticed(&standing, &clients(&standing, "127.0.0.1", (0..50).map(|_| "127.0.0.1".to_owned()))));
}

#[test]
fn what_a_client_reports_explains_where_it_is_seen_or_does_not() {
    let standing = container();
    let hidden =
        |observed, reported: &[&str]| seen(&standing, observed, reported).map(|sighting| sighting.network.is_some());
    for (observed, reported, expected) in [
        ("172.17.0.1", &[][..], None),
        ("172.17.0.1", &["127.0.0.1", "fe80::1", "::1"], None),
        ("172.17.0.1", &["192.168.1.5"], Some(true)),
        ("172.17.0.1", &["127.0.0.1", "2001:db8::5"], Some(true)),
        ("172.17.0.1", &["192.168.1.5", "172.17.0.1"], Some(false)),
        ("172.17.0.1", &["192.168.1.5", "172.17.9.9"], Some(false)),
        ("::ffff:172.17.0.1", &["::ffff:172.17.0.1"], Some(false)),
        ("203.0.113.5", &["192.168.1.5"], None),
        ("2001:db8::1", &["192.168.1.5"], None),
    ] {
        assert_eq!(hidden(observed, reported), expected, "{observed} {reported:?}");
    }
}

#[test]
fn a_bounded_number_of_crowds_is_told_of() {
    let standing = container();
    let crowds = Crowds::default();
    for host in 0..2 * MAX_NOTICED {
        let all = clients(&standing, &format!("172.17.1.{host}"), homes(MIN_CROWD));
        all.iter().for_each(|sighting| crowds.add(*sighting));
    }
    assert_eq!(crowds.judge(&standing).0.len(), MAX_NOTICED);
    assert_eq!(crowds.judge(&standing).0.len(), 0);
    assert_eq!(crowds.noticed().len(), MAX_NOTICED);
}

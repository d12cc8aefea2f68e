//! A server in a home network, whose router forwards its port, with clients beside it and clients elsewhere.

use std::net::{IpAddr, Ipv4Addr};

use introd_tests::program::{Files, Server};

use crate::hosts::{Host, Internet, Router};
use crate::nats::Nat;
use crate::programs::{peer, probe, server};

/// A home whose router keeps the ports of the hosts behind it, and forwards the server's.
struct Home {
    router: Router,
    host: Host,
    server: Server,
    _files: Files,
}

impl Home {
    fn new(net: &Internet) -> Self {
        let router = net.nat("home", Nat::PortRestricted);
        let host = router.forwarded_host("server", "1935");
        let files = Files::new();
        files.server(&format!("<PublicIP>{}</PublicIP>", router.outside));
        let server = server(&host, &["--conf", &files.path().to_string_lossy()]);
        Self { router, host, server, _files: files }
    }
}

/// The asker finds the target, and their packets go directly from one to the other. Of each: its host, the address at which it reaches the
/// server, and the address at which the other sees it.
fn meet(asker: (&Host, Ipv4Addr, Ipv4Addr), target: (&Host, Ipv4Addr, Ipv4Addr)) {
    let uri = |server: Ipv4Addr| format!("rtmfp://{server}/app");
    let peer = peer(target.0, &uri(target.1));
    let before = [asker, target].map(|(host, ..)| host.received());
    let ended = probe(asker.0, &["--json", "--timeout", "30", "--peer", &peer.id, &uri(asker.1)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    for ((host, other), before) in [(asker.0, target.2), (target.0, asker.2)].into_iter().zip(before) {
        let from = IpAddr::V4(other);
        let packets =
            |received: &std::collections::HashMap<IpAddr, (u64, u64)>| received.get(&from).map_or(0, |seen| seen.0);
        let received = host.received();
        assert!(packets(&received) >= packets(&before) + 3, "from {other}: {received:?}");
    }
    assert_eq!(peer.leave().code, Some(0));
}

#[test]
fn a_client_beside_a_home_server_and_one_behind_another_nat_meet_both_ways() {
    let net = Internet::new();
    let home = Home::new(&net);
    let (beside, inside) = (home.router.host("beside"), home.host.v4.unwrap());
    let other = net.nat("other", Nat::PortRestricted);
    let away = other.host("away");
    let public = home.router.outside;
    let (beside, away) = ((&beside, inside, public), (&away, public, other.outside));
    meet(away, beside);
    meet(beside, away);
    home.server.stop();
}

#[test]
fn a_client_on_the_home_servers_own_machine_and_one_elsewhere_meet_both_ways() {
    let net = Internet::new();
    let home = Home::new(&net);
    let (other, public) = (net.nat("other", Nat::PortRestricted), home.router.outside);
    let away = other.host("away");
    let (local, away) = ((&home.host, Ipv4Addr::LOCALHOST, public), (&away, public, other.outside));
    meet(away, local);
    meet(local, away);
    home.server.stop();
}

#[test]
fn clients_beside_a_home_server_meet_in_the_home() {
    let net = Internet::new();
    let home = Home::new(&net);
    let (one, two, inside) = (home.router.host("one"), home.router.host("two"), home.host.v4.unwrap());
    let [one, two] = [&one, &two].map(|host| (host, inside, host.v4.unwrap()));
    meet(one, two);
    home.server.stop();
}

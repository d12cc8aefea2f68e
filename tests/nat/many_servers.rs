//! Client 1 on server A, client 2 on server B, each behind its own NAT: the servers share a registry in Redis.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use introd_client::{Client, Destination, EchoReply};
use introd_flash::client::ConnectOptions;
use introd_tests::libraries::library;
use introd_tests::program::{Files, Server};
use introd_tests::waiting::DEADLINE;
use introd_udp::{BufferSizes, UdpSocket};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rtmfp::crypto::{Group, Identity};
use rtmfp::{Config, PeerId};
use rustix::process::{Signal, kill_process};

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{peer, probe, redis, server};

/// A server that shares the registry at `redis`; `lookups` is what its applications say of lookups.
fn sharing(redis: &Host, lookups: &str) -> Files {
    let files = Files::new();
    files.server(&format!(
        "<PeerRegistry><Plugin path=\"{}\"><Config><url>redis://{}</url><heartbeat>1000</heartbeat></Config></Plugin>\
         <LookupTimeout>2000</LookupTimeout></PeerRegistry>",
        library("registry-redis").display(),
        redis.v4.unwrap()
    ));
    files.application(lookups);
    files
}

/// The same, with the script as it is shipped.
fn scripted(redis: &Host, lookups: &str) -> Files {
    let files = sharing(redis, lookups);
    files.script("meet", include_str!("../../lua/shared-registry/main.lua"), "");
    files
}

fn start(files: &Files, host: &Host) -> Server {
    server(host, &["--conf", &files.path().to_string_lossy()])
}

fn plain(redis: &Host) -> Files {
    sharing(redis, "")
}

fn mode(name: &str) -> String {
    format!("<RTMFP><PeerLookupEvents mode=\"{name}\"/></RTMFP>")
}

/// A client, and its public address.
type Place = (Host, IpAddr);

fn meet(files: impl Fn(&Host) -> Files, places: impl Fn(&Internet) -> (Place, Place)) {
    let net = Internet::new();
    let (r, a, b) = (net.host("r"), net.host("a"), net.host("b"));
    let (first, second) = places(&net);
    let _redis = redis(&r);
    let files = files(&r);
    let (server_a, server_b) = (start(&files, &a), start(&files, &b));
    let address = |server: &Host| match first.1 {
        IpAddr::V4(_) => IpAddr::from(server.v4.unwrap()),
        IpAddr::V6(_) => IpAddr::from(server.v6.unwrap()),
    };
    let uri = |server: &Host| match address(server) {
        IpAddr::V4(ip) => format!("rtmfp://{ip}/meet"),
        IpAddr::V6(ip) => format!("rtmfp://[{ip}]/meet"),
    };

    let peer = peer(&second.0, &uri(&b));
    // The peer is published when it is connected, and that takes a moment to reach Redis.
    let ended = probe(&first.0, &["--json", "--timeout", "20", "--peer", &peer.id, &uri(&a)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    let redirects = report["target"]["redirects"].to_string();
    let relay = SocketAddr::new(address(&b), 1935).to_string();
    assert!(redirects.contains(&relay), "the asker is sent to the other server: {redirects}");
    // Their packets come from the other peer's public address, and no server relays them: the first server sends nothing to
    // the second server's client.
    for (host, other) in [(&first.0, second.1), (&second.0, first.1)] {
        let received = host.received();
        let (packets, bytes) = received.get(&other).copied().unwrap_or_default();
        assert!(packets >= 3 && bytes >= 300, "from {other}: {received:?}");
    }
    let received = second.0.received();
    assert!(!received.contains_key(&address(&a)), "{received:?}");
    assert_eq!(peer.leave().code, Some(0));

    let (a, b) = (server_a.stop(), server_b.stop());
    assert!(a.counter("rtmfp_redirects") >= 1 && a.counter("rtmfp_forwards") == 0, "{a:?}");
    assert!(
        b.counter("rtmfp_lookups") >= 1 && b.counter("rtmfp_redirects") >= 1 && b.counter("rtmfp_forwards") >= 1,
        "{b:?}"
    );
}

fn homes(net: &Internet) -> (Place, Place) {
    (behind(net, Nat::PortRestricted), behind(net, Nat::PortRestricted))
}

fn behind(net: &Internet, kind: Nat) -> Place {
    let nat = net.nat("n", kind);
    let outside = nat.outside;
    (nat.into_host("c"), outside.into())
}

fn open(net: &Internet) -> Place {
    let host = net.host("c");
    let address = host.v4.unwrap().into();
    (host, address)
}

fn open_v6(net: &Internet) -> Place {
    let host = net.host_v6("c");
    let address = host.v6.unwrap().into();
    (host, address)
}

fn behind_two(net: &Internet) -> Place {
    let carrier = net.nat("n", Nat::PortRestricted);
    let outside = carrier.outside;
    (carrier.nat("m", Nat::PortRestricted).into_host("c").behind(carrier), outside.into())
}

#[test]
fn peers_of_two_servers_meet_with_default_settings() {
    meet(plain, homes);
}

#[test]
fn peers_of_two_servers_meet_in_mode_none() {
    meet(|redis| sharing(redis, &mode("None")), homes);
}

#[test]
fn peers_of_two_servers_meet_in_mode_partial() {
    meet(|redis| sharing(redis, &mode("Partial")), homes);
}

#[test]
fn peers_of_two_servers_meet_in_mode_partial_with_a_script() {
    meet(|redis| scripted(redis, &mode("Partial")), homes);
}

#[test]
fn peers_of_two_servers_meet_in_mode_all_with_a_script() {
    meet(|redis| scripted(redis, &mode("All")), homes);
}

#[test]
fn a_peer_behind_a_symmetric_nat_meets_an_open_one() {
    meet(plain, |net| (behind(net, Nat::Symmetric), open(net)));
    meet(plain, |net| (open(net), behind(net, Nat::Symmetric)));
}

#[test]
fn a_peer_behind_two_nats_meets_one_behind_a_nat() {
    meet(plain, |net| (behind_two(net), behind(net, Nat::PortRestricted)));
    meet(plain, |net| (behind(net, Nat::PortRestricted), behind_two(net)));
}

#[test]
fn peers_without_a_nat_meet_over_ipv6() {
    meet(plain, |net| (open_v6(net), open_v6(net)));
}

#[test]
fn peers_that_have_met_need_no_server() {
    let net = Internet::new();
    let (r, a, b) = (net.host("r"), net.host("a"), net.host("b"));
    let (first, second) = homes(&net);
    let _redis = redis(&r);
    let files = plain(&r);
    let (server_a, server_b) = (start(&files, &a), start(&files, &b));
    let uri = |server: &Host| format!("rtmfp://{}/meet", server.v4.unwrap());
    let peer = peer(&second.0, &uri(&b));
    let id: PeerId = peer.id.parse().unwrap();
    let before = second.0.received().get(&first.1).copied().unwrap_or_default();
    let (at_a, servers) = (uri(&a), [server_a.id(), server_b.id()]);
    first.0.inside(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let identity = Identity::ephemeral(&[Group::Modp2], None, false, &mut ChaCha20Rng::seed_from_u64(1));
            let own = identity.peer_id();
            let socket = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), BufferSizes::default()).unwrap();
            let endpoint =
                introd_client::PeerEndpoint::with_sockets(Config::peer(Arc::new(identity)), vec![socket]).unwrap();
            let destination = Destination::resolve(&at_a, |_| true).await.unwrap();
            let client = Client::connect(endpoint, own, destination, &ConnectOptions::default(), DEADLINE).await;
            let mut client = client.unwrap_or_else(|failure| panic!("{failure}"));
            let meeting = client.meet(id, DEADLINE).await.unwrap_or_else(|failure| panic!("{failure}"));
            servers.iter().for_each(|server| kill_process(*server, Signal::STOP).unwrap());
            for _ in 0..200 {
                assert_eq!(client.echo(meeting.session, DEADLINE).await, Ok(EchoReply::Echoed));
            }
            servers.iter().for_each(|server| kill_process(*server, Signal::CONT).unwrap());
            client.close().await;
        });
    });
    let after = second.0.received()[&first.1];
    assert!(after.0 >= before.0 + 200 && after.1 >= before.1 + 200 * 100, "{before:?} {after:?}");
}

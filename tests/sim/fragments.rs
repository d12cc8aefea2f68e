//! Certificates longer than a packet travel in fragments (RFC 7016 §3.4).

use rtmfp::Config;
use rtmfp::crypto::Group;
use rtmfp::wire::chunk::kind;

use crate::network::{Link, fixed, for_seeds, startup_kind};

#[test]
fn ends_with_static_keys_in_every_group_open_a_session() {
    for_seeds(20, |sim| {
        sim.all_links(Link::default().loss(0.1).reorder(0.2).duplicate(0.1));
        let groups = [Group::Modp2, Group::Modp5, Group::Modp14, Group::Modp16];
        let [a, b] = [1, 2].map(|number| {
            // The longest datagram that every IPv4 path carries: longer startup packets do not fit into one.
            sim.node(Config { max_datagram: 548, ..Config::peer(fixed(number, &groups)) })
        });
        sim.recorded = Some(Vec::new());
        sim.connect(a, b);
        let sent = sim.recorded.take().unwrap_or_default();
        let is_fragment = |from| {
            let from = sim.address(from);
            sent.iter().any(|packet| packet.from == from && startup_kind(&packet.data) == Some(kind::PACKET_FRAGMENT))
        };
        assert!(is_fragment(a) && is_fragment(b));
        assert!(sent.iter().all(|packet| packet.data.len() <= 548));
    });
}

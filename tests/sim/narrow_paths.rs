//! Paths that drop longer datagrams without a word, and paths that change (RFC 7016 §3.5.4.3).

use std::time::Duration;

use rtmfp::crypto::Group;
use rtmfp::wire::chunk::kind;
use rtmfp::{Config, MIN_DATAGRAM};

use crate::network::{Link, NodeId, Sim, fixed, for_seeds, startup_kind};

/// What a path of 1000 bytes leaves for a datagram, with the headers of IPv4 and UDP.
const NARROW: usize = 1000 - 28;
/// The longest datagram unless it is set.
const LARGEST: usize = 1192;
const MESSAGE: usize = 20_000;

/// A megabyte each way, which has to arrive whole and in order.
fn megabyte_each_way(sim: &mut Sim, a: NodeId, b: NodeId) {
    let messages: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; MESSAGE]).collect();
    for (from, to) in [(a, b), (b, a)] {
        sim.get_mut(to).messages.clear();
        let flow = sim.open_flow(from, to, b"bulk");
        messages.iter().for_each(|message| sim.send(from, to, flow, message));
    }
    sim.run_until(|sim| sim.messages(a).len() == 50 && sim.messages(b).len() == 50);
    assert!(sim.messages(a) == messages && sim.messages(b) == messages);
}

/// The longest datagrams between two nodes, each way, that were sent while `work` ran, and how many there were.
fn longest_sent(sim: &mut Sim, a: NodeId, b: NodeId, work: impl FnOnce(&mut Sim)) -> [(usize, usize); 2] {
    sim.recorded = Some(Vec::new());
    work(sim);
    let sent = sim.recorded.take().unwrap_or_default();
    [(a, b), (b, a)].map(|(from, to)| {
        let (from, to) = (sim.address(from), sim.address(to));
        let lengths =
            sent.iter().filter(|packet| packet.from == from && packet.to == to).map(|packet| packet.data.len());
        (lengths.clone().max().unwrap_or(0), lengths.count())
    })
}

fn narrowed(sim: &Sim, nodes: [NodeId; 2]) -> [u64; 2] {
    nodes.map(|node| sim.get(node).endpoint.counters().path_narrowed)
}

#[test]
fn a_client_and_a_server_exchange_a_megabyte_each_way() {
    for_seeds(12, |sim| {
        let loss = sim.dice.below(6) as f64 / 100.0;
        sim.all_links(Link::default().mtu(NARROW).loss(loss).jitter(10));
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        megabyte_each_way(sim, client, server);
        if loss == 0.0 {
            sim.run_for(Duration::from_secs(10));
            // What the path carries is known by now, and used.
            let longest = longest_sent(sim, client, server, |sim| megabyte_each_way(sim, client, server));
            assert!(longest.iter().all(|(len, _)| (NARROW - 32..=NARROW).contains(len)), "{longest:?}");
        }
    });
}

#[test]
fn peers_that_a_server_introduced_exchange_a_megabyte_each_way() {
    for_seeds(8, |sim| {
        sim.all_links(Link::default().mtu(NARROW).loss(0.02));
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        sim.connect(a, server);
        sim.connect(b, server);
        let by = sim.address(server);
        sim.open_by(a, b, &[by]);
        sim.run_until(|sim| sim.is_connected(a, b));
        megabyte_each_way(sim, a, b);
    });
}

#[test]
fn paths_of_all_widths_are_used_in_both_directions_each_for_itself() {
    for_seeds(12, |sim| {
        let widths = [0, 1].map(|_| MIN_DATAGRAM + sim.dice.below(1472 - MIN_DATAGRAM as u64) as usize);
        let (a, b) = (sim.peer(), sim.peer());
        sim.one_way(a, b, Link::default().mtu(widths[0]));
        sim.one_way(b, a, Link::default().mtu(widths[1]));
        sim.connect(a, b);
        megabyte_each_way(sim, a, b);
        sim.run_for(Duration::from_secs(10));
        let longest = longest_sent(sim, a, b, |sim| megabyte_each_way(sim, a, b));
        for ((longest, _), width) in longest.into_iter().zip(widths) {
            let width = width.min(LARGEST);
            assert!((width.saturating_sub(32)..=width).contains(&longest), "{longest} of {width}");
        }
    });
}

#[test]
fn an_ordinary_path_is_used_in_full_after_one_probe() {
    for_seeds(4, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        sim.connect(a, b);
        let flow = sim.open_flow(a, b, b"short");
        sim.send(a, b, flow, &[1; 400]);
        sim.run_for(Duration::from_secs(5));
        let probes = |sim: &Sim| [a, b].map(|node| sim.get(node).endpoint.counters().path_probes);
        assert_eq!(probes(sim), [0, 0], "short messages need no probe");
        let sent = longest_sent(sim, a, b, |sim| {
            let flow = sim.open_flow(a, b, b"bulk");
            (0..10).for_each(|_| sim.send(a, b, flow, &[7; MESSAGE]));
            sim.run_until(|sim| sim.messages(b).len() == 11);
        });
        assert_eq!(probes(sim), [1, 0]);
        // 200,000 bytes in some 1,100 each, and the packets of the first round trip.
        assert!(sent[0].1 <= 200, "{sent:?}");
    });
}

#[test]
fn a_path_that_becomes_narrower_and_wide_again_stops_nothing() {
    for_seeds(12, |sim| {
        sim.all_links(Link::default().rate(1_000_000, 100_000));
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        megabyte_each_way(sim, client, server);
        let flows = [(client, server), (server, client)].map(|(from, to)| (from, to, sim.open_flow(from, to, b"more")));
        for (from, to, flow) in flows {
            (0..40u8).for_each(|number| sim.send(from, to, flow, &[number; MESSAGE]));
        }
        let pause = sim.dice.below(400);
        sim.run_for(Duration::from_millis(pause));
        // Some fragments are on their way, others wait to be sent again: all of them are too long from now on.
        sim.all_links(Link::default().mtu(NARROW).rate(1_000_000, 100_000).loss(0.01));
        sim.run_until(|sim| sim.messages(client).len() == 90 && sim.messages(server).len() == 90);
        assert_eq!(narrowed(sim, [client, server]), [1, 1]);
        megabyte_each_way(sim, client, server);
        sim.all_links(Link::default());
        sim.run_for(Duration::from_secs(640));
        megabyte_each_way(sim, client, server);
        let longest = longest_sent(sim, client, server, |sim| megabyte_each_way(sim, client, server));
        assert!(longest.iter().all(|(len, _)| *len > LARGEST - 32), "{longest:?}");
        assert_eq!((narrowed(sim, [client, server]), sim.session_count(server)), ([1, 1], 1));
    });
}

#[test]
fn a_client_that_moves_to_a_narrower_path_takes_its_flows_along() {
    for_seeds(12, |sim| {
        sim.all_links(Link::default().rate(1_000_000, 100_000));
        let (server, client) = (sim.server(), sim.peer_behind_nat());
        sim.connect(client, server);
        megabyte_each_way(sim, client, server);
        for (from, to) in [(client, server), (server, client)] {
            let flow = sim.open_flow(from, to, b"more");
            (0..20u8).for_each(|number| sim.send(from, to, flow, &[number; MESSAGE]));
        }
        let pause = sim.dice.below(400);
        sim.run_for(Duration::from_millis(pause));
        sim.rebind(client);
        sim.all_links(Link::default().mtu(NARROW).loss(0.01));
        sim.run_until(|sim| sim.messages(client).len() == 70 && sim.messages(server).len() == 70);
        assert_eq!((sim.session_count(server), sim.times_opened(server)), (1, 1));
    });
}

#[test]
fn an_interruption_makes_no_path_narrower() {
    for_seeds(8, |sim| {
        sim.all_links(Link::default().rate(1_000_000, 100_000));
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        megabyte_each_way(sim, client, server);
        for (from, to) in [(client, server), (server, client)] {
            let flow = sim.open_flow(from, to, b"more");
            (0..40u8).for_each(|number| sim.send(from, to, flow, &[number; MESSAGE]));
        }
        sim.run_for(Duration::from_millis(100));
        sim.all_links(Link::default().loss(1.0));
        let pause = sim.dice.below(20_000);
        sim.run_for(Duration::from_millis(pause));
        sim.all_links(Link::default());
        sim.run_until(|sim| sim.messages(client).len() == 90 && sim.messages(server).len() == 90);
        assert_eq!(narrowed(sim, [client, server]), [0, 0]);
    });
}

/// The hellos and keyings of such peers, as those of rtmfp-cpp's tools are, are longer than the path carries, and go in fragments when
/// they are repeated.
#[test]
fn peers_with_static_keys_open_a_session_over_a_path_that_does_not_carry_their_hellos() {
    for_seeds(12, |sim| {
        sim.all_links(Link::default().mtu(NARROW).loss(0.05));
        let groups = [Group::Modp2, Group::Modp14, Group::Modp16];
        let [a, b] = [1, 2].map(|number| sim.node(Config::peer(fixed(number, &groups))));
        sim.recorded = Some(Vec::new());
        sim.connect(a, b);
        let sent = sim.recorded.take().unwrap_or_default();
        let startup =
            |kind| sent.iter().filter(move |packet| startup_kind(&packet.data) == Some(kind)).map(|p| p.data.len());
        // Whole at first, for far ends that know no fragments.
        assert!(startup(kind::RHELLO).max().is_some_and(|len| len > NARROW));
        assert!(
            startup(kind::PACKET_FRAGMENT).all(|len| len <= MIN_DATAGRAM) && startup(kind::PACKET_FRAGMENT).count() > 0
        );
        megabyte_each_way(sim, a, b);
    });
}

//! A session that makes more work than its share (`Config::max_work`).

use std::num::NonZeroU32;
use std::time::Duration;

use rtmfp::{Config, Event};

use crate::network::{NodeId, Sim, for_seeds};

/// A server whose sessions may make this much work in a second, in units of the engine's.
fn server(sim: &mut Sim, limit: u32) -> NodeId {
    let identity = sim.new_identity();
    sim.node(Config { max_work: NonZeroU32::new(limit), ..Config::server(vec![identity]) })
}

fn overspent(sim: &Sim, server: NodeId) -> Vec<bool> {
    let events = sim.get(server).events.iter();
    let persistent = events.filter_map(|(_, event)| match event {
        Event::Overspent { is_persistent, .. } => Some(*is_persistent),
        _ => None,
    });
    persistent.collect()
}

#[test]
fn a_far_end_with_congestion_control_is_slowed_down_and_loses_nothing() {
    const MESSAGES: usize = 3000;
    for_seeds(1, |sim| {
        let (server, client) = (server(sim, 300), sim.peer());
        sim.connect(client, server);
        let flow = sim.open_flow(client, server, b"m");
        for _ in 0..MESSAGES {
            sim.send(client, server, flow, b"tiny");
        }
        sim.run_for(Duration::from_secs(120));
        assert_eq!(sim.messages(server).len(), MESSAGES);
        let told = overspent(sim, server);
        assert!(!told.is_empty() && !told.contains(&true), "{told:?}");
        assert!(sim.is_connected(client, server));
    });
}

#[test]
fn a_far_end_that_does_not_slow_down_is_told_of() {
    for_seeds(1, |sim| {
        let (server, client) = (server(sim, 300), sim.peer());
        let (id, _) = sim.connect(client, server);
        for _ in 0..130 {
            // Pings obey no congestion control.
            for _ in 0..100 {
                sim.with(client, |endpoint, now| endpoint.ping(now, id, b"x"));
                sim.run_for(Duration::from_millis(1));
            }
        }
        let told = overspent(sim, server);
        assert_eq!(told.first(), Some(&false));
        assert!(told[1..].iter().all(|is_persistent| *is_persistent) && told.len() > 1, "{told:?}");
    });
}

//! A run can be repeated: the same seed makes the same packets at the same times.

use std::time::Duration;

use crate::network::{Link, Packet, Sim};

fn run(seed: u64) -> (Vec<Packet>, Duration) {
    let mut sim = Sim::new(seed);
    sim.recorded = Some(Vec::new());
    sim.all_links(Link::default().loss(0.1).jitter(40).duplicate(0.1));
    let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
    sim.get_mut(server).keying_delay = Duration::from_millis(50);
    sim.connect(a, server);
    sim.connect(b, server);
    let by = sim.address(server);
    sim.open_by(a, b, &[by]);
    sim.open_by(b, a, &[by]);
    sim.run_until(|sim| sim.is_connected(a, b));
    let flow = sim.open_flow(a, b, b"");
    sim.send(a, b, flow, &[1; 20_000]);
    sim.run_until(|sim| sim.messages(b).len() == 1);
    (sim.recorded.take().unwrap_or_default(), sim.elapsed())
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
    assert!(run(1) != run(2));
}

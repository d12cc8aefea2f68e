//! Sessions open, and a first message passes, over paths that lose, double and reorder packets.

use std::time::Duration;

use crate::network::{Link, for_seeds, startup_kind};

#[test]
fn a_session_opens_and_its_first_message_comes_over_a_path_that_loses_a_fifth() {
    for_seeds(300, |sim| {
        sim.all_links(Link::default().loss(0.2).duplicate(0.1).reorder(0.2).jitter(30));
        let (peer, server) = (sim.peer(), sim.server());
        sim.connect(peer, server);
        let flow = sim.open_flow(peer, server, b"first");
        sim.send(peer, server, flow, &[7; 3000]);
        sim.run_until(|sim| sim.messages(server) == [[7; 3000]]);
        // What is still on its way does not open anything, nor does it come again.
        sim.run_for(Duration::from_secs(20));
        assert!(sim.is_connected(peer, server));
        assert_eq!((sim.session_count(peer), sim.session_count(server)), (1, 1));
        assert_eq!((sim.times_opened(peer), sim.times_opened(server)), (1, 1));
        assert_eq!(sim.messages(server).len(), 1);
    });
}

#[test]
fn a_lost_answer_to_the_keying_is_sent_again_without_new_public_key_work() {
    for_seeds(20, |sim| {
        let (peer, server) = (sim.peer(), sim.server());
        let lost = 1 + sim.dice.below(3);
        let mut seen = 0;
        sim.filter(move |packet| {
            let is_answer = startup_kind(&packet.data) == Some(0x78);
            seen += u64::from(is_answer);
            !is_answer || seen > lost
        });
        sim.connect(peer, server);
        assert_eq!(sim.get(server).keying_jobs, 1);
        assert_eq!(sim.get(server).endpoint.counters().repeated_keyings, lost);
        assert_eq!(sim.times_opened(server), 1);
    });
}

#[test]
fn keying_that_takes_long_is_done_once() {
    for_seeds(50, |sim| {
        sim.all_links(Link::default().duplicate(0.3).loss(0.1));
        let (peer, server) = (sim.peer(), sim.server());
        for node in [peer, server] {
            sim.get_mut(node).keying_delay = Duration::from_millis(sim.dice.below(8000));
        }
        sim.connect(peer, server);
        sim.run_for(Duration::from_secs(30));
        assert_eq!((sim.get(server).keying_jobs, sim.times_opened(server), sim.times_opened(peer)), (1, 1, 1));
    });
}

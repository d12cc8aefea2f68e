//! Sessions of which only the responder knows for sure that they are open.

use std::time::Duration;

use rtmfp::CloseReason;

use crate::network::{Link, for_seeds, startup_kind};

#[test]
fn a_responder_soon_gives_up_an_initiator_that_never_spoke() {
    for_seeds(3, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.filter(|packet| startup_kind(&packet.data) != Some(0x78));
        sim.open(client, server);
        sim.run_until(|sim| sim.session_of(server, client).is_some());
        let id = sim.session(server, client);
        sim.get_mut(client).is_dead = true;
        sim.run_for(Duration::from_secs(19));
        assert_eq!(sim.session_count(server), 1);
        sim.run_for(Duration::from_secs(2));
        assert_eq!((sim.session_count(server), sim.closed(server, id)), (0, Some(CloseReason::Silence)));
    });
}

#[test]
fn an_initiator_that_keeps_asking_is_waited_for() {
    for_seeds(3, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let mut answers = 0;
        // At 0, 1, 3.5, 7.5, 13, 20, 28.5 and 38.5 s.
        sim.filter(move |packet| {
            answers += u32::from(startup_kind(&packet.data) == Some(0x78));
            startup_kind(&packet.data) != Some(0x78) || answers > 7
        });
        sim.connect(client, server);
        assert!(sim.elapsed() > Duration::from_secs(30), "{:?}", sim.elapsed());
        assert_eq!((sim.get(server).keying_jobs, sim.times_opened(server)), (1, 1));
    });
}

#[test]
fn an_initiator_with_nothing_to_say_shows_that_it_is_there() {
    for_seeds(10, |sim| {
        sim.all_links(Link::default().loss(0.3));
        let identity = sim.new_identity();
        // Its first keepalive would come much too late.
        let client = sim.node(rtmfp::Config { keepalive: Duration::from_secs(55), ..rtmfp::Config::peer(identity) });
        let server = sim.server();
        sim.connect(client, server);
        sim.run_for(Duration::from_secs(50));
        assert!(sim.is_connected(client, server));
        assert_eq!(sim.times_opened(server), 1);
    });
}

#[test]
fn what_a_responder_says_does_not_keep_the_initiator_from_showing_that_it_is_there() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (_, at_server) = sim.connect(client, server);
        let from = sim.address(client);
        // Everything that the client sends in the first three seconds is lost.
        sim.filter(move |packet| packet.from != from);
        for _ in 0..30 {
            sim.with(server, |endpoint, now| endpoint.ping(now, at_server, b"?"));
            sim.run_for(Duration::from_millis(100));
        }
        sim.filter(|_| true);
        sim.run_for(Duration::from_secs(60));
        assert!(sim.is_connected(client, server));
    });
}

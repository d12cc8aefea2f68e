//! Which endpoint may take an address over from an open session (RFC 7016 §3.5.1.1.2, RFC 7425 §4.3.7).

use std::sync::Arc;
use std::time::Duration;

use rtmfp::{CloseReason, Config, InterfaceId};

use crate::network::for_seeds;

#[test]
fn the_same_identity_replaces_its_old_session() {
    for_seeds(10, |sim| {
        let server = sim.server();
        let identity = sim.new_identity();
        let first = sim.node(Config::peer(Arc::clone(&identity)));
        let (_, old) = sim.connect(first, server);
        let address = sim.address(first);
        sim.get_mut(first).is_dead = true;
        sim.readdress(first, "192.0.2.1:1".parse().unwrap());
        // The client starts again where it was.
        let second = sim.node(Config::peer(identity));
        sim.readdress(second, address);
        sim.open(second, server);
        sim.run_until(|sim| sim.times_opened(second) == 1);
        assert_eq!(sim.closed(server, old), Some(CloseReason::Overridden));
        assert!(sim.is_connected(second, server));
        // RFC 7016 §3.5.1.1.2, point 2.3: the old session moved to S_CLOSED at once, and its far end is told nothing, as it is gone.
        sim.run_for(Duration::from_secs(1));
        assert_eq!(sim.session_count(server), 1);
        assert!(sim.get(server).endpoint.session(old).is_none());
        let flow = sim.open_flow(server, second, b"");
        sim.send(server, second, flow, b"welcome back");
        sim.run_until(|sim| sim.messages(second) == [b"welcome back"]);
        assert_eq!(sim.messages(first).len(), 0);
    });
}

#[test]
fn another_identity_gets_an_address_only_when_its_holder_is_found_dead() {
    for_seeds(10, |sim| {
        let (server, first) = (sim.server(), sim.peer());
        let (_, old) = sim.connect(first, server);
        let address = sim.address(first);
        sim.run_for(Duration::from_secs(20));
        sim.get_mut(first).is_dead = true;
        sim.readdress(first, "192.0.2.1:1".parse().unwrap());
        let second = sim.peer();
        sim.readdress(second, address);
        sim.open(second, server);
        sim.run_for(Duration::from_secs(5));
        assert_eq!((sim.closed(server, old), sim.session_count(server)), (None, 1));
        sim.run_until(|sim| sim.is_connected(second, server));
        assert_eq!(sim.closed(server, old), Some(CloseReason::Silence));
        assert_eq!(sim.session_count(server), 1);
        assert!(sim.elapsed() < Duration::from_secs(50), "{:?}", sim.elapsed());
    });
}

#[test]
fn another_identity_does_not_drive_a_living_session_out() {
    for_seeds(5, |sim| {
        let (server, holder, impostor) = (sim.server(), sim.peer(), sim.peer());
        let (_, old) = sim.connect(holder, server);
        // The impostor speaks from the holder's address and overhears what comes to it, which the holder does not miss.
        let (address, by) = (sim.address(holder), sim.address(server));
        sim.readdress(impostor, address);
        sim.open(impostor, server);
        for _ in 0..60 {
            sim.recorded = Some(Vec::new());
            sim.run_for(Duration::from_secs(1));
            for packet in sim.recorded.take().unwrap_or_default().iter_mut().filter(|packet| packet.to == address) {
                let data = &mut packet.data;
                sim.with(impostor, |endpoint, now| endpoint.handle_datagram(now, InterfaceId(0), by, data));
            }
        }
        assert!(sim.get(server).endpoint.counters().address_taken > 5);
        assert_eq!((sim.closed(server, old), sim.times_opened(server)), (None, 1));
        assert!(sim.is_connected(holder, server));
    });
}

//! Which sessions are closed when all together hold too much.

use super::bench::*;
use crate::endpoint::occupant::Occupant;
use crate::event::CloseReason;
use crate::flow::{Delivery, FlowOptions};
use crate::session_id::SessionId;

/// A server that holds so many bytes for each of its clients, which do not acknowledge them; clients come from these addresses.
struct Crowd {
    bench: Bench,
    server: usize,
    sessions: Vec<SessionId>,
}

impl Crowd {
    fn new(clients: &[([u8; 4], usize)]) -> Self {
        let mut bench = Bench::new();
        let server = bench.add(server(1));
        let mut sessions = Vec::new();
        for (number, (host, len)) in clients.iter().enumerate() {
            let client = bench.add(peer(10 + number as u64));
            bench.nodes[client].address = (*host, 5000 + number as u16).into();
            let (_, session) = bench.connect(client, server);
            bench.nodes[client].is_dead = true;
            bench.ask(server, |endpoint, now| {
                let flow = endpoint.open_flow(now, session, b"", FlowOptions::default()).expect("a flow");
                endpoint.send(now, session, flow, vec![0; *len], Delivery::default()).expect("a message");
            });
            sessions.push(session);
        }
        Self { bench, server, sessions }
    }

    /// What one session holds.
    fn held(&self, place: usize) -> usize {
        match self.bench.endpoint(self.server).slots.get(self.sessions[place]) {
            Some(Occupant::Session(session)) => session.buffered,
            _ => 0,
        }
    }

    /// The clients whose sessions are closed when all may hold so much.
    fn closed(mut self, max: usize) -> Vec<usize> {
        let first = self.sessions[0];
        self.bench.ask(self.server, |endpoint, now| {
            endpoint.config.max_buffered = max;
            endpoint.ping(now, first, b"");
        });
        let endpoint = self.bench.endpoint(self.server);
        let closed: Vec<usize> =
            (0..self.sessions.len()).filter(|place| endpoint.session(self.sessions[*place]).is_none()).collect();
        assert_eq!(endpoint.counters().cut, closed.len() as u64);
        let reasons = self.bench.closed(self.server);
        assert_eq!(reasons, vec![CloseReason::Buffers; closed.len()]);
        closed
    }
}

const A: [u8; 4] = [198, 51, 100, 1];
const B: [u8; 4] = [198, 51, 100, 2];
const C: [u8; 4] = [198, 51, 100, 3];

#[test]
fn sessions_may_hold_as_much_as_the_bound_together_and_no_more() {
    let crowd = || Crowd::new(&[(A, 40_000), (B, 30_000), (C, 20_000)]);
    let all = crowd().bench.endpoint(0).bytes_buffered();
    assert_eq!(all, [0, 1, 2].map(|place| crowd().held(place)).iter().sum::<usize>());
    assert!(all >= 90_000);
    assert_eq!(crowd().closed(all), Vec::<usize>::new());
    assert_eq!(crowd().closed(all - 1), [0], "the one that holds most");
}

#[test]
fn an_eighth_of_the_bound_is_made_free() {
    // Messages of such lengths that the bound can be met exactly.
    let crowd = || Crowd::new(&[(A, 40_000), (B, 30_000), (C, 20_000)]);
    let left = crowd().held(1) + crowd().held(2);
    let crowd = || Crowd::new(&[(A, 40_000), (B, 30_000 + 7 - left % 7), (C, 20_000)]);
    let left = crowd().held(1) + crowd().held(2);
    assert_eq!(left % 7, 0);
    assert_eq!(crowd().closed(left / 7 * 8), [0]);
    assert_eq!(crowd().closed(left / 7 * 8 - 8), [0, 1]);
    assert_eq!(crowd().closed(left), [0, 1]);
}

#[test]
fn the_network_that_holds_most_gives_way_and_in_it_the_session_that_holds_most() {
    let crowd = || Crowd::new(&[(A, 40_000), (B, 20_000), (B, 30_000), (C, 10_000), (B, 5000)]);
    let all = crowd().bench.endpoint(0).bytes_buffered();
    assert_eq!(crowd().closed(all - 1), [2]);
    // Then A holds more than what is left of B.
    assert_eq!(crowd().closed(80_000), [0, 2]);
    assert_eq!(crowd().closed(0), [0, 1, 2, 3, 4]);
}

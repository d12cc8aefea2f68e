//! An endpoint's state as a value, and an endpoint that goes on with it.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::bench::*;
use super::pair::*;
use crate::endpoint::Endpoint;
use crate::flow::{Delivery, FlowOptions};
use crate::handover::{EndpointState, StateError};
use crate::transmit::InterfaceId;

fn taken_over(now: Instant, prefix: u8, state: EndpointState) -> Result<Endpoint, StateError> {
    let config = crate::config::Config { session_prefix: prefix, ..server(1) };
    let mut endpoint = Endpoint::new(now, config, [5; 32]);
    endpoint.take_over(now, now, state, Vec::new(), Some)?;
    Ok(endpoint)
}

/// A server's state in which much is under way: messages queued and in the network, fragments received out of order, a session that closes.
fn busy() -> (Pair, EndpointState) {
    let mut pair = pair();
    let at_server = pair.at_server;
    // The last fragment of three, of a flow that begins with it: it waits for the others.
    pair.client_says(&[(crate::wire::chunk::kind::USER_DATA, &[0xa0, 4, 3, 3, 3, 0, b'T', b'C', 0, b'x'])]);
    let (state, _) = pair.bench.ask(pair.server, |endpoint, now| {
        let flow = endpoint.open_flow(now, at_server, b"busy", FlowOptions::default()).unwrap();
        for length in [10, 4000, 0, 70_000] {
            let until = Delivery { finish_by: Some(now + Duration::from_secs(60)), ..Delivery::default() };
            endpoint.send(now, at_server, flow, vec![7; length], until).unwrap();
        }
        let mut out = Vec::new();
        while endpoint.poll_transmit(now, &mut out).is_some() {
            out.clear();
        }
        endpoint.hand_over(now)
    });
    (pair, state)
}

#[test]
fn the_state_is_the_same_after_it_was_taken_over() {
    let (pair, state) = busy();
    let now = pair.bench.now;
    let mut endpoint = taken_over(now, 0, state.clone()).unwrap();
    assert_eq!((state.session_count(), endpoint.session_count()), (1, 1));
    assert_eq!(endpoint.hand_over(now), state);
    // It is what was given by another endpoint, at another place, or twice.
    assert_eq!(taken_over(now, 3, state.clone()).err(), Some(StateError::Prefix { found: 0, own: 3 }));
    assert_eq!(endpoint.take_over(now, now, state, Vec::new(), Some), Err(StateError::NotEmpty));
}

#[test]
fn nonces_go_over_unless_they_are_forgotten() {
    let mut pair = pair();
    let (server, at_server) = (pair.server, pair.at_server);
    let nonces = |endpoint: &Endpoint| {
        let session = endpoint.session(at_server).unwrap();
        (session.near_nonce, session.far_nonce)
    };
    let now = pair.bench.now;
    let before = nonces(pair.bench.endpoint(server));
    assert!(before.0 != [0; 32] && before.1 != [0; 32]);
    let state = pair.bench.endpoint(server).hand_over(now);
    assert_eq!(nonces(&taken_over(now, 0, state).unwrap()), before);
    pair.bench.ask(server, |endpoint, _| endpoint.forget_nonces(at_server));
    let state = pair.bench.endpoint(server).hand_over(now);
    let forgotten = ([0; 32], [0; 32]);
    assert_eq!(nonces(pair.bench.endpoint(server)), forgotten);
    assert_eq!(nonces(&taken_over(now, 0, state).unwrap()), forgotten);
}

#[test]
fn an_interface_that_the_driver_does_not_have_is_an_error() {
    let (pair, state) = busy();
    let mut endpoint = Endpoint::new(pair.bench.now, server(1), [5; 32]);
    let none = |_: InterfaceId| None;
    let result = endpoint.take_over(pair.bench.now, pair.bench.now, state, Vec::new(), none);
    assert!(matches!(result, Err(StateError::Invalid(_))), "{result:?}");
}

/// Whatever a state says, an endpoint takes it over or refuses it, and goes on without a panic.
#[test]
fn states_that_were_changed_do_no_harm() {
    let (pair, state) = busy();
    let now = pair.bench.now;
    let bytes = postcard::to_stdvec(&state).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut taken = 0;
    for round in 0..4000_u64 {
        let mut changed = bytes.clone();
        for _ in 0..=round % 3 {
            // Most of the bytes are those of long messages, and most of what counts comes before and after them.
            let range = if round % 2 == 0 { changed.len() } else { changed.len().min(700) };
            let place = rng.next_u64() as usize % range;
            changed[place] = rng.next_u32() as u8;
        }
        let Ok(state) = postcard::from_bytes::<EndpointState>(&changed) else { continue };
        let Ok(mut endpoint) = taken_over(now, 0, state) else { continue };
        taken += 1;
        let (mut at, mut out) = (now, Vec::new());
        for _ in 0..20 {
            for _ in 0..50 {
                out.clear();
                if endpoint.poll_transmit(at, &mut out).is_none() {
                    break;
                }
            }
            while endpoint.poll_event().is_some() {}
            at += Duration::from_secs(1);
            endpoint.handle_timeout(at);
        }
        endpoint.close_all(at);
        let _ = endpoint.hand_over(at);
    }
    assert!(taken > 100, "{taken}");
}

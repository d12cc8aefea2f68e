//! Hellos that are forwarded: how many, to whom, and who answers them (RFC 7016 §3.5.1.1.2, §3.5.1.5).

use std::net::SocketAddr;
use std::sync::Arc;

use super::bench::*;
use crate::config::{Config, ForwardedHello, Forwarders};
use crate::crypto::{Epd, Group, Identity};
use crate::event::Deny;
use crate::token_bucket::Rate;
use crate::wire::chunk::{Redirect, kind};

/// Lets `server` forward a hello to `to`, and gives what `to` sends because of it.
fn forward(bench: &mut Bench, server: usize, to: usize, epd: &[u8], tag: &[u8]) -> Vec<(SocketAddr, u8)> {
    let session = bench.session_with(server, to).expect("an open session");
    let (forwarded, sent) =
        bench.ask(server, |endpoint, now| endpoint.forward_for(now, session, epd, stranger(9), tag));
    assert_eq!((forwarded, sent.len()), (Ok(()), 1));
    let answers = bench.deliver(to, sent[0].from, &sent[0].data);
    kinds(&answers)
}

#[test]
fn a_forwarded_hello_is_answered_as_the_settings_say() {
    use ForwardedHello::{Ignore, ImpliedRedirect, RespondHello};
    use Forwarders::{Anybody, Chosen};
    let (hello, redirect) = (Some(kind::RHELLO), Some(kind::REDIRECT));
    for (forwarded_hello, forwarders, is_initiator, expected) in [
        (RespondHello, Anybody, true, hello),
        (RespondHello, Anybody, false, hello),
        (RespondHello, Chosen, true, hello),
        (RespondHello, Chosen, false, None),
        (ImpliedRedirect, Anybody, true, redirect),
        (ImpliedRedirect, Chosen, false, None),
        (Ignore, Anybody, true, None),
    ] {
        let mut bench = Bench::new();
        let (server, target) = (bench.add(server(1)), bench.add(Config { forwarded_hello, forwarders, ..peer(2) }));
        if is_initiator {
            bench.connect(target, server);
        } else {
            bench.connect(server, target);
        }
        let epd = bench.epd(target);
        let answers = forward(&mut bench, server, target, &epd, &[7; 16]);
        let expected: Vec<_> = expected.into_iter().map(|kind| (stranger(9), kind)).collect();
        assert_eq!(answers, expected, "{forwarded_hello:?} {forwarders:?} {is_initiator}");
        // Nor is one answered that selects another, or whose tag is longer than the bound.
        assert_eq!(forward(&mut bench, server, target, &Epd::fingerprint(identity(5).peer_id()), &[7; 16]), []);
        assert_eq!(forward(&mut bench, server, target, &epd, &[7; 64]), expected);
        assert_eq!(forward(&mut bench, server, target, &epd, &[7; 65]), []);
        assert_eq!(bench.endpoint(target).counters().lookups, 0);
    }
}

#[test]
fn an_answer_too_long_for_a_forwarded_hello_gives_way_to_an_implied_redirect() {
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(3);
    let fixed = Arc::new(Identity::fixed(&[Group::Modp2, Group::Modp5], &mut rng));
    let mut bench = Bench::new();
    let (server, target) = (bench.add(server(1)), bench.add(readable(Config::peer(Arc::clone(&fixed)))));
    bench.connect(target, server);
    let epd = bench.epd(target);
    let session = bench.session_with(server, target).unwrap();
    let (_, sent) = bench.ask(server, |endpoint, now| endpoint.forward_for(now, session, &epd, stranger(9), &[7; 16]));
    let answers = bench.deliver(target, sent[0].from, &sent[0].data);
    assert_eq!(kinds(&answers), [(stranger(9), kind::REDIRECT)]);
    let (_, payload) = read(&answers[0]);
    let redirect = Redirect::parse(&payload).unwrap();
    assert_eq!((redirect.tag_echo, redirect.destinations().count()), (&[7; 16][..], 0));
}

#[test]
fn a_session_is_sent_a_bounded_number_of_hellos_and_half_of_it_for_askers_of_one_network() {
    let rate = Rate { burst: 8, per_second: 1 };
    let mut bench = Bench::new();
    let (server, target) = (bench.add(Config { max_forwards: Some(rate), ..server(1) }), bench.add(peer(2)));
    let (_, session) = bench.connect(target, server);
    let epd = bench.epd(target);
    let ask = |bench: &mut Bench, host| {
        bench.with(server, |endpoint, now| endpoint.forward_for(now, session, &epd, stranger(host), &[7; 16]))
    };
    for (host, permitted) in [(1, 4), (2, 4), (3, 0)] {
        let answers: Vec<_> = (0..6).map(|_| ask(&mut bench, host)).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), permitted, "{host}");
        assert!(answers[permitted..].iter().all(|answer| *answer == Err(Deny::TooOften)));
    }
    assert_eq!(bench.endpoint(server).counters().forwards_denied, 10);
    // What was denied because the session had enough has taken nothing of the third network's share.
    bench.now += std::time::Duration::from_secs(4);
    assert_eq!([(); 5].map(|()| ask(&mut bench, 3).is_ok()), [true, true, true, true, false]);
}

#[test]
fn nothing_is_forwarded_to_a_session_that_is_not_open_or_has_too_much_waiting() {
    let mut bench = Bench::new();
    let (server, target) = (bench.add(server(1)), bench.add(peer(2)));
    let (_, session) = bench.connect(target, server);
    let epd = bench.epd(target);
    let endpoint = &mut bench.nodes[server].endpoint;
    let forwarded: Vec<_> =
        (0..200).map(|_| endpoint.forward_for(bench.now, session, &epd, stranger(1), &[7; 16])).collect();
    let fits = forwarded.iter().filter(|forwarded| forwarded.is_ok()).count();
    assert!(forwarded[fits..].iter().all(|forwarded| *forwarded == Err(Deny::QueueFull)));
    // A chunk has 3 bytes of header, 35 of discriminator, 7 of address and 16 of tag; 8192 may wait.
    assert_eq!(fits, 8192 / 61);
    let (_, sent) = bench.ask(server, |endpoint, now| {
        endpoint.close(now, session);
        endpoint.forward_for(now, session, &epd, stranger(1), &[7; 16])
    });
    assert!(sent.iter().all(|datagram| datagram.data.len() <= 1192), "no packet is overrun");
    let (answer, _) =
        bench.ask(server, |endpoint, now| endpoint.forward_for(now, session, &epd, stranger(1), &[7; 16]));
    assert_eq!(answer, Err(Deny::NoSession));
}

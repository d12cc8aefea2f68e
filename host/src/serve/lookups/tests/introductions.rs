//! Introductions by the server itself, and the limits on lookups.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_config::{Config, LookupMode, LookupsFrom};
use introd_policy::Verdict;
use rtmfp::{Origin, PeerId, SessionId, TaggedAddress};

use super::{counted, verdicts};
use crate::introducer::Counter;
use crate::meetings::LookupAnswer;
use crate::network::Standing;
use crate::serve::mail::Mail;
use crate::serve::testing::{World, with_application};

#[test]
fn two_clients_meet_and_so_do_a_stranger_and_a_client() {
    let mut world = World::with_config(|_| ());
    let [asker, target] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let stranger = world.add();
    for (number, end) in [(1, asker), (2, stranger)] {
        let wanted = world.ends[target].id;
        world.look_up(end, wanted);
        assert_eq!(world.ends[end].met, [wanted]);
        assert_eq!(counted(&world), [number, number, number, 0, 0]);
    }
    assert_eq!(world.ends[target].met, [world.ends[asker].id, world.ends[stranger].id]);
}

#[test]
fn a_peer_that_nobody_knows_is_counted_and_nothing_is_answered() {
    let mut world = World::with_config(|_| ());
    let asker = world.client("rtmfp://host/chat");
    world.look_up(asker, PeerId([9; 32]));
    assert_eq!(counted(&world), [1, 0, 0, 0, 1]);
    assert_eq!(world.count(Counter::RegistryLookups), 1);
    assert!(world.ends[asker].met.is_empty());
}

#[test]
fn strangers_are_denied_where_only_clients_may_ask() {
    let mut world = World::with_config(|config: &mut Config| {
        with_application(config, "app", |settings| settings.lookups_from = LookupsFrom::Clients);
    });
    let [asker, target] = [(); 2].map(|()| world.accepted());
    let stranger = world.add();
    let wanted = world.ends[target].id;
    world.look_up(stranger, wanted);
    assert_eq!((counted(&world), world.ends[stranger].met.len()), ([1, 0, 0, 1, 0], 0));
    world.look_up(asker, wanted);
    assert_eq!((counted(&world), world.ends[asker].met.len()), ([2, 1, 1, 1, 0], 1));
}

#[test]
fn a_client_may_look_up_as_many_peers_in_a_second_as_its_application_allows() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.max_lookup_rate = Some(2));
    });
    let [asker, unlimited] = [world.accepted(), world.client("rtmfp://host/chat")];
    let over = |world: &mut World, end: usize| {
        (1..=4).for_each(|number| world.look_up(end, PeerId([number; 32])));
        world.count(Counter::OverRate)
    };
    assert_eq!((over(&mut world, unlimited), world.count(Counter::UnknownTargets)), (0, 4));
    assert_eq!((over(&mut world, asker), world.count(Counter::UnknownTargets)), (2, 6));
    assert_eq!(world.services.refusals.told(), ["MaxLookupRate"]);
    assert_eq!(world.count(Counter::Lookups), 8);
}

#[test]
fn strangers_of_one_address_may_look_up_as_many_clients_in_a_second_as_the_application_allows() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.max_lookup_rate = Some(2));
    });
    let [target, other] = [world.accepted(), world.client("rtmfp://host/chat")];
    let [limited, free] = [target, other].map(|end| world.ends[end].id);
    let stranger = world.add();
    (0..5).for_each(|_| world.look_up(stranger, limited));
    assert_eq!((world.count(Counter::OverRate), world.services.refusals.told()), (3, vec!["MaxLookupRate"]));
    // Neither clients of applications without a limit nor other addresses are concerned.
    (0..5).for_each(|_| world.look_up(stranger, free));
    let another = world.add();
    world.look_up(another, limited);
    assert_eq!((world.count(Counter::OverRate), world.count(Counter::Redirects)), (3, 8));
    // The asker repeats what was not answered.
    world.seconds(3);
    assert!(world.count(Counter::Redirects) > 8);
}

#[test]
fn a_session_that_is_not_accepted_yet_is_limited_as_a_stranger() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.max_lookup_rate = Some(2));
    });
    let target = world.accepted();
    let wanted = world.ends[target].id;
    let asker = world.add();
    world.open(asker);
    (0..5).for_each(|_| world.look_up(asker, wanted));
    assert_eq!(world.count(Counter::OverRate), 3);
}

#[test]
fn an_address_may_look_up_as_many_peers_in_a_second_as_the_server_allows() {
    let mut world = World::with_config(|config| config.server.limits.max_lookup_rate_per_address = Some(3));
    let stranger = world.add();
    (1..=5).for_each(|number| world.look_up(stranger, PeerId([number; 32])));
    assert_eq!((world.count(Counter::OverRate), world.count(Counter::UnknownTargets)), (2, 3));
    assert_eq!(verdicts(&world, LookupAnswer::OverRate), 2);
    assert_eq!(world.services.refusals.told(), ["MaxLookupRatePerAddress"]);
}

#[test]
fn the_hello_for_a_client_of_another_worker_is_sent_there() {
    let mut world = World::with_config(|_| ());
    let asker = world.client("rtmfp://host/chat");
    let (id, session) = (PeerId([9; 32]), SessionId::from_wire(1 << 26 | 5));
    world.services.directory.connect(id, session, 0, ([203, 0, 113, 77], 7).into(), false);
    world.look_up(asker, id);
    assert_eq!(counted(&world), [1, 1, 0, 0, 0], "the other worker counts the hello");
    let Ok(Mail::Forward { session: of, epd, initiator, tag, is_proven: true, relay_port: None }) =
        world.elsewhere.try_recv()
    else {
        panic!()
    };
    assert_eq!((of, initiator), (session, world.ends[asker].address));
    assert_eq!(&*epd, rtmfp::crypto::Epd::fingerprint(id));
    assert!(!tag.is_empty() && world.elsewhere.try_recv().is_err());
}

#[test]
fn a_hello_that_another_worker_received_is_forwarded() {
    let mut world = World::with_config(|_| ());
    let target = world.client("rtmfp://host/chat");
    let session = world.session(target);
    let forward = |session, id| Mail::Forward {
        session,
        epd: Box::from(rtmfp::crypto::Epd::fingerprint(id)),
        initiator: ([203, 0, 113, 77], 7).into(),
        tag: Box::from([5; 16]),
        is_proven: false,
        relay_port: None,
    };
    let id = world.ends[target].id;
    world.deliver(forward(session, id));
    assert_eq!((world.count(Counter::Forwards), world.ends[target].endpoint.counters().hellos), (1, 1));
    world.deliver(forward(SessionId::from_wire(77), id));
    assert_eq!((world.count(Counter::Forwards), world.ends[target].endpoint.counters().hellos), (1, 1));
}

#[test]
fn a_target_without_an_address_that_helps_is_told_and_the_asker_gets_no_redirect() {
    let mut world = World::with_config(|_| ());
    let [asker, target] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let (id, session) = (world.ends[target].id, world.session(target));
    // To an asker elsewhere a loopback address is of no use, and an empty redirect would send it to this server. There is no public
    // address by which others could reach the target.
    world.services.network.set(Standing::at(Arc::from([])));
    world.services.directory.set_observed(&id, session, ([127, 0, 0, 1], 5).into());
    world.look_up(asker, id);
    assert_eq!(counted(&world), [1, 0, 1, 0, 0]);
    world.advance(Duration::from_millis(10));
}

/// A client in the server's own network, and one outside. Others reach the server at 198.51.100.1.
fn beside_the_server(world: &mut World) -> [usize; 2] {
    let inside = world.add();
    world.ends[inside].address = ([192, 168, 1, 5], 4000).into();
    world.connect(inside, "rtmfp://host/chat");
    [inside, world.client("rtmfp://host/chat")]
}

/// Where others reach the client in the server's network.
fn public() -> SocketAddr {
    ([198, 51, 100, 1], 4000).into()
}

#[test]
fn a_client_outside_looks_for_one_beside_the_server_at_the_public_address() {
    let mut world = World::with_config(|_| ());
    let [inside, outside] = beside_the_server(&mut world);
    let wanted = world.ends[inside].id;
    world.look_up(outside, wanted);
    assert!(world.lost_by_ends.contains(&public()), "{:?}", world.lost_by_ends);
    assert_eq!(counted(&world), [1, 1, 1, 0, 0]);
    // The client inside answers the other where it is.
    assert_eq!(world.ends[inside].met, [world.ends[outside].id]);
}

#[test]
fn a_client_outside_answers_one_beside_the_server_at_the_public_address() {
    let mut world = World::with_config(|_| ());
    let [inside, outside] = beside_the_server(&mut world);
    let wanted = world.ends[outside].id;
    world.look_up(inside, wanted);
    assert!(world.lost_by_ends.contains(&public()), "{:?}", world.lost_by_ends);
    assert_eq!(counted(&world), [1, 1, 1, 0, 0], "what is forwarded for one lookup counts once");
    // The same when another worker has received the hello.
    world.lost_by_ends.clear();
    let (session, initiator) = (world.session(outside), world.ends[inside].address);
    let (epd, tag) = (Box::from(rtmfp::crypto::Epd::fingerprint(wanted)), Box::from([9; 16]));
    world.deliver(Mail::Forward { session, epd, initiator, tag, is_proven: false, relay_port: None });
    assert_eq!(world.lost_by_ends, [public()]);
}

#[test]
fn clients_in_the_servers_network_meet_there() {
    let mut world = World::with_config(|_| ());
    let [inside, _] = beside_the_server(&mut world);
    let other = world.add();
    world.ends[other].address = ([192, 168, 1, 6], 4000).into();
    world.connect(other, "rtmfp://host/chat");
    let wanted = world.ends[inside].id;
    world.look_up(other, wanted);
    assert_eq!(world.ends[other].met, [wanted]);
    assert!(world.lost_by_ends.is_empty(), "{:?}", world.lost_by_ends);
}

#[test]
fn a_policy_that_redirects_to_where_a_client_is_seen_sends_askers_outside_to_the_public_address_too() {
    let mut world = World::with_config(|config| {
        with_application(config, "app", |settings| settings.peer_lookup_events = LookupMode::All);
    });
    let inside = world.add();
    world.ends[inside].address = ([192, 168, 1, 5], 4000).into();
    world.connect(inside, "rtmfp://host/app");
    let request = world.script.asked();
    world.decide(request, Verdict::Continue);
    let wanted = world.ends[inside].id;
    let seen = TaggedAddress::new(world.ends[inside].address, Origin::Unspecified);
    let far = TaggedAddress::new(([203, 0, 113, 99], 7).into(), Origin::Unspecified);
    for (redirect, expected) in [(vec![seen], true), (vec![far], false), (vec![far, seen], true)] {
        let outside = world.accepted();
        world.lost_by_ends.clear();
        world.look_up(outside, wanted);
        let request = world.script.asked();
        world.decide(request, Verdict::Redirect(redirect.clone().into()));
        assert_eq!(world.lost_by_ends.contains(&public()), expected, "{redirect:?}: {:?}", world.lost_by_ends);
    }
}

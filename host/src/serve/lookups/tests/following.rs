//! What is counted and told of lookups and of what comes of them.

use std::net::SocketAddr;
use std::time::Duration;

use introd_config::{Fallback, LookupMode};
use introd_plugin::LookupVerdict;
use introd_policy::Verdict;
use rtmfp::{Origin, PeerId, TaggedAddress};
use smallvec::smallvec;

use crate::meetings::{NatKind, Outcome};
use crate::serve::testing::{Published, Says, Setup, World, with_application, with_plugins};
use crate::stories::{Event, EventFilter, EventKind};

/// The outcomes that were counted, with the kinds of both ends.
fn outcomes(world: &World) -> Vec<(&'static str, &'static str, &'static str, u64)> {
    let meetings = &world.services.meetings;
    let all = Outcome::ALL.into_iter().flat_map(|outcome| crate::meetings::pairs().map(move |pair| (outcome, pair)));
    all.map(|(outcome, (asker, target))| {
        (outcome.name(), asker.name(), target.name(), meetings.count(outcome, asker, target))
    })
    .filter(|(.., count)| *count > 0)
    .collect()
}

/// The verdicts that were counted, without those that were never given.
fn verdicts(world: &World) -> Vec<(String, &'static str, u64)> {
    let all = world.services.verdicts.totals().into_iter();
    all.filter(|count| count.count > 0).map(|count| (count.policy, count.answer.name(), count.count)).collect()
}

/// The events of a kind, the newest last.
fn told(world: &World, kind: &str) -> Vec<Event> {
    let filter = EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
    world.services.stories.find(&filter, usize::MAX).events
}

/// The last lookup that was told: what was done, who decided, why, and how often it had been repeated.
fn last_lookup(world: &World) -> (&'static str, String, Option<String>, u16) {
    match told(world, "lookup").pop().map(|event| event.kind) {
        Some(EventKind::Lookup { answer, policy, reason, times, .. }) => {
            (answer.name(), policy.to_string(), reason.map(|reason| reason.to_string()), times)
        }
        other => panic!("{other:?}"),
    }
}

/// Two clients that report these addresses, and hear nothing of each other but through the server.
fn pair(asker: &[&str], target: &[&str]) -> (World, usize, usize) {
    let mut world = World::with_config(|_| ());
    let ends = [asker, target].map(|reported| {
        let end = world.client("rtmfp://host/chat");
        let reported: Vec<SocketAddr> = reported.iter().map(|text| text.parse().unwrap()).collect();
        if !reported.is_empty() {
            world.report(end, &reported);
        }
        end
    });
    (world, ends[0], ends[1])
}

#[test]
fn two_clients_that_meet_are_counted_when_the_asker_has_been_quiet_for_some_seconds() {
    // The first end is 203.0.113.1:5001, the second 203.0.113.2:5002.
    let (mut world, asker, target) = pair(&["192.168.1.5:5001"], &["203.0.113.2:5002"]);
    let (id, wanted) = (world.ends[asker].id, world.ends[target].id);
    world.look_up(asker, wanted);
    assert_eq!(world.ends[asker].met, [wanted]);
    assert_eq!((outcomes(&world), world.services.meetings.under_way()), (Vec::new(), 1));
    world.advance(Duration::from_millis(6900));
    assert!(outcomes(&world).is_empty());
    world.advance(Duration::from_millis(350));
    assert_eq!(outcomes(&world), [("met", "port_preserving", "none", 1)]);
    assert_eq!(world.services.meetings.under_way(), 0);
    assert_eq!(verdicts(&world), [("the server".to_owned(), "introduced", 1)]);
    let kinds = |peer| -> Vec<_> {
        let events = world.services.stories.of_peer(peer, 100).events;
        events.iter().map(|event| event.kind.name()).collect()
    };
    assert_eq!(kinds(id), ["connect", "addresses", "lookup", "met"]);
    assert_eq!(kinds(wanted), ["connect", "addresses", "looked_up", "met"]);
    let lookup = told(&world, "lookup").pop().unwrap();
    let address = world.ends[asker].address;
    assert_eq!((lookup.peer, lookup.address, lookup.worker), (Some(id), Some(address), 0));
    let place = lookup.place.unwrap();
    assert_eq!((place.application.as_str(), place.instance.as_str()), ("chat", "_definst_"));
    let EventKind::Lookup { target: Some(named), redirected_to, is_forwarded, .. } = lookup.kind else { panic!() };
    assert_eq!((named, &*redirected_to, is_forwarded), (wanted, &[world.ends[target].address][..], Some(true)));
}

#[test]
fn an_asker_that_goes_on_asking_has_not_met_its_target() {
    let (mut world, asker, target) = pair(&["192.168.1.5:9"], &["192.168.1.6:5002"]);
    let wanted = world.ends[target].id;
    // Hellos of the asker reach the server alone, and what the target sends reaches nobody.
    world.ends[target].is_cut_off = true;
    world.look_up(asker, wanted);
    world.advance(Duration::from_secs(7));
    assert!(outcomes(&world).is_empty() && told(&world, "unmet").is_empty());
    // By the timing of RFC 7016 the fourth hello comes after 7.5 s.
    world.advance(Duration::from_secs(1));
    let expected = [("given_up", "port_changing", "port_preserving", 1)];
    assert_eq!((outcomes(&world), world.services.meetings.under_way()), (expected.to_vec(), 1));
    let unmet = |world: &World| -> Vec<_> {
        let events = told(world, "unmet").into_iter();
        events
            .map(|event| match event.kind {
                EventKind::Unmet { target, times, asker_nat, target_nat, is_over } => {
                    assert_eq!((target, event.peer), (Some(wanted), Some(world.ends[asker].id)));
                    assert_eq!((asker_nat, target_nat), (NatKind::PortChanging, NatKind::PortPreserving));
                    (times, is_over)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(unmet(&world), [(3, false)]);
    // It gives up after 95 s; the attempt counts once.
    world.advance(Duration::from_secs(200));
    assert_eq!(outcomes(&world), expected);
    let [.., (times, true)] = unmet(&world)[..] else { panic!() };
    assert!(times > 8, "{times}");
    assert_eq!(world.services.stories.unmet(10).len(), 1);
    // An asker may repeat its hello for as long as it likes: the story has fewer and fewer of them.
    let repeats: Vec<u16> = told(&world, "lookup")
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Lookup { times, .. } => Some(times),
            _ => None,
        })
        .collect();
    assert_eq!(repeats, [0, 1, 2, 3, 4, 8]);
    assert_eq!(told(&world, "met").len(), 0);
}

#[test]
fn what_the_server_does_not_know_is_unknown() {
    let (mut world, asker, target) = pair(&[], &[]);
    let wanted = world.ends[target].id;
    let stranger = world.add();
    world.look_up(stranger, wanted);
    world.look_up(asker, PeerId([9; 32]));
    world.ends[asker].endpoint.abort_all(world.now);
    world.advance(Duration::from_secs(10));
    assert_eq!(outcomes(&world), [("met", "unknown", "unknown", 1), ("unknown_peer", "unknown", "unknown", 1)]);
    let of_stranger = &told(&world, "lookup")[0];
    assert_eq!((of_stranger.peer, of_stranger.address), (None, Some(world.ends[stranger].address)));
    assert_eq!(last_lookup(&world), ("unknown_peer", "registry".to_owned(), None, 0));
}

#[test]
fn a_client_that_moves_is_behind_another_nat() {
    let (mut world, asker, target) = pair(&["203.0.113.1:5001", "192.168.1.5:7000"], &["203.0.113.2:5002"]);
    let wanted = world.ends[target].id;
    world.move_to(asker, ([198, 51, 100, 7], 7000).into());
    let moved = told(&world, "moved").pop().unwrap();
    assert_eq!(moved.address, Some(world.ends[asker].address));
    assert_eq!(moved.kind, EventKind::Moved { from: ([203, 0, 113, 1], 5001).into() });
    world.look_up(asker, wanted);
    world.advance(Duration::from_secs(8));
    assert_eq!(outcomes(&world), [("met", "port_preserving", "none", 1)]);
}

#[test]
fn each_verdict_of_a_script_is_counted_and_told() {
    type Answer = fn(&World, usize) -> Verdict;
    let cases: [(Answer, &str, &str, &str, Option<&str>); 6] = [
        (|_, _| Verdict::Continue, "introduced", "the server", "met", None),
        (|world, end| Verdict::Introduce(world.ends[end].id), "introduced", "script", "met", None),
        (
            |world, end| Verdict::Redirect(smallvec![TaggedAddress::new(world.ends[end].address, Origin::Observed)]),
            "redirected",
            "script",
            "met",
            None,
        ),
        (|_, _| Verdict::Deny(None), "denied", "script", "denied", Some("denied")),
        (|_, _| Verdict::Deny(Some("not its room".into())), "denied", "script", "denied", Some("not its room")),
        (|_, _| Verdict::Ignore, "ignored", "script", "ignored", None),
    ];
    for (answer, verdict, policy, outcome, reason) in cases {
        let mut world = World::with_config(|config| {
            with_application(config, "app", |settings| settings.peer_lookup_events = LookupMode::All);
        });
        let [asker, target] = [(); 2].map(|()| world.accepted());
        let wanted = world.ends[target].id;
        world.look_up(asker, wanted);
        assert!(told(&world, "lookup").is_empty(), "it is not decided yet");
        world.advance(Duration::from_millis(300));
        let (request, verdict_given) = (world.script.asked(), answer(&world, target));
        world.decide(request, verdict_given);
        assert_eq!(last_lookup(&world), (verdict, policy.to_owned(), reason.map(str::to_owned), 0));
        let EventKind::Lookup { took, .. } = told(&world, "lookup").pop().unwrap().kind else { panic!() };
        assert_eq!(took, Duration::from_millis(300));
        assert_eq!(verdicts(&world), [(policy.to_owned(), verdict, 1)]);
        if outcome == "met" {
            world.advance(Duration::from_secs(10));
            let counted: Vec<_> = outcomes(&world).iter().map(|(outcome, .., count)| (*outcome, *count)).collect();
            assert_eq!(counted, [("met", 1)], "{verdict}");
        }
    }
}

#[test]
fn a_late_policy_is_an_outcome_of_its_own_unless_the_peers_are_introduced_all_the_same() {
    for (fallback, verdict, policy, reason) in [
        (Fallback::Deny, "late_policy", "script", Some("the script let its deadline pass")),
        (Fallback::Ignore, "late_policy", "script", Some("its deadline has passed")),
        (Fallback::Continue, "introduced", "the server", None),
    ] {
        let mut world = World::with_config(|config| {
            with_application(config, "app", |settings| {
                settings.peer_lookup_events = LookupMode::All;
                (settings.policy.on_deadline, settings.policy.deadline) = (fallback, Duration::from_millis(400));
            });
        });
        let [asker, target] = [(); 2].map(|()| world.accepted());
        let wanted = world.ends[target].id;
        world.look_up(asker, wanted);
        world.advance(Duration::from_millis(400));
        assert_eq!(last_lookup(&world), (verdict, policy.to_owned(), reason.map(str::to_owned), 0));
    }
}

#[test]
fn a_plugin_that_decides_is_named_and_so_is_its_failure() {
    for (says, fallback, verdict, reason) in [
        (Says::Now(LookupVerdict::Deny), Fallback::Continue, "denied", Some("denied")),
        (Says::Now(LookupVerdict::Ignore), Fallback::Continue, "ignored", None),
        (Says::Fails, Fallback::Ignore, "ignored", Some("it has failed")),
    ] {
        let mut world = World::with_config(|config| {
            with_application(config, "app", |settings| {
                with_plugins(settings, &["/first"]);
                settings.policy.on_failure = fallback;
            });
        });
        let first = world.plugin("/first");
        let [asker, target] = [(); 2].map(|()| world.accepted());
        let name = world.services.applications.plugins().instances()[0].library().name().to_owned();
        first.lookups.lock().push_back(says);
        let wanted = world.ends[target].id;
        world.look_up(asker, wanted);
        assert_eq!(last_lookup(&world), (verdict, name.clone(), reason.map(str::to_owned), 0));
        assert_eq!(verdicts(&world), [(name, verdict, 1)]);
    }
}

#[test]
fn an_asker_whose_target_is_at_another_server_is_sent_there() {
    let shared = Published::new();
    let mut world = World::new(Setup { shared: Some(std::sync::Arc::clone(&shared) as _), ..Setup::default() });
    let asker = world.client("rtmfp://host/chat");
    world.look_up(asker, PeerId([9; 32]));
    let elsewhere = TaggedAddress::new(([198, 51, 100, 9], 1935).into(), Origin::Relay);
    shared.answer(Ok(Some(vec![elsewhere])));
    world.wait_for_mail();
    assert_eq!(last_lookup(&world), ("sent_elsewhere", "registry".to_owned(), None, 0));
    let EventKind::Lookup { redirected_to, .. } = told(&world, "lookup").pop().unwrap().kind else { panic!() };
    assert_eq!(*redirected_to, [elsewhere.address]);
}

#[test]
fn a_flood_of_one_asker_is_answered_and_washes_nothing_out_of_the_story() {
    let (mut world, asker, target) = pair(&[], &[]);
    let wanted = world.ends[target].id;
    world.ends[target].is_cut_off = true;
    let lookup = |tag: u32| rtmfp::Lookup {
        target: Some(wanted),
        epd: smallvec::SmallVec::from_slice(&rtmfp::crypto::Epd::fingerprint(wanted)),
        initiator: ([203, 0, 113, 1], 5001).into(),
        tag: smallvec::SmallVec::from_slice(&tag.to_be_bytes()),
        interface: rtmfp::InterfaceId(0),
        asker: None,
        received: 400,
    };
    let session = world.session(asker);
    for tag in 0..20_000 {
        let lookup = rtmfp::Lookup { asker: Some(session), ..lookup(tag) };
        let (mut turn, clients, lookups) = world.worker.turn(world.now);
        lookups.begin(&mut turn, clients, lookup);
    }
    let told = told(&world, "lookup").len() as u64;
    assert!((190..=256).contains(&told), "{told}");
    let meetings = &world.services.meetings;
    assert_eq!((meetings.under_way(), meetings.not_followed()), (told, 20_000 - told));
    assert_eq!(verdicts(&world), [("the server".to_owned(), "introduced", 20_000)]);
}

//! Lookups that scripts decide about.

use std::sync::atomic::Ordering;
use std::time::Duration;

use introd_config::{Application, Fallback, LookupMode};
use introd_policy::Verdict;
use introd_policy::message::{AppEvent, Offer, PeerLookup};
use rtmfp::crypto::Epd;
use rtmfp::{InterfaceId, Lookup, Origin, PeerId, TaggedAddress};
use smallvec::{SmallVec, smallvec};

use super::{counted, verdicts};
use crate::introducer::Counter;
use crate::meetings::LookupAnswer;
use crate::serve::testing::{World, with_application};

/// A world in which the script of the application `app` decides about all lookups.
fn scripted(change: impl FnOnce(&mut Application)) -> World {
    World::with_config(|config| {
        with_application(config, "app", |settings| {
            settings.peer_lookup_events = LookupMode::All;
            change(settings);
        });
    })
}

/// The lookup about which the script is asked.
fn lookup(world: &World) -> PeerLookup {
    match world.script.take().pop() {
        Some(AppEvent::PeerLookup(lookup)) => lookup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_is_asked_about_the_lookups_of_its_clients_and_woken_once() {
    let mut world = scripted(|_| ());
    let [asker, target] = [(); 2].map(|()| world.accepted());
    let wanted = world.ends[target].id;
    world.script.wakes.store(0, Ordering::Relaxed);
    world.look_up(asker, wanted);
    assert_eq!(world.script.wakes.load(Ordering::Relaxed), 1);
    let asked = lookup(&world);
    assert_eq!((asked.target, asked.initiator), (Some(wanted), world.ends[asker].address));
    assert_eq!((asked.asker, asked.proposal), (Some(world.client_id(asker)), None));
    assert!(!asked.tag.is_empty());
    assert_eq!((counted(&world), world.worker.pending.len()), ([1, 0, 0, 0, 0], 1));
    world.decide(asked.request, Verdict::Continue);
    assert_eq!((counted(&world), world.worker.pending.len()), ([1, 1, 1, 0, 0], 0));
    assert_eq!(world.ends[asker].met, [wanted]);
}

#[test]
fn each_verdict_of_a_script_does_what_it_says() {
    let at = |world: &World, end: usize| TaggedAddress::new(world.ends[end].address, Origin::Observed);
    type Answer = fn(&World, usize, TaggedAddress) -> Verdict;
    let cases: [(Answer, [u64; 5], bool); 5] = [
        (|_, _, address| Verdict::Redirect(smallvec![address]), [1, 1, 0, 0, 0], true),
        (|world, target, _| Verdict::Introduce(world.ends[target].id), [1, 1, 1, 0, 0], true),
        (|_, _, _| Verdict::Introduce(PeerId([9; 32])), [1, 0, 0, 0, 1], false),
        (|_, _, _| Verdict::Deny(None), [1, 0, 0, 1, 0], false),
        (|_, _, _| Verdict::Ignore, [1, 0, 0, 0, 0], false),
    ];
    for (number, (answer, expected, do_meet)) in cases.into_iter().enumerate() {
        let mut world = scripted(|_| ());
        let [asker, target] = [(); 2].map(|()| world.accepted());
        let wanted = world.ends[target].id;
        world.look_up(asker, wanted);
        let (request, address) = (lookup(&world).request, at(&world, target));
        let verdict = answer(&world, target, address);
        world.decide(request, verdict);
        assert_eq!((counted(&world), !world.ends[asker].met.is_empty()), (expected, do_meet), "{number}");
    }
}

#[test]
fn a_script_that_is_late_or_fails_or_is_busy_has_the_fallback_of_the_settings() {
    for (fallback, expected) in
        [(Fallback::Continue, [1, 1, 1, 0, 0]), (Fallback::Deny, [1, 0, 0, 1, 0]), (Fallback::Ignore, [1, 0, 0, 0, 0])]
    {
        let world_in_question = || {
            let mut world = scripted(|settings| {
                (settings.policy.on_deadline, settings.policy.on_failure) = (fallback, fallback);
                settings.policy.deadline = Duration::from_millis(400);
            });
            let [asker, target] = [(); 2].map(|()| world.accepted());
            let wanted = world.ends[target].id;
            (world, asker, wanted)
        };
        let (mut world, asker, wanted) = world_in_question();
        world.look_up(asker, wanted);
        let request = lookup(&world).request;
        world.advance(Duration::from_millis(399));
        assert_eq!(counted(&world), [1, 0, 0, 0, 0]);
        world.advance(Duration::from_millis(1));
        assert_eq!((counted(&world), world.script.cancelled()), (expected, vec![request]));
        assert_eq!(world.count(Counter::PluginTimeouts), 0);
        let (mut world, asker, wanted) = world_in_question();
        world.look_up(asker, wanted);
        let request = lookup(&world).request;
        world.decide(request, Verdict::Failed("it failed".to_owned()));
        assert_eq!((counted(&world), world.count(Counter::ApplicationBusy)), (expected, 0));
        let (mut world, asker, wanted) = world_in_question();
        world.script.set_room(0);
        world.look_up(asker, wanted);
        assert_eq!((counted(&world), world.count(Counter::ApplicationBusy)), (expected, 1));
    }
}

#[test]
fn the_script_of_the_target_is_asked_about_strangers_and_about_clients_of_others() {
    let mut world = scripted(|_| ());
    let [target, other] = [world.accepted(), world.client("rtmfp://host/chat/room")];
    let (stranger, wanted) = (world.add(), world.ends[target].id);
    world.look_up(stranger, wanted);
    let asked = lookup(&world);
    assert_eq!((asked.asker, asked.proposal), (None, None), "nobody has agreed before");
    world.decide(asked.request, Verdict::Deny(None));
    world.look_up(other, wanted);
    let asked = lookup(&world);
    let proposal = asked.proposal.unwrap();
    assert_eq!((asked.asker, proposal.initiator_application.as_deref()), (None, Some("chat/room")));
    assert_eq!(proposal.offer, Offer::Introduction);
    world.decide(asked.request, Verdict::Continue);
    assert_eq!((counted(&world), world.ends[other].met.as_slice()), ([2, 1, 1, 1, 0], &[wanted][..]));
}

#[test]
fn a_lookup_that_is_repeated_while_consent_is_asked_for_does_not_ask_again() {
    let mut world = scripted(|settings| settings.policy.deadline = Duration::from_secs(60));
    let [target, other] = [world.accepted(), world.client("rtmfp://host/chat")];
    // The asker hears nothing, and repeats its hello.
    let wanted = world.ends[target].id;
    world.look_up(other, wanted);
    let repeat = |world: &mut World| {
        let before = world.count(Counter::Lookups);
        while world.count(Counter::Lookups) == before {
            world.advance(Duration::from_millis(100));
        }
    };
    let request = lookup(&world).request;
    let mut again = 0;
    for _ in 0..3 {
        repeat(&mut world);
        again += world.script.take().len();
    }
    assert!(again < 3, "a repetition soon after is the same lookup");
    let repeated = verdicts(&world, LookupAnswer::Repeated);
    assert_eq!((repeated, world.count(Counter::Lookups)), (3 - again as u64, 4), "each lookup has a verdict, or waits");
    world.decide(request, Verdict::Continue);
    assert_eq!(world.ends[other].met, [wanted]);
}

#[test]
fn a_repetition_of_a_clients_own_lookup_is_asked_about_again() {
    let mut world = scripted(|settings| settings.policy.deadline = Duration::from_secs(60));
    let asker = world.accepted();
    world.look_up(asker, PeerId([9; 32]));
    let before = world.count(Counter::Lookups);
    while world.count(Counter::Lookups) == before {
        world.advance(Duration::from_millis(100));
    }
    let attempts: Vec<u32> = world
        .script
        .take()
        .into_iter()
        .map(|event| match event {
            AppEvent::PeerLookup(lookup) => lookup.attempt,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn lookups_of_nobodys_peers_by_nobodys_clients_go_to_the_default_application() {
    // Whether its instance is there; events of the script, unanswered lookups and unknown targets.
    for (mode, is_there, expected) in [
        (LookupMode::All, true, [1, 0, 0]),
        (LookupMode::Partial, true, [1, 0, 0]),
        (LookupMode::None, true, [0, 0, 1]),
        (LookupMode::All, false, [0, 1, 0]),
        (LookupMode::Partial, false, [0, 0, 1]),
    ] {
        let mut world = World::with_config(|config| {
            config.default_adaptor.default_vhost.default_application = "app".to_owned();
            with_application(config, "app", |settings| settings.peer_lookup_events = mode);
        });
        if is_there {
            world.accepted();
        }
        let stranger = world.add();
        world.look_up(stranger, PeerId([9; 32]));
        let events = world.script.take();
        let counted = [Counter::Unanswered, Counter::UnknownTargets].map(|counter| world.count(counter));
        assert_eq!([events.len() as u64, counted[0], counted[1]], expected, "{mode:?} {is_there}");
        if let [AppEvent::PeerLookup(lookup)] = events.as_slice() {
            assert_eq!((lookup.target, lookup.asker), (Some(PeerId([9; 32])), None));
        }
    }
}

#[test]
fn where_a_script_is_to_decide_and_there_is_none_nothing_is_answered() {
    let mut world = World::with_config(|config| {
        let defaults = &mut config.default_adaptor.default_vhost.defaults;
        std::sync::Arc::make_mut(defaults).peer_lookup_events = LookupMode::All;
    });
    let [asker, target] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let wanted = world.ends[target].id;
    world.look_up(asker, wanted);
    assert_eq!((counted(&world), world.count(Counter::Unanswered)), ([1, 0, 0, 0, 0], 1));
}

#[test]
fn a_repetition_of_a_lookup_is_a_new_one_once_the_first_was_answered() {
    for is_redirect in [false, true] {
        let mut world = scripted(|_| ());
        let [target, other] = [world.accepted(), world.client("rtmfp://host/chat")];
        let (wanted, address) = (world.ends[target].id, world.ends[other].address);
        let hello = Lookup {
            target: Some(wanted),
            epd: SmallVec::from_slice(&Epd::fingerprint(wanted)),
            initiator: address,
            tag: smallvec![7; 16],
            interface: InterfaceId(0),
            asker: Some(world.session(other)),
            received: 200,
        };
        let hear = |world: &mut World| {
            let (mut turn, clients, lookups) = world.worker.turn(world.now);
            lookups.begin(&mut turn, clients, hello.clone());
        };
        hear(&mut world);
        let request = lookup(&world).request;
        hear(&mut world);
        assert!(world.script.take().is_empty(), "the script is deciding about the same");
        let verdict = if is_redirect {
            Verdict::Redirect(smallvec![TaggedAddress::new(address, Origin::Reported)])
        } else {
            Verdict::Continue
        };
        world.decide(request, verdict);
        assert_eq!(world.count(Counter::Redirects), 1);
        // The answer is lost.
        hear(&mut world);
        assert_eq!(lookup(&world).target, Some(wanted), "{is_redirect}");
    }
}

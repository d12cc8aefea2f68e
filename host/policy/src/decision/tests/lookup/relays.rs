//! Verdicts that ask for a relay: for which side they count, and what becomes of them.

use std::time::Duration;

use super::*;
use crate::RelayVerdict;

/// A verdict for a relay with those limits.
fn relay(peer: Option<PeerId>, bytes_per_second: Option<u64>, seconds: Option<u64>) -> LookupInput {
    let terms = RelayTerms { bytes_per_second, lifetime: seconds.map(Duration::from_secs) };
    LookupInput::Verdict(Verdict::Relay(RelayVerdict { peer, terms }))
}

#[test]
fn a_relay_is_wished_by_the_side_whose_application_says_so() {
    let plain = relay(None, None, None);
    let (own, other) = (relay(None, Some(5), Some(60)), relay(None, Some(7), None));
    let plugin = App::open(1).plugins(2).script(LookupMode::All);
    let asking = App::open(1).plugins(1);
    let guard = |app: App| World::default().with(TARGET, 2).guarding(app);
    let plugins = guard(App::open(2).plugins(2));
    let script = guard(App::open(2).script(LookupMode::Partial));
    let open = World::default().with(TARGET, 2);
    check(&[
        (
            "both are clients of the application",
            &plugin,
            &here(),
            std::slice::from_ref(&own),
            &["plugin 0", "introduce 1, asker 5 60, target 5 60"],
        ),
        (
            "of several policies the first decides",
            &plugin,
            &here(),
            &[pass(), Pending, plain.clone()],
            &["plugin 0", "plugin 1", "wait", "introduce 1, asker 0 0, target 0 0"],
        ),
        (
            "the target's application has no policy: its setting decides",
            &asking,
            &open,
            std::slice::from_ref(&own),
            &["plugin 0", "introduce 2, asker 5 60"],
        ),
        (
            "the target's agrees, and leaves the relay to its setting",
            &asking,
            &plugins,
            &[own.clone(), pass(), pass()],
            &["plugin 0", "its plugin 0", "its plugin 1", "introduce 2, asker 5 60"],
        ),
        (
            "both say so",
            &asking,
            &plugins,
            &[own.clone(), pass(), other.clone()],
            &["plugin 0", "its plugin 0", "its plugin 1", "introduce 2, asker 5 60, target 7 0"],
        ),
        (
            "the target's alone",
            &App::open(1),
            &plugins,
            std::slice::from_ref(&other),
            &["its plugin 0", "introduce 2, target 7 0"],
        ),
        (
            "the target's denies all the same",
            &asking,
            &plugins,
            &[own.clone(), DENY],
            &["plugin 0", "its plugin 0", "plugin denies: denied"],
        ),
        (
            "or has addresses of its own, which no relay follows",
            &asking,
            &plugins,
            &[own.clone(), redirect()],
            &["plugin 0", "its plugin 0", "redirect 192.0.2.50:1935"],
        ),
        (
            "addresses that mean consent leave the wish as it is",
            &asking,
            &script,
            &[own.clone(), redirect()],
            &["plugin 0", "its script", "introduce 2, asker 5 60"],
        ),
        (
            "the target's replaces a redirect",
            &asking,
            &plugins,
            &[redirect(), other.clone()],
            &["plugin 0", "its plugin 0", "introduce 2, target 7 0"],
        ),
    ]);
}

#[test]
fn a_relay_of_a_peer_that_is_not_here_is_for_the_server_that_has_it() {
    let (app, relayed) = (App::open(1).plugins(1), relay(None, Some(5), None));
    let silent = here().silent(TARGET);
    let unknown = || Resolved(Resolution::Unknown);
    check(&[
        (
            "elsewhere",
            &app,
            &nowhere(),
            &[relayed.clone(), found(2)],
            &["plugin 0", "registry", "redirect 198.51.100.1:2"],
        ),
        ("nowhere", &app, &nowhere(), &[relayed.clone(), unknown()], &["plugin 0", "registry", "unknown"]),
        (
            "silent here, and nowhere else",
            &app,
            &silent,
            &[relayed.clone(), unknown()],
            &["plugin 0", "registry", "introduce 1, asker 5 0, target 5 0"],
        ),
        ("a peer that is named", &app, &here(), &[relay(Some(OTHER), None, None)], &["plugin 0", "unknown"]),
    ]);
    // It may come here, or to another instance, while the registry is asked.
    let (came, moved) = (here(), World::default().with(TARGET, 2));
    for (world, expected) in [(came, "introduce 1, asker 5 0, target 5 0"), (moved, "introduce 2, asker 5 0")] {
        let mut decision = LookupDecision::new(lookup(), app.clone(), true);
        word(&mut decision, &nowhere(), &LookupInput::Begin(None));
        assert_eq!(word(&mut decision, &nowhere(), &relayed), "registry");
        assert_eq!(word(&mut decision, &world, &found(2)), expected);
    }
    // A hello that names no peer has none to be relayed to.
    let mut decision = LookupDecision::new(Lookup { target: None, ..lookup() }, app, true);
    word(&mut decision, &nowhere(), &LookupInput::Begin(None));
    assert_eq!(word(&mut decision, &nowhere(), &relayed), "unknown");
}

#[test]
fn a_relay_is_for_the_peer_that_the_policy_had_in_mind() {
    let world = World::default().with(TARGET, 2).with(OTHER, 3).guarding(App::open(2).plugins(1));
    let app = App::open(1).plugins(1);
    let other = |terms: Option<u64>| relay(Some(OTHER), terms, None);
    // What was wished for the target is none of the peer's that the other application introduces instead.
    assert_eq!(
        play(&app, &world, &[relay(None, Some(5), None), introduce(OTHER)]),
        ["plugin 0", "its plugin 0", "introduce 3"]
    );
    assert_eq!(play(&app, &world, &[other(Some(6))]), ["plugin 0", "introduce 3, asker 6 0"]);
    // An application that is neither side's wishes for nobody; one that a stranger reaches wishes for the target.
    for (instance, expected) in [(9, "introduce 3"), (3, "introduce 3, target 6 0")] {
        let mut decision = LookupDecision::new(lookup(), App::open(instance).plugins(1), false);
        assert_eq!(word(&mut decision, &world, &LookupInput::Begin(world.peer(&OTHER))), "plugin 0");
        assert_eq!(word(&mut decision, &world, &other(Some(6))), expected);
    }
    let third = World { guards: HashMap::from([(2, App::open(2).plugins(1)), (3, App::open(3))]), ..world };
    assert_eq!(
        play(&App::open(1), &third, &[other(None)]),
        ["its plugin 0", "plugin denies: the peer is a client of an application that was not asked"]
    );
}

#[test]
fn a_target_that_has_gone_to_another_instance_is_not_relayed_by_the_one_that_it_left() {
    let asked = World::default().with(TARGET, 2).guarding(App::open(2).script(LookupMode::All));
    let moved = World { peers: World::default().with(TARGET, 3).peers, ..asked.clone() };
    for (then, expected) in [(&asked, "introduce 2, target 5 0"), (&moved, "unknown")] {
        let mut decision = LookupDecision::new(lookup(), App::open(1), true);
        assert_eq!(word(&mut decision, &asked, &LookupInput::Begin(asked.peer(&TARGET))), "its script");
        assert_eq!(word(&mut decision, then, &relay(None, Some(5), None)), expected);
    }
}

mod relays;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use introd_config::{Fallback, LookupMode};
use rtmfp::crypto::Epd;
use rtmfp::{InterfaceId, Lookup, Origin, PeerId, SessionId, TaggedAddress};

use super::{App, DEADLINE};
use crate::decision::{Guard, LookupAction, LookupContext, LookupDecision, LookupInput, LookupStep};
use crate::registry::RegistryError;
use crate::{Addresses, Peer, RelayTerms, RelayWish, Resolution, Verdict};
use LookupInput::{Late, Pending, RegistryBusy, Resolved};

const TARGET: PeerId = PeerId([7; 32]);
const OTHER: PeerId = PeerId([8; 32]);

/// The server around a decision.
#[derive(Clone, Default)]
struct World {
    peers: HashMap<PeerId, Peer>,
    /// Applications that have a say about their clients.
    guards: HashMap<u16, App>,
    /// Instances that had one, and are gone.
    gone: HashSet<u16>,
    /// The application of the asker.
    home: Option<App>,
    /// Instances that refuse the asker by their access rules.
    barred: HashSet<u16>,
    /// Instances that answer clients only.
    for_clients: HashSet<u16>,
    shares_registry: bool,
}

impl World {
    fn with(mut self, id: PeerId, instance: u16) -> Self {
        let (owner, observed) = (SessionId::from_wire(u32::from(instance)), address(u8::try_from(instance).unwrap()));
        let peer = Peer { owner, instance, observed, reported: Default::default(), is_silent: false };
        self.peers.insert(id, peer);
        self
    }

    fn guarding(mut self, app: App) -> Self {
        self.guards.insert(app.instance.unwrap(), app);
        self
    }

    fn silent(mut self, id: PeerId) -> Self {
        self.peers.get_mut(&id).unwrap().is_silent = true;
        self.shares_registry = true;
        self
    }
}

impl LookupContext for World {
    type Application = App;

    fn peer(&self, id: &PeerId) -> Option<Peer> {
        self.peers.get(id).cloned()
    }

    fn guard(&self, peer: &Peer) -> Guard<App> {
        match self.guards.get(&peer.instance) {
            Some(app) => Guard::Guarded(app.clone()),
            None if self.gone.contains(&peer.instance) => Guard::Gone,
            None => Guard::Open,
        }
    }

    fn is_guarded(&self, peer: &Peer) -> bool {
        self.guards.contains_key(&peer.instance) || self.gone.contains(&peer.instance)
    }

    fn application_of(&self, _: SessionId) -> Option<App> {
        self.home.clone()
    }

    fn bars(&self, application: &App, _: IpAddr, is_client: bool) -> bool {
        let bars = |instance| self.barred.contains(&instance) || !is_client && self.for_clients.contains(&instance);
        application.instance.is_some_and(bars)
    }

    fn shares_registry(&self) -> bool {
        self.shares_registry
    }

    /// Addresses with port 1 are this server's.
    fn elsewhere(&self, addresses: &[TaggedAddress], _: SocketAddr) -> Addresses {
        addresses.iter().copied().filter(|tagged| tagged.address.port() != 1).collect()
    }
}

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 1935).into()
}

fn lookup() -> Lookup {
    Lookup {
        target: Some(TARGET),
        epd: Epd::fingerprint(TARGET)[..].into(),
        initiator: address(99),
        tag: [5; 16][..].into(),
        interface: InterfaceId(0),
        asker: Some(SessionId::from_wire(99)),
        received: 68,
    }
}

fn pass() -> LookupInput {
    LookupInput::Verdict(Verdict::Continue)
}

fn fail() -> LookupInput {
    LookupInput::Verdict(Verdict::Failed("it broke".to_owned()))
}

fn redirect() -> LookupInput {
    let addresses = Addresses::from_slice(&[TaggedAddress::new(address(50), Origin::Observed)]);
    LookupInput::Verdict(Verdict::Redirect(addresses))
}

fn introduce(peer: PeerId) -> LookupInput {
    LookupInput::Verdict(Verdict::Introduce(peer))
}

const DENY: LookupInput = LookupInput::Verdict(Verdict::Deny(None));
const IGNORE: LookupInput = LookupInput::Verdict(Verdict::Ignore);

fn found(port: u16) -> LookupInput {
    let relay = TaggedAddress::new(([198, 51, 100, 1], port).into(), Origin::Relay);
    Resolved(Resolution::Found(Arc::new([relay])))
}

/// What the steps are, in words, when a client of `app` looks for the target and this happens one after the other.
fn play(app: &App, world: &World, inputs: &[LookupInput]) -> Vec<String> {
    let mut decision = LookupDecision::new(lookup(), app.clone(), true);
    let begin = LookupInput::Begin(world.peer(&TARGET));
    std::iter::once(&begin).chain(inputs).map(|input| word(&mut decision, world, input)).collect()
}

fn word(decision: &mut LookupDecision<App>, world: &World, input: &LookupInput) -> String {
    let consenting = if decision.is_consent() { "its " } else { "" };
    match decision.advance(input.clone(), world) {
        LookupStep::AskPlugin(index) => {
            assert_eq!(decision.plugin(), Some(index));
            let consenting = if decision.is_consent() { "its " } else { consenting };
            format!("{consenting}plugin {index}")
        }
        LookupStep::AskScript => if decision.is_consent() { "its script" } else { "script" }.to_owned(),
        LookupStep::AskRegistry(peer) => {
            assert_eq!(peer, TARGET);
            "registry".to_owned()
        }
        LookupStep::Wait(timeout) => {
            assert_eq!(timeout, DEADLINE);
            "wait".to_owned()
        }
        LookupStep::Execute(action) => match action {
            LookupAction::Introduce(introduction) => {
                format!("introduce {}{}", introduction.target.instance, relay_word(introduction.relay))
            }
            LookupAction::Redirect(addresses) => format!("redirect {}", addresses[0].address),
            LookupAction::Deny(denial) => format!("{} denies: {}", denial.policy.name(), denial.reason),
            LookupAction::Ignore => "nothing".to_owned(),
            LookupAction::UnknownTarget => "unknown".to_owned(),
            LookupAction::Unanswered => "unanswered".to_owned(),
            LookupAction::Unresolved(why) => format!("unresolved: {why:?}"),
        },
    }
}

/// The relay that policies have asked for, in words.
fn relay_word(wish: RelayWish) -> String {
    let word = |side: &str, terms: RelayTerms| {
        let (rate, lifetime) = (terms.bytes_per_second, terms.lifetime.map(|lifetime| lifetime.as_secs()));
        format!(", {side} {} {}", rate.unwrap_or_default(), lifetime.unwrap_or_default())
    };
    let words = [("asker", wish.asker), ("target", wish.target)];
    words.into_iter().filter_map(|(side, terms)| Some(word(side, terms?))).collect()
}

/// What it is about, the asker's application, the server, what happens, and the steps that follow.
type Row<'a> = (&'a str, &'a App, &'a World, &'a [LookupInput], &'a [&'a str]);

/// Plays each row and compares.
fn check(rows: &[Row<'_>]) {
    for (what, app, world, inputs, expected) in rows {
        assert_eq!(play(app, world, inputs), *expected, "{what}");
    }
}

fn here() -> World {
    World::default().with(TARGET, 1)
}

fn nowhere() -> World {
    World::default()
}

#[test]
fn plugins_script_registry_and_what_is_built_in_come_in_this_order() {
    let open = App::open(1);
    let (two, all) = (App::open(1).plugins(2), App::open(1).plugins(1).script(LookupMode::All));
    let partial = App::open(1).plugins(1).script(LookupMode::Partial);
    check(&[
        ("no policy, target here", &open, &here(), &[], &["introduce 1"]),
        ("no policy, target elsewhere", &open, &nowhere(), &[found(2)], &["registry", "redirect 198.51.100.1:2"]),
        ("two plugins", &two, &here(), &[pass(), pass()], &["plugin 0", "plugin 1", "introduce 1"]),
        ("plugin, then script", &all, &here(), &[pass(), pass()], &["plugin 0", "script", "introduce 1"]),
        (
            "all of them",
            &all,
            &nowhere(),
            &[Pending, pass(), Pending, pass(), found(2)],
            &["plugin 0", "wait", "script", "wait", "registry", "redirect 198.51.100.1:2"],
        ),
        (
            "a script in mode Partial gets what the server cannot do",
            &partial,
            &here(),
            &[pass()],
            &["plugin 0", "introduce 1"],
        ),
        ("and this", &partial, &nowhere(), &[pass(), redirect()], &["plugin 0", "script", "redirect 192.0.2.50:1935"]),
    ]);
}

#[test]
fn a_verdict_of_a_plugin_or_a_script_ends_the_decision() {
    let (plugin, script) = (App::open(1).plugins(2), App::open(1).script(LookupMode::All));
    let world = here().with(OTHER, 3);
    for (app, asked, name) in [(&plugin, "plugin 0", "plugin"), (&script, "script", "script")] {
        for input in [Vec::new(), vec![Pending]] {
            let after = |last: LookupInput| {
                let mut inputs = input.clone();
                inputs.push(last);
                let steps = play(app, &world, &inputs);
                assert_eq!(steps[0], asked);
                steps.last().cloned().unwrap()
            };
            assert_eq!(after(DENY), format!("{name} denies: denied"));
            assert_eq!(after(IGNORE), "nothing");
            assert_eq!(after(redirect()), "redirect 192.0.2.50:1935");
            assert_eq!(after(introduce(TARGET)), "introduce 1");
            assert_eq!(after(introduce(OTHER)), "introduce 3");
            assert_eq!(after(introduce(PeerId([1; 32]))), "unknown");
        }
    }
}

#[test]
fn a_peer_that_a_policy_names_gets_a_hello_that_selects_it() {
    let (app, world) = (App::open(1).plugins(1), here().with(OTHER, 1));
    let mut decision = LookupDecision::new(lookup(), app, true);
    word(&mut decision, &world, &LookupInput::Begin(None));
    assert_eq!(word(&mut decision, &world, &introduce(OTHER)), "introduce 1");
    assert_eq!((decision.lookup().target, &decision.lookup().epd[..]), (Some(OTHER), &Epd::fingerprint(OTHER)[..]));
}

#[test]
fn a_word_of_the_settings_means_the_same_for_plugins_and_scripts_that_fail_or_are_late() {
    let odd = LookupInput::Verdict(Verdict::Handled);
    let empty = LookupInput::Verdict(Verdict::Redirect(Addresses::new()));
    for (word, expected) in
        [(Fallback::Deny, "denies"), (Fallback::Ignore, "nothing"), (Fallback::Continue, "introduce 1")]
    {
        for app in [App::open(1).plugins(1), App::open(1).script(LookupMode::All)] {
            let failing =
                app.clone().falling_back(word, if word == Fallback::Deny { Fallback::Ignore } else { Fallback::Deny });
            for input in [fail(), odd.clone(), empty.clone()] {
                let steps = play(&failing, &here(), &[Pending, input.clone()]);
                assert!(steps.last().unwrap().contains(expected), "{failing:?} {input:?}: {steps:?}");
            }
            let late = app.falling_back(if word == Fallback::Deny { Fallback::Ignore } else { Fallback::Deny }, word);
            let steps = play(&late, &here(), &[Pending, Late]);
            assert!(steps.last().unwrap().contains(expected), "{late:?}: {steps:?}");
        }
    }
}

#[test]
fn a_failing_plugin_leaves_the_decision_to_the_script_and_a_late_script_to_the_server() {
    let app = App::open(1).plugins(2).script(LookupMode::All).falling_back(Fallback::Continue, Fallback::Continue);
    assert_eq!(
        play(&app, &here(), &[fail(), Pending, Late, Pending, Late]),
        ["plugin 0", "plugin 1", "wait", "script", "wait", "introduce 1"]
    );
    let denied = play(&App::open(1).plugins(1), &here(), &[fail()]);
    assert_eq!(denied[1], "plugin denies: it broke", "the log says why");
}

#[test]
fn the_mode_says_which_lookups_go_to_the_script() {
    use LookupMode::{All, Denied, None, Partial};
    // Mode, script, asker a client of the application, target here: what is next.
    for (mode, has_script, is_client, is_here, expected) in [
        (None, true, true, true, "introduce 1"),
        (None, true, false, true, "introduce 1"),
        (None, true, false, false, "registry"),
        (Partial, true, true, true, "introduce 1"),
        (Partial, true, true, false, "script"),
        (Partial, true, false, true, "script"),
        (Partial, true, false, false, "script"),
        (Partial, false, true, false, "registry"),
        (Partial, false, false, true, "introduce 1"),
        (All, true, true, true, "script"),
        (All, true, false, true, "script"),
        (All, true, false, false, "script"),
        (All, false, false, true, "unanswered"),
        (Denied, true, true, true, "the server denies: the application is not available"),
    ] {
        let app = App { has_script, mode, ..App::open(1) };
        let world = if is_here { here() } else { nowhere() };
        let mut decision = LookupDecision::new(lookup(), app, is_client);
        let first = word(&mut decision, &world, &LookupInput::Begin(world.peer(&TARGET)));
        assert_eq!(first, expected, "{mode:?} {has_script} {is_client} {is_here}");
        assert_eq!(decision.is_target_local(), is_here);
    }
}

#[test]
fn the_registry_is_asked_for_peers_that_are_not_here_or_keep_silent_here() {
    let app = App::open(1);
    let silent = here().silent(TARGET);
    let came = World { peers: here().peers, ..nowhere() };
    let unknown = || Resolved(Resolution::Unknown);
    check(&[
        ("no server knows it", &app, &nowhere(), &[unknown()], &["registry", "unknown"]),
        ("it is at this server, says the registry", &app, &nowhere(), &[found(1)], &["registry", "unknown"]),
        ("silent here, and elsewhere", &app, &silent, &[found(2)], &["registry", "redirect 198.51.100.1:2"]),
        ("silent here, and nowhere else", &app, &silent, &[unknown()], &["registry", "introduce 1"]),
        ("silent here, the registry does not answer", &app, &silent, &[Late], &["registry", "introduce 1"]),
        ("silent here, the registry is busy", &app, &silent, &[RegistryBusy], &["registry", "introduce 1"]),
        ("busy", &app, &nowhere(), &[RegistryBusy], &["registry", "unresolved: Busy"]),
        ("late", &app, &nowhere(), &[Late], &["registry", "unresolved: TimedOut"]),
        (
            "failed",
            &app,
            &nowhere(),
            &[Resolved(Resolution::Failed(RegistryError::Full))],
            &["registry", "unresolved: Failed(Full)"],
        ),
    ]);
    // It may come here while the registry is asked.
    let mut decision = LookupDecision::new(lookup(), app, true);
    word(&mut decision, &nowhere(), &LookupInput::Begin(None));
    assert_eq!(word(&mut decision, &came, &found(2)), "introduce 1");
    // A hello that names no peer concerns no registry.
    let mut decision = LookupDecision::new(Lookup { target: None, ..lookup() }, App::open(1), true);
    assert_eq!(word(&mut decision, &nowhere(), &LookupInput::Begin(None)), "unknown");
}

#[test]
fn the_application_of_the_target_has_a_say_in_the_same_order() {
    let open = App::open(1);
    let asking = App::open(1).plugins(1);
    let guard = |app: App| World::default().with(TARGET, 2).guarding(app);
    let plugins = guard(App::open(2).plugins(2));
    let script = guard(App::open(2).plugins(1).script(LookupMode::All));
    let partial = guard(App::open(2).script(LookupMode::Partial));
    let strict = guard(App::open(2).plugins(1).falling_back(Fallback::Ignore, Fallback::Deny));
    check(&[
        (
            "both agree",
            &asking,
            &plugins,
            &[pass(), pass(), pass()],
            &["plugin 0", "its plugin 0", "its plugin 1", "introduce 2"],
        ),
        ("the first says no", &asking, &plugins, &[DENY], &["plugin 0", "plugin denies: denied"]),
        (
            "the second says no",
            &open,
            &plugins,
            &[pass(), DENY],
            &["its plugin 0", "its plugin 1", "plugin denies: denied"],
        ),
        (
            "plugin, then script",
            &open,
            &script,
            &[pass(), Pending, pass()],
            &["its plugin 0", "its script", "wait", "introduce 2"],
        ),
        ("the script ignores it", &open, &script, &[pass(), IGNORE], &["its plugin 0", "its script", "nothing"]),
        (
            "addresses of its own",
            &open,
            &script,
            &[pass(), redirect()],
            &["its plugin 0", "its script", "redirect 192.0.2.50:1935"],
        ),
        ("in mode Partial addresses are consent", &open, &partial, &[redirect()], &["its script", "introduce 2"]),
        (
            "its own settings count",
            &open,
            &strict,
            &[Pending, Late],
            &["its plugin 0", "wait", "plugin denies: the plugin let its deadline pass"],
        ),
        ("and where it fails", &open, &strict, &[fail()], &["its plugin 0", "nothing"]),
        // What the asker's application answers is an offer too.
        (
            "a redirect is for the target's application to agree to",
            &asking,
            &plugins,
            &[redirect(), pass(), pass()],
            &["plugin 0", "its plugin 0", "its plugin 1", "redirect 192.0.2.50:1935"],
        ),
        (
            "and may be denied",
            &asking,
            &plugins,
            &[redirect(), DENY],
            &["plugin 0", "its plugin 0", "plugin denies: denied"],
        ),
        (
            "an introduction too",
            &asking,
            &plugins,
            &[introduce(TARGET), pass(), pass()],
            &["plugin 0", "its plugin 0", "its plugin 1", "introduce 2"],
        ),
    ]);
}

#[test]
fn no_peer_is_introduced_through_a_third_application() {
    let world = World::default().with(TARGET, 2).with(OTHER, 3);
    let world = world.guarding(App::open(2).plugins(1)).guarding(App::open(3).plugins(1));
    let third = play(&App::open(1), &world, &[introduce(OTHER)]);
    assert_eq!(third, ["its plugin 0", "plugin denies: the peer is a client of an application that was not asked"]);
    let open_third = World { guards: HashMap::from([(2, App::open(2).plugins(1))]), ..world };
    assert_eq!(play(&App::open(1), &open_third, &[introduce(OTHER)]), ["its plugin 0", "introduce 3"]);
}

#[test]
fn consent_holds_for_a_client_of_the_application_that_has_given_it() {
    let asked = World::default().with(TARGET, 2).guarding(App::open(2).script(LookupMode::All));
    let moved = World { peers: World::default().with(TARGET, 3).peers, ..asked.clone() };
    let left = World { peers: HashMap::new(), ..asked.clone() };
    for (then, input, expected) in [
        (&asked, pass(), "introduce 2"),
        (&moved, pass(), "unknown"),
        (&left, pass(), "unknown"),
        (&moved, redirect(), "unknown"),
        (&left, redirect(), "redirect 192.0.2.50:1935"),
    ] {
        let mut decision = LookupDecision::new(lookup(), App::open(1), true);
        assert_eq!(word(&mut decision, &asked, &LookupInput::Begin(asked.peer(&TARGET))), "its script");
        assert_eq!(word(&mut decision, then, &input), expected, "{input:?}");
    }
    let gone = World { gone: HashSet::from([2]), ..World::default().with(TARGET, 2) };
    assert_eq!(play(&App::open(1), &gone, &[]), ["unknown"], "the instance went with its last client");
}

#[test]
fn access_rules_come_before_every_policy() {
    let barred = |instance| World { barred: HashSet::from([instance]), ..World::default().with(TARGET, 2) };
    assert_eq!(play(&App::open(1).plugins(1), &barred(1), &[]), ["the server denies: the access rules"]);
    let guarded = barred(2).guarding(App::open(2).plugins(1));
    assert_eq!(play(&App::open(1), &guarded, &[]), ["the server denies: the access rules of the peer's application"]);
}

#[test]
fn the_script_of_the_target_is_told_of_the_asker_and_of_the_offer() {
    let home = App::open(1);
    let world = World { home: Some(home.clone()), ..World::default().with(TARGET, 2) };
    let world = world.guarding(App::open(2).script(LookupMode::All));
    let mut decision = LookupDecision::new(lookup(), home.clone(), true);
    assert!(decision.proposal(|_| "".into()).is_none() && decision.is_client());
    word(&mut decision, &world, &LookupInput::Begin(world.peer(&TARGET)));
    let proposal = decision.proposal(|home| format!("app {:?}", home.instance).into()).unwrap();
    assert_eq!(proposal.initiator_application.as_deref(), Some("app Some(1)"));
    assert_eq!((decision.home(), decision.is_client(), decision.is_consent()), (Some(&home), false, true));
}

#[test]
fn an_application_that_answers_clients_only_answers_no_stranger() {
    let denied = "the server denies: the access rules";
    let own = World { for_clients: HashSet::from([1]), ..here() };
    for (is_client, expected) in [(true, "introduce 1"), (false, denied)] {
        let mut decision = LookupDecision::new(lookup(), App::open(1), is_client);
        assert_eq!(word(&mut decision, &own, &LookupInput::Begin(own.peer(&TARGET))), expected);
    }
    // A client of any application may ask for clients of another that answers clients only; a stranger may not.
    let other = World { for_clients: HashSet::from([2]), ..World::default().with(TARGET, 2).guarding(App::open(2)) };
    let home = World { home: Some(App::open(1)), ..other.clone() };
    assert_eq!(play(&App::open(1), &home, &[]), ["introduce 2"]);
    assert_eq!(play(&App::open(1), &other, &[]), [format!("{denied} of the peer's application")]);
}

#[test]
fn a_peer_that_is_silent_is_looked_for_elsewhere_only_where_servers_share_a_registry() {
    let alone = World { shares_registry: false, ..here().silent(TARGET) };
    assert_eq!(play(&App::open(1), &alone, &[]), ["introduce 1"]);
    let awake = World { shares_registry: true, ..here() };
    assert_eq!(play(&App::open(1), &awake, &[]), ["introduce 1"], "it is here");
}

#[test]
fn addresses_of_a_script_mean_its_consent_only_in_mode_partial() {
    let stranger = |app: App| {
        let world = here();
        let mut decision = LookupDecision::new(lookup(), app, false);
        assert_eq!(word(&mut decision, &world, &LookupInput::Begin(world.peer(&TARGET))), "script");
        word(&mut decision, &world, &redirect())
    };
    assert_eq!(stranger(App::open(1).script(LookupMode::Partial)), "introduce 1");
    assert_eq!(stranger(App::open(1).script(LookupMode::All)), "redirect 192.0.2.50:1935");
}

#[test]
fn a_decision_says_who_decided_and_whether_a_verdict_was_missing() {
    use crate::decision::Missing::{self, Failed};
    const LATE: Missing = Missing::Late;
    let open = App::open(1);
    let two = App::open(1).plugins(2);
    let all = App::open(1).script(LookupMode::All);
    let ignoring = all.clone().falling_back(Fallback::Ignore, Fallback::Ignore);
    let going_on = two.clone().falling_back(Fallback::Continue, Fallback::Continue);
    let guarded = World::default().with(TARGET, 2).guarding(App::open(2).plugins(2));
    let barred = World { barred: HashSet::from([1]), ..here() };
    let failed = || Resolved(Resolution::Failed(RegistryError::Unavailable("down".to_owned())));
    type Case<'a> = (&'a App, &'a World, &'a [LookupInput], &'a str, Option<usize>, Option<Missing>);
    let cases: &[Case<'_>] = &[
        (&open, &here(), &[], "the server", None, None),
        (&open, &barred, &[], "the server", None, None),
        (&two, &here(), &[pass(), pass()], "the server", None, None),
        (&two, &here(), &[DENY], "plugin", Some(0), None),
        (&two, &here(), &[pass(), IGNORE], "plugin", Some(1), None),
        (&two, &here(), &[pass(), redirect()], "plugin", Some(1), None),
        (&two, &here(), &[Pending, Late], "plugin", Some(0), Some(LATE)),
        (&two, &here(), &[fail()], "plugin", Some(0), Some(Failed)),
        (&going_on, &here(), &[fail(), Pending, Late], "the server", None, None),
        (&going_on, &here(), &[fail(), DENY], "plugin", Some(1), None),
        (&all, &here(), &[introduce(TARGET)], "script", None, None),
        (&all, &here(), &[fail()], "script", None, Some(Failed)),
        (&ignoring, &here(), &[Pending, Late], "script", None, Some(LATE)),
        (&open, &nowhere(), &[found(2)], "registry", None, None),
        (&open, &nowhere(), &[Resolved(Resolution::Unknown)], "registry", None, None),
        (&open, &nowhere(), &[failed()], "registry", None, Some(Failed)),
        (&open, &nowhere(), &[Late], "registry", None, Some(LATE)),
        (&open, &nowhere(), &[RegistryBusy], "registry", None, Some(Failed)),
        // The target's application agrees to what a plugin of the asker's has decided, or does not.
        (&two, &guarded, &[redirect(), pass(), pass()], "plugin", None, None),
        (&two, &guarded, &[redirect(), pass(), DENY], "plugin", Some(1), None),
        (&open, &guarded, &[pass(), pass()], "the server", None, None),
    ];
    for (app, world, inputs, kind, plugin, missing) in cases {
        let mut decision = LookupDecision::new(lookup(), (*app).clone(), true);
        let begin = LookupInput::Begin(world.peer(&TARGET));
        let steps: Vec<_> =
            std::iter::once(&begin).chain(*inputs).map(|input| word(&mut decision, world, input)).collect();
        let decider = decision.decider();
        assert_eq!((decider.kind.name(), decider.plugin, decider.missing), (*kind, *plugin, *missing), "{steps:?}");
    }
}

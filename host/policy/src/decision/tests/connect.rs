use introd_config::{Fallback, LookupMode};
use introd_flash::server::Rejection;

use super::{App, DEADLINE};
use crate::decision::{ConnectDecision, ConnectInput, ConnectStep, PolicyKind};
use crate::{RelayVerdict, Verdict};
use ConnectInput::{Late, Pending};

fn pass() -> ConnectInput {
    ConnectInput::Verdict(Verdict::Continue)
}

fn fail() -> ConnectInput {
    ConnectInput::Verdict(Verdict::Failed("it broke".to_owned()))
}

fn reject() -> ConnectInput {
    let rejection = Rejection::new("NetConnection.Connect.Rejected", "go away");
    ConnectInput::Verdict(Verdict::Reject(Box::new(rejection)))
}

/// What the steps are, in words, when this happens one after the other.
fn play(app: App, inputs: &[ConnectInput]) -> Vec<String> {
    let mut decision = ConnectDecision::new(app);
    let inputs = std::iter::once(&ConnectInput::Begin).chain(inputs);
    inputs
        .map(|input| match decision.advance(input.clone()) {
            ConnectStep::AskPlugin(index) => {
                assert_eq!((decision.plugin(), decision.plugins_asked()), (Some(index), index + 1));
                format!("plugin {index}")
            }
            ConnectStep::AskScript => "script".to_owned(),
            ConnectStep::Wait(timeout) => {
                assert_eq!(timeout, DEADLINE);
                "wait".to_owned()
            }
            ConnectStep::Accept => "accept".to_owned(),
            ConnectStep::Reject(policy, rejection) => format!("{}: {}", policy.name(), rejection.description),
        })
        .collect()
}

#[test]
fn plugins_come_in_their_order_and_then_the_script_and_a_client_that_none_rejects_is_accepted() {
    let scripted = |plugins| App::open(1).plugins(plugins).script(LookupMode::All);
    let cases: [(App, &[ConnectInput], &[&str]); 8] = [
        (App::open(1), &[], &["accept"]),
        (App::open(1).plugins(2), &[pass(), pass()], &["plugin 0", "plugin 1", "accept"]),
        (scripted(0), &[pass()], &["script", "accept"]),
        (scripted(2), &[pass(), pass(), pass()], &["plugin 0", "plugin 1", "script", "accept"]),
        (scripted(2), &[pass(), reject()], &["plugin 0", "plugin 1", "plugin: go away"]),
        (scripted(1), &[pass(), reject()], &["plugin 0", "script", "script: go away"]),
        // Each may take its time.
        (scripted(1), &[Pending, pass(), Pending, pass()], &["plugin 0", "wait", "script", "wait", "accept"]),
        (
            scripted(1),
            &[Pending, pass(), Pending, reject()],
            &["plugin 0", "wait", "script", "wait", "script: go away"],
        ),
    ];
    for (app, inputs, expected) in cases {
        assert_eq!(play(app.clone(), inputs), expected, "{app:?} {inputs:?}");
    }
}

#[test]
fn a_word_of_the_settings_means_the_same_for_plugins_and_scripts_that_fail_or_are_late() {
    for (word, lets_in) in [(Fallback::Deny, false), (Fallback::Ignore, false), (Fallback::Continue, true)] {
        for (is_late, other) in [(true, Fallback::Deny), (false, Fallback::Continue)] {
            // The setting for the other case does not count.
            let other = if lets_in { Fallback::Deny } else { other };
            let (on_failure, on_deadline) = if is_late { (other, word) } else { (word, other) };
            let input = if is_late { Late } else { fail() };
            let app = App::open(1).falling_back(on_failure, on_deadline);
            for app in [app.clone().plugins(1), app.script(LookupMode::All)] {
                let steps = play(app.clone(), &[Pending, input.clone()]);
                let is_in = steps.last().is_some_and(|last| last == "accept");
                assert_eq!(is_in, lets_in, "{app:?} {input:?}: {steps:?}");
            }
        }
    }
}

#[test]
fn what_is_passed_over_leaves_the_decision_to_the_next() {
    let app = App::open(1).plugins(2).script(LookupMode::None).falling_back(Fallback::Continue, Fallback::Continue);
    assert_eq!(
        play(app.clone(), &[fail(), Pending, Late, reject()]),
        ["plugin 0", "plugin 1", "wait", "script", "script: go away"]
    );
    // A verdict on something else is a failure.
    let odd = |verdict| ConnectInput::Verdict(verdict);
    let relay = Verdict::Relay(RelayVerdict { peer: None, terms: Default::default() });
    for verdict in
        [Verdict::Deny(None), Verdict::Ignore, Verdict::Handled, Verdict::Redirect(Default::default()), relay]
    {
        assert_eq!(play(app.clone(), &[odd(verdict), reject()])[1..], ["plugin 1", "plugin: go away"]);
    }
}

#[test]
fn clients_are_told_what_concerns_them_and_no_more() {
    let strict = App::open(1).falling_back(Fallback::Deny, Fallback::Deny);
    let cases = [
        (strict.clone().plugins(1), fail(), "plugin: [ Server.Reject ] : a plugin has failed"),
        (strict.clone().plugins(1), Late, "plugin: [ Server.Reject ] : a plugin takes too long"),
        (strict.clone().script(LookupMode::All), fail(), "script: [ Server.Reject ] : it broke"),
        (strict.script(LookupMode::All), Late, "script: [ Server.Reject ] : the application did not decide in time"),
    ];
    for (app, input, expected) in cases {
        assert_eq!(play(app, &[input]).last().map(String::as_str), Some(expected));
    }
    assert_eq!(PolicyKind::Server.name(), "the server");
}

#[test]
fn plugins_that_were_asked_are_known_at_every_stage() {
    let mut decision = ConnectDecision::new(App::open(1).plugins(3).script(LookupMode::All));
    assert_eq!(decision.plugins_asked(), 0);
    decision.advance(ConnectInput::Begin);
    decision.advance(pass());
    assert_eq!((decision.plugins_asked(), decision.plugin()), (2, Some(1)));
    decision.advance(pass());
    decision.advance(pass());
    assert_eq!((decision.plugins_asked(), decision.plugin()), (3, None), "the script is asked");
}

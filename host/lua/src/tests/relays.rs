//! `application.relayPeer`: introductions with a relay of the server.

use std::time::Duration;

use introd_config::LookupMode;
use introd_policy::RelayTerms;
use rtmfp::PeerId;

use super::*;

const TARGET: PeerId = PeerId([0xaa; 32]);

/// Lets a client look for the target, and says what came of each lookup.
fn look_up(main: &str, mode: LookupMode, times: u32) -> (Vec<Effect>, Scene) {
    let mut scene = scene_with(main, |settings| settings.peer_lookup_events = mode);
    let asker = scene.stage.connect(|_| ());
    scene.stage.connect(|info| info.far_id = TARGET);
    scene.sent();
    let from = "192.0.2.1:1000".parse().unwrap();
    for _ in 0..times {
        scene.stage.look_up(Some(TARGET), from, Some(asker));
    }
    (scene.sent(), scene)
}

/// The limits of each relay that was wanted; anything else is wrong.
fn relays(effects: &[Effect]) -> Vec<(Option<u64>, Option<u64>)> {
    let limits = |effect: &Effect| match effect {
        Effect::Relay { terms: RelayTerms { bytes_per_second, lifetime }, .. } => {
            (*bytes_per_second, lifetime.map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap()))
        }
        other => panic!("{other:?}"),
    };
    effects.iter().map(limits).collect()
}

#[test]
fn a_script_wants_a_relay_with_the_limits_that_it_names() {
    let main = "local asked = 0
        local limits = {
            {}, { bytesPerSecond = 100000 }, { lifetime = 60000 }, { bytesPerSecond = 1.5, lifetime = 0x1p60 },
            { bytesPerSecond = math.huge, lifetime = 1 }, false, false,
        }
        function application.onPeerLookup(event)
            asked = asked + 1
            if asked == 6 then
                trace(application:relayPeer(event))
            elseif asked == 7 then
                trace(application.relayPeer(event, nil))
            else
                trace(application.relayPeer(event, limits[asked]))
            end
        end";
    let (sent, scene) = look_up(main, LookupMode::All, 7);
    let year = 365 * 24 * 3600 * 1000;
    let expected = [
        (None, None),
        (Some(100_000), None),
        (None, Some(60_000)),
        (Some(1), Some(year)),
        (Some(1 << 53), Some(1)),
        (None, None),
        (None, None),
    ];
    assert_eq!(relays(&sent), expected);
    assert_eq!(scene.traces(), ["true"; 7]);
}

#[test]
fn limits_that_are_wrong_are_errors_that_leave_the_event_open() {
    let main = "function application.onPeerLookup(event)
            local function why(...)
                local ok, text = pcall(application.relayPeer, ...)
                assert(not ok)
                trace((text:gsub('^[^ ]+ ', '')))
            end
            why(event, 5)
            why(event, { bytesPerSecond = '5' })
            why(event, { bytesPerSecond = 0 })
            why(event, { lifetime = -1 })
            why(event, { lifetime = 0 / 0 })
            why(event, { lifetime = {} })
            why(event, { rate = 5 })
            why(event, { [('x'):rep(1000)] = 5 })
            why(event, { 5 })
            why({}, {})
            why()
            assert(application.relayPeer(event, { lifetime = 5 }))
            why(event)
            assert(not pcall(application.denyPeerLookup, event))
        end";
    let (sent, scene) = look_up(main, LookupMode::All, 1);
    assert_eq!(relays(&sent), [(None, Some(5))]);
    let long = format!("application.relayPeer knows no limit {}: it has bytesPerSecond and lifetime", "x".repeat(64));
    let expected = [
        "the limits of application.relayPeer are a table, not a integer",
        "bytesPerSecond of application.relayPeer is a number, not a string",
        "bytesPerSecond of application.relayPeer is at least 1, not 0",
        "lifetime of application.relayPeer is at least 1, not -1",
        "lifetime of application.relayPeer is at least 1, not NaN",
        "lifetime of application.relayPeer is a number, not a table",
        "application.relayPeer knows no limit rate: it has bytesPerSecond and lifetime",
        &long,
        "the limits of application.relayPeer have names, and one of them is a integer",
        "application.relayPeer takes the event of a lookup, not a table",
        "application.relayPeer takes the event of a lookup, not a nil",
        "this lookup has been answered, by the script or by its deadline",
    ];
    let traces = scene.traces();
    for (text, expected) in traces.iter().zip(expected) {
        assert!(text.ends_with(expected), "{text} instead of {expected}");
    }
    assert_eq!(traces.len(), expected.len());
}

#[test]
fn a_relay_may_be_wanted_later_and_after_so_many_attempts() {
    let main = "function application.onPeerLookup(event)
            if event.attempt < 2 then
                setTimeout(function() application.relayPeer(event, { lifetime = 7000 }) end, 100)
            else
                application.relayPeer(event)
            end
        end";
    let (sent, mut scene) = look_up(main, LookupMode::All, 1);
    assert!(sent.is_empty(), "{sent:?}");
    scene.stage.advance(Duration::from_millis(100));
    assert_eq!(relays(&scene.sent()), [(None, Some(7000))]);
}

#[test]
fn in_mode_partial_the_server_introduces_clients_of_the_instance_without_the_script() {
    let main = "function application.onPeerLookup(event) trace('asked') application.relayPeer(event) end";
    let (sent, mut scene) = look_up(main, LookupMode::Partial, 1);
    assert!(matches!(sent[..], [Effect::BuiltIn { .. }]), "{sent:?}");
    // An asker from elsewhere is the script's to decide about.
    scene.stage.look_up(Some(TARGET), "192.0.2.1:1000".parse().unwrap(), None);
    assert_eq!(relays(&scene.sent()), [(None, None)]);
    assert_eq!(scene.traces(), ["asked"]);
}

#[test]
fn a_relay_to_a_peer_that_is_not_here_is_a_question_for_the_registry() {
    let mut scene =
        scene_with("function application.onPeerLookup(event) application.relayPeer(event) end", |settings| {
            settings.peer_lookup_events = LookupMode::All;
        });
    let asker = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.look_up(Some(TARGET), "192.0.2.1:1000".parse().unwrap(), Some(asker));
    let sent = scene.sent();
    assert!(matches!(sent[..], [Effect::BuiltIn { .. }]), "{sent:?}");
}

//! Timers and handlers that sleep.

use introd_policy::message::AppEvent;

use super::*;
use crate::engine::timers::MAX_PERIOD;

#[test]
fn a_timer_that_is_behind_does_not_catch_up() {
    let mut scene = scene("function application.onAppStart() setInterval(function() trace('tick') end, 10) end");
    let at = scene.stage.runtime.instance.now.get() + Duration::from_secs(10);
    scene.stage.runtime.handle_timeout(at, || false);
    assert_eq!(scene.traces(), ["tick"]);
    assert_eq!(scene.stage.runtime.next_timeout(), Some(at + Duration::from_millis(1)));
}

#[test]
fn a_period_has_a_least_and_a_largest_length() {
    let mut short = scene(
        "function application.onAppStart()
            setTimeout(trace, -5, 'timeout')
            for i = 1, 5 do sleep(0) trace(i) end
        end",
    );
    assert_eq!(short.traces(), [""; 0]);
    short.advance(3);
    assert_eq!(short.traces(), ["timeout", "1", "2", "3"]);
    let long = scene("function application.onAppStart() setTimeout(trace, 1e300) setTimeout(trace, 1 << 62) end");
    let now = long.stage.runtime.instance.now.get();
    assert_eq!(long.stage.runtime.next_timeout(), Some(now + MAX_PERIOD));
}

#[test]
fn there_is_a_bound_at_which_a_timer_is_an_error_and_which_ended_ones_do_not_reach() {
    let mut scene = scene_with(
        "function application.onAppStart()
            local ids = {}
            for i = 1, 16384 do ids[i] = setTimeout(print, 1e6) end
            assert(not pcall(setTimeout, print, 1e6))
            clearTimeout(ids[7])
            setTimeout(trace, 10, 'again')
            assert(not pcall(setTimeout, print, 1e6))
        end
        function Client:more() setTimeout(trace, 10, 'once more') end",
        |settings| settings.script.time = Some(Duration::from_secs(60)),
    );
    scene.advance(20);
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "more", 1.0, Vec::new());
    scene.advance(20);
    assert_eq!(scene.traces(), ["again", "once more"]);
}

/// Tokens are numbers that a script can guess.
#[test]
fn nothing_but_its_time_wakes_a_handler_that_sleeps() {
    let mut scene = scene(
        "function application.onAppStart() sleep(100) trace('woken') end
        function Client:clear() for i = 1, 50 do clearTimeout(i) clearInterval(i) end end",
    );
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "clear", 1.0, Vec::new());
    for token in 0..50 {
        scene.stage.tell(AppEvent::Stats { client, token, stats: None });
        scene.stage.tell(AppEvent::Answer { client, token, outcome: Ok(Vec::new()) });
    }
    assert_eq!(scene.traces(), [""; 0]);
    scene.advance(100);
    assert_eq!(scene.traces(), ["woken"]);
}

#[test]
fn the_time_of_a_handler_adds_up_over_its_waits() {
    let mut scene = scene_with(
        "function application.onPeerLookup()
            local x <close> = setmetatable({}, { __close = function() trace('closed') end })
            sleep(10)
            sleep(10)
            trace('never')
        end",
        |settings| settings.script.time = Some(Duration::from_secs(3600)),
    );
    scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    let age = |scene: &Scene, by| scene.stage.runtime.script.vm.age(by)[0];
    // Its first turn is so short that no clock was looked at.
    let first = age(&scene, Duration::ZERO);
    scene.advance(10);
    assert!(age(&scene, Duration::ZERO) > first);
    age(&scene, Duration::from_secs(3600));
    scene.advance(10);
    let failures: Vec<_> = scene.journal().into_iter().map(|entry| format!("{entry:?}")).collect();
    assert!(failures.len() == 1 && failures[0].contains("has run longer"), "{failures:?}");
}

#[test]
fn a_handler_without_time_left_closes_nothing_when_it_is_ended() {
    let mut scene = scene(
        "function application.onPeerLookup()
            local x <close> = setmetatable({}, { __close = function() trace('closed') end })
            sleep(1e6)
        end",
    );
    for used in [Duration::ZERO, Duration::from_secs(3600)] {
        scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
        scene.stage.runtime.script.vm.age(used);
        scene.stage.tell(AppEvent::Reload);
    }
    assert_eq!(scene.traces(), ["closed"]);
}

//! The bounds on what a script may use, and on what the host keeps for it.

use std::rc::Rc;
use std::time::Duration;

use rtmfp::PeerId;

use super::*;
use crate::engine::limits::STACK;
use introd_policy::message::AppEvent;

/// Code that takes too much of something, with the error that ends it.
const TOO_MUCH: &[(&str, &str, &str)] = &[
    ("deep recursion", "local function f(n) return 1 + f(n + 1) end f(1)", "stack overflow"),
    ("recursion through the host", "local function f() return (string.gsub('x', 'x', f)) end f()", "stack overflow"),
    (
        "recursion through pcall",
        "local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()",
        "overflow",
    ),
    ("a string of 1 GiB", "local s = ('x'):rep(1 << 30)", "not enough memory"),
    ("a string that doubles", "local s = 'x' while true do s = s .. s end", "not enough memory"),
    ("a table that grows", "local t = {} for i = 1, 1e9 do t[i] = i end", "not enough memory"),
    ("a replacement that explodes", "local s = ('x'):rep(1e6) s:gsub('x+', ('%0'):rep(1e5))", "not enough memory"),
    ("joining a false list", "table.concat(setmetatable({}, { __index = rawlen }), '', 1, 1e15)", "too many elements"),
    ("a pathological pattern", "string.find(('a'):rep(100000), '.-.-.-.-.-.-b')", "pattern too complex"),
    ("a pattern that nests", "string.find(('a'):rep(1000), ('a?'):rep(1000) .. 'b')", "pattern too complex"),
    ("a long plain text", "string.find(('a'):rep(16000), ('a'):rep(8000) .. 'b', 1, true)", "pattern too complex"),
    ("tables in themselves", "local t = {} t.t = t application.broadcastMsg('x', t)", "nested too deeply"),
    ("a finalizer", "setmetatable({}, { __gc = function() while true do end end })", "finalizers"),
    ("a million timers", "for i = 1, 1e6 do setTimeout(print, 1e6) end", "too many timers"),
];

/// Code that makes the host keep too much for the script, with the error that ends it.
const KEPT_BY_THE_HOST: &[(&str, &str, &str)] = &[
    ("a pattern", "string.find('x', ('a'):rep(4e6) .. '.')", "not enough memory"),
    (
        "patterns in use",
        "local all = {} for i = 1, 1000 do all[i] = string.gmatch('x', ('a'):rep(1e5) .. '.') end",
        "not enough memory",
    ),
    ("the name of a method", "application.broadcastMsg(('x'):rep(2000))", "at most 1024 bytes"),
    (
        "arguments of timers",
        "local t = {} for i = 1, 1e5 do t[i] = i end
        for i = 1, 1000 do setTimeout(print, 1e6, table.unpack(t)) end",
        "not enough memory",
    ),
];

/// Runs each code in a handler of its own, which must fail with the expected error; `check` is given each scene then.
fn each_fails(cases: &[(&str, &str, &str)], check: fn(&str, &mut Scene)) {
    for (what, code, expected) in cases {
        let main = format!("function application.onPeerLookup(event)\n{code}\nend");
        let mut scene = scene_with(&main, |settings| {
            settings.script.memory = 48 << 20;
            settings.script.time = Some(Duration::from_secs(120));
        });
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(name, _, _, text)] if name == "onPeerLookup" && text.contains(expected)),
            "{what}: {failures:?}"
        );
        check(what, &mut scene);
    }
}

#[test]
fn what_takes_too_much_fails() {
    // The stack that scripts have.
    let thread = std::thread::Builder::new().stack_size(STACK);
    let test = || {
        each_fails(TOO_MUCH, |what, scene| {
            assert!(matches!(scene.sent()[..], [Effect::Deny { .. }]), "{what}");
            scene.stage.connect(|_| ());
            assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]), "{what}");
        });
    };
    thread.spawn(test).unwrap().join().unwrap();
}

/// What the host keeps for a script counts as the script's memory, or has a bound of its own.
#[test]
fn what_the_host_keeps_for_a_script_is_bounded() {
    each_fails(KEPT_BY_THE_HOST, |what, scene| {
        // What the script does not need any more is not counted any more.
        scene.stage.runtime.script.lua().gc_collect().unwrap();
        assert_eq!(scene.stage.runtime.script.state.marks.host_memory.bytes(), 0, "{what}");
    });
}

#[test]
fn ten_thousand_handlers_wait_and_the_bound_holds() {
    let main = "woken = 0
        function application.onPeerLookup(event) sleep(100) woken = woken + 1 application.denyPeerLookup(event) end
        function Client:count() return woken end";
    let mut scene = scene_with(main, |settings| settings.script.time = None);
    for number in 0..10_000_u32 {
        scene.stage.look_up(None, (([192, 0, 2, 1]), (number % 60_000) as u16 + 1).into(), None);
    }
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 10_000);
    assert!(scene.sent().is_empty());
    scene.advance(100);
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 0);
    assert_eq!(scene.sent().iter().filter(|command| matches!(command, Effect::Deny { .. })).count(), 10_000);
    assert!(scene.failures().is_empty());
    for _ in 0..20_000 {
        scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    }
    assert!(scene.stage.runtime.script.vm.waiting() < 20_000);
    let failures = scene.failures();
    assert!(failures.iter().all(|failure| failure.3.contains("too many")), "{:?}", failures.first());
    scene.advance(100);
    assert_eq!(scene.sent().len(), 20_000, "each is answered once, by the script or for it");
    // When they have gone on, others can wait, and little is kept of them.
    assert!(scene.stage.runtime.script.vm.idle() <= 64);
    scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 1);
}

#[test]
fn vms_leave_nothing_behind() {
    // Each VM takes 20 MiB. That it is gone shows by a weak reference to what it held.
    let folder = Folder::new(
        "local hoard = {}
        for i = 1, 20 do hoard[i] = ('x'):rep(1 << 20) .. i end
        function application.onConnect(client) hoard.client = client client.self = client client.hoard = hoard end
        function application.onPeerLookup(event) hoard.event = event event.hoard = hoard sleep(1e6) end
        function Client:onGroupJoin(control) control.hoard = hoard hoard.control = control end
        setmetatable(application, { hoard })",
    );
    let unhurried = settings(|settings| settings.script.time = None);
    let mut stage = Stage::start(folder.path(), unhurried).unwrap_or_else(|failure| panic!("{failure}"));
    let client = stage.connect(|_| ());
    stage.join(client, [1; 32]);
    stage.look_up(None, "192.0.2.1:1".parse().unwrap(), Some(client));
    let states: Vec<_> = (0..3)
        .map(|_| {
            let state = Rc::downgrade(&stage.runtime.script.state);
            stage.tell(AppEvent::Reload);
            state
        })
        .collect();
    assert!(states.iter().all(|state| state.upgrade().is_none()), "reloaded");
    let (state, instance) = (Rc::downgrade(&stage.runtime.script.state), Rc::downgrade(&stage.runtime.instance));
    drop(stage);
    assert!(state.upgrade().is_none() && instance.upgrade().is_none());
}

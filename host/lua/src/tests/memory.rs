//! What a script's memory is, and that it is known.

use super::*;
use introd_flash::amf::Value;

const MIB: usize = 1 << 20;

/// What a call of a method comes to in a script with so much memory.
fn call(main: &str, memory: usize) -> (Scene, Vec<String>) {
    let mut scene = scene_with(main, |settings| {
        settings.script.memory = memory;
        settings.script.time = Some(Duration::from_secs(60));
    });
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "go", 1.0, Vec::new());
    let failures = scene.failures().into_iter().map(|failure| failure.3).collect();
    (scene, failures)
}

#[test]
fn what_lua_has_and_what_the_host_has_for_it_share_one_memory() {
    let both = "function Client:go()
        kept = { ('x'):rep(2 << 20), ('y'):rep(2 << 20) }
        for i = 1, 5 do kept[#kept + 1] = ByteArray(('z'):rep(1 << 20)) end
    end";
    let (_, failures) = call(both, 8 * MIB);
    assert!(failures.len() == 1 && failures[0].contains("not enough memory"), "{failures:?}");
    // What the script does not need any more makes room, also if Lua itself would not look for it yet.
    let garbage = "local text = ('x'):rep(1 << 20) function Client:go() for i = 1, 50 do ByteArray(text) end end";
    let (_, failures) = call(garbage, 8 * MIB);
    assert_eq!(failures, [""; 0]);
}

#[test]
fn what_the_host_has_for_a_script_is_told_as_its_memory() {
    let (scene, _) = call("function Client:go() kept = ByteArray(('x'):rep(4 << 20)) end", 64 * MIB);
    let lua = scene.stage.runtime.script.lua().used_memory();
    let told = scene.stage.runtime.instance.memory.own.get();
    assert!(told + 8192 >= lua + 4 * MIB, "{told} {lua}");
}

#[test]
fn what_a_handler_leaves_behind_is_collected_and_told_once() {
    let (mut scene, _) =
        call("function Client:go() local t = {} for i = 1, 30 do t[i] = ('x'):rep(1 << 20) .. i end end", 56 * MIB);
    let used = scene.stage.runtime.script.lua().used_memory();
    assert!(used < 8 * MIB, "{used}");
    let freed = scene.stage.runtime.take_freed();
    assert!(freed >= 24 * MIB, "{freed}");
    assert_eq!(scene.stage.runtime.take_freed(), 0);
    assert!(scene.stage.runtime.script.max_used() >= 30 * MIB);
}

#[test]
fn a_line_of_a_script_is_bounded() {
    let traces = super::scene(
        "local parts = {} for i = 1, 100 do parts[i] = ('y'):rep(200) end
        trace(table.unpack(parts)) trace(table.unpack({}, 1, 9000)) trace(('x'):rep(10000))",
    )
    .traces();
    assert_eq!(traces.iter().map(|line| line.len().min(4097)).collect::<Vec<_>>()[..2], [4096, 4096]);
    assert!(traces[2].len() < 300, "{}", traces[2].len());
}

#[test]
fn a_message_is_bounded_in_each_way_and_up_to_its_bounds_is_sent() {
    let nested =
        |levels: usize| format!("(function() local t = {{}} for i = 2, {levels} do t = {{ t }} end return t end)()");
    let many = |code: &str, count: usize| {
        format!("(function() local t = {{}} for i = 1, {count} do t[i] = {code} end return t end)()")
    };
    let cases = [
        (nested(32), ""),
        (nested(33), "nested too deeply"),
        (many("{}", 100), ""),
        (many("0", 16_383), ""),
        (many("0", 16_384), "too many values"),
        ("('x'):rep((1 << 20) - 1)".to_owned(), ""),
        ("('x'):rep((1 << 20) + 1)".to_owned(), "too much text"),
        ("setmetatable({}, { __class = ('x'):rep((1 << 20) + 1) })".to_owned(), "too much text"),
        ("{ [('x'):rep((1 << 20) + 1)] = 1 }".to_owned(), "too much text"),
        (many("given", 40), ""),
        (many("given", 400), "too many values"),
    ];
    for (value, problem) in cases {
        let mut scene =
            scene_with(&format!("function Client:go(given) application.broadcastMsg('x', {value}) end"), |settings| {
                settings.script.time = Some(Duration::from_secs(60));
            });
        let client = scene.stage.connect(|_| ());
        let entries = (0..50).map(|number| (Value::Integer(number), Value::Null)).collect();
        let given = Value::Dictionary { weak_keys: false, entries };
        scene.stage.call(client, "go", 0.0, vec![given]);
        let failures = scene.failures();
        let shown: String = value.chars().take(60).collect();
        match problem {
            "" => assert!(failures.is_empty(), "{shown}: {failures:?}"),
            problem => assert!(failures.len() == 1 && failures[0].3.contains(problem), "{shown}: {failures:?}"),
        }
    }
}

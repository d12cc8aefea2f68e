//! The scripts in `lua/`.

use super::*;

fn lua_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lua")
}

#[test]
fn the_tests_of_all_shipped_applications_pass() {
    let mut applications = 0;
    for entry in std::fs::read_dir(lua_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("main.lua").is_file() {
            applications += 1;
            let mut out = Vec::new();
            let passed = testing::run(std::slice::from_ref(&path), testing::Options::default(), &mut out).unwrap();
            assert!(passed, "{}\n{}", path.display(), String::from_utf8_lossy(&out));
        }
    }
    assert!(applications >= 7, "{applications}");
}

#[test]
fn the_simple_filter_runs_too() {
    let folder = lua_folder().join("filter/simple.lua");
    let mut scene = scene(&std::fs::read_to_string(folder).unwrap());
    scene.stage.connect(|info| info.far_id = rtmfp::PeerId([0xaa; 32]));
    scene.stage.look_up(Some(rtmfp::PeerId([0xbb; 32])), "192.0.2.1:1".parse().unwrap(), None);
    scene.stage.look_up(Some(rtmfp::PeerId([0xaa; 32])), "192.0.2.1:1".parse().unwrap(), None);
    let sent = scene.sent();
    assert!(
        matches!(
            sent[..],
            [Effect::Accept { .. }, Effect::Redirect { .. }, Effect::Command(ClientCommand::Introduce { .. })]
        ),
        "{sent:?}"
    );
}

#[test]
fn a_run_tells_what_failed_and_where() {
    let folder = Folder::new(
        "function Client:add(a, b) log.warn('sum', a, b) return a + b end function application.onPeerLookup() error('x') end",
    );
    folder.write(
        "sums_test.lua",
        "describe('sums', function()
            local app, cleaned
            before_each(function() app = start() end)
            after_each(function() cleaned = true end)
            it('are right', function() assert.equal(3, app:connect():call('add', 1, 2)) end)
            it('are wrong', function()
                assert.equal(4, app:connect():call('add', 1, 2))
            end)
            describe('with others', function()
                it('are cleaned up', function() assert.is_true(cleaned) end)
                it('fail', function() error({}) end)
                it('never end', function() while true do pcall(error) end end)
                it('see failures', function()
                    assert.equal('denied', app:lookup({}).outcome)
                    assert.equal('onPeerLookup', app.failures[1].handler)
                    assert.has_error(function() assert.same({ 1, { 2 } }, { 1, { 3 } }) end, '2 = { 1 = 3 }')
                end)
            end)
        end)",
    );
    folder.write("broken_test.lua", "x x");
    let mut out = Vec::new();
    let time = std::time::Duration::from_millis(300);
    let options = testing::Options { time, ..testing::Options::default() };
    assert!(!testing::run(&[folder.path().to_owned()], options, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    for expected in [
        "FAIL  broken_test.lua\n      broken_test.lua:1: syntax error",
        "ok    sums_test.lua: sums are right",
        "FAIL  sums_test.lua: sums are wrong\n      sums_test.lua:7: expected 4, got 3\n      | warn: sum 1 2\n",
        "ok    sums_test.lua: sums with others are cleaned up",
        "FAIL  sums_test.lua: sums with others fail\n      sums_test.lua:11: (the error is a table)",
        "FAIL  sums_test.lua: sums with others never end",
        "has run longer than 300ms",
        "ok    sums_test.lua: sums with others see failures",
        "3 passed, 4 failed",
    ] {
        assert!(text.contains(expected), "{expected}\n--\n{text}");
    }
    let empty = Folder::new("");
    assert!(
        !testing::run(&[empty.path().to_owned()], testing::Options::default(), &mut Vec::new()).unwrap(),
        "nothing tested is nothing passed"
    );
}

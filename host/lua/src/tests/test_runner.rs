//! `introd test`: which folders it runs, which settings hold, which options it knows, and what it prints.

use super::*;

fn run(folder: &Folder, options: testing::Options) -> (bool, String) {
    let mut out = Vec::new();
    let has_passed = testing::run(&[folder.path().to_owned()], options, &mut out).unwrap();
    (has_passed, String::from_utf8(out).unwrap().replace(&folder.path().display().to_string(), "DIR"))
}

fn run_test(main: &str, xml: &str, test: &str) -> (bool, String) {
    let folder = Folder::new(main);
    if !xml.is_empty() {
        folder.write("Application.xml", xml);
    }
    folder.write("some_test.lua", test);
    run(&folder, testing::Options::default())
}

fn passes(main: &str, xml: &str, test: &str) {
    let (has_passed, out) = run_test(main, xml, test);
    assert!(has_passed, "{xml}\n{out}");
}

#[test]
fn all_applications_below_a_folder_run_with_a_total() {
    let folder = Folder::new("");
    std::fs::remove_file(folder.path().join("main.lua")).unwrap();
    for (name, result) in [("a", "true"), ("deep/er/b", "true"), ("c", "false"), (".hidden", "false")] {
        folder.write(&format!("{name}/main.lua"), "");
        folder.write(&format!("{name}/x_test.lua"), &format!("it('works', function() assert.is_true({result}) end)"));
    }
    folder.write("a/helper/main.lua", "");
    folder.write("untested/main.lua", "");
    folder.write("library/tools.lua", "");
    let (has_passed, out) = run(&folder, testing::Options::default());
    assert!(!has_passed);
    assert_eq!(
        out,
        "note  DIR/untested has a script and no tests\n\
         DIR/a:\nok    x_test.lua: works\n1 passed, 0 failed\n\
         DIR/c:\nFAIL  x_test.lua: works\n      x_test.lua:1: expected true, got false\n0 passed, 1 failed\n\
         DIR/deep/er/b:\nok    x_test.lua: works\n1 passed, 0 failed\n\
         \nin 3 applications: 2 passed, 1 failed\n"
    );
    // A folder that is named and has nothing to run has not passed, whatever others have.
    let (good, empty) = (folder.path().join("a"), folder.path().join("untested"));
    let mut out = Vec::new();
    assert!(!testing::run(&[good.clone(), empty], testing::Options::default(), &mut out).unwrap());
    assert!(testing::run(&[good], testing::Options::default(), &mut out).unwrap());
    assert!(testing::run(&[folder.path().join("none")], testing::Options::default(), &mut out).is_err());
}

#[test]
fn a_file_with_tests_runs_by_itself() {
    let folder = Folder::new("");
    folder.write("one_test.lua", "it('is one', function() end)");
    folder.write("two_test.lua", "it('is two', function() end)");
    let run = |name: &str| {
        let mut out = Vec::new();
        let ended = testing::run(&[folder.path().join(name)], testing::Options::default(), &mut out);
        (ended.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
    };
    assert_eq!(run("two_test.lua"), (Ok(true), "ok    two_test.lua: is two\n1 passed, 0 failed\n".to_owned()));
    let error = run("main.lua").0.unwrap_err();
    assert!(error.ends_with("main.lua: this is a file, and not one with tests: those are named *_test.lua"), "{error}");
}

#[test]
fn a_script_for_all_names_starts_under_any() {
    let main = "function application.onConnect(client) client.name = application.name return true end
        function Client:who() return self.name end";
    passes(
        main,
        "",
        "it('has the name', function()
            for given, name in pairs { poker = 'poker/_definst_', ['poker/7'] = 'poker/7' } do
                local app = start { application = given }
                assert.are.equal(name, (app:connect():call('who')))
            end
            assert.has_error(function() start { application = '/room' } end)
            assert.has_error(function() start { application = '' } end)
        end)",
    );
}

#[test]
fn lookups_go_where_the_modes_send_them() {
    let main = "function application.onPeerLookup(event) application.denyPeerLookup(event) end";
    let test = |options: &str, outcomes: &str| {
        format!(
            "it('asks', function()
                local app = start({options})
                local ann, bob = app:connect(), app:connect()
                local function outcome(lookup) return tostring(app:lookup(lookup).outcome) end
                assert.equal('{outcomes}', table.concat({{
                    outcome {{ target = bob, from = ann }}, outcome {{ target = ('0'):rep(64), from = ann }},
                    outcome {{ target = bob }}, outcome {{ target = bob, application = 'other/room' }},
                }}, ' '))
            end)"
        )
    };
    let file = |mode: &str| format!("<Application><RTMFP><PeerLookupEvents mode='{mode}'/></RTMFP></Application>");
    for (mode, outcomes) in [
        ("None", "builtin builtin builtin builtin"),
        ("Partial", "builtin denied denied denied"),
        ("All", "denied denied denied denied"),
    ] {
        passes(main, &file(mode), &test("", outcomes));
        passes(main, "", &test(&format!("{{ lookups = '{mode}' }}"), outcomes));
        passes(main, &file("All"), &test(&format!("{{ lookups = '{mode}' }}"), outcomes));
    }
    passes(main, "", &test("", "denied denied denied denied"));
    passes(main, "<Application/>", &test("", "builtin builtin builtin builtin"));
}

#[test]
fn groups_and_connects_follow_the_file_and_the_options_too() {
    let main = "function Client:onGroupJoin() trace('joined') end function Client:onGroupLeave() trace('left') end
        function application.onConnect() end";
    let test = |options: &str, traces: &str, accepted: bool| {
        format!(
            "it('goes', function()
                local app = start({options})
                local ann = app:connect()
                assert.equal({accepted}, ann.accepted)
                local group = ('1'):rep(64)
                ann:leave(ann:join(group), group)
                assert.equal('{traces}', table.concat(app.traces, ' '))
                assert.same({{}}, app.warnings)
            end)"
        )
    };
    let file = "<Application><ScriptEngine><ConnectDefault>pending</ConnectDefault></ScriptEngine></Application>";
    passes(main, "", &test("", "joined left", true));
    passes(main, "<Application/>", &test("", "", true));
    passes(main, file, &test("", "", false));
    passes(main, file, &test("{ groups = 'All', connectDefault = 'accept' }", "joined left", true));
    passes(main, "", &test("{ groups = 'none', connectDefault = 'pending' }", "", false));
}

#[test]
fn a_broken_application_xml_fails_and_its_warnings_are_told() {
    let (has_passed, out) = run_test("", "<Application><Nonsense/></Application>", "it('x', function() end)");
    assert!(!has_passed && out.contains("FAIL  Application.xml\n") && out.contains("Nonsense"), "{out}");
    let (has_passed, out) =
        run_test("", "<Application><Process><Scope>vhost</Scope></Process></Application>", "it('x', function() end)");
    assert!(has_passed && out.contains("note  DIR/Application.xml:1") && out.contains("Process"), "{out}");
}

#[test]
fn options_that_are_unknown_are_refused_with_a_suggestion() {
    for (call, said) in [
        ("start { lookup = 'All' }", "start has no option lookup; did you mean lookups?"),
        ("start { conectDefault = 'pending' }", "start has no option conectDefault; did you mean connectDefault?"),
        ("start { 'All' }", "start takes options with names, and got one with a integer"),
        ("start { connectDefault = 'perhaps' }", "connectDefault is accept or pending, not perhaps"),
        ("start():connect { farId = 'x' }", "connect has no option farId; did you mean farID?"),
        ("start():connect { zebra = 1 }", "connect has no option zebra; it has farID, "),
        ("start():lookup { targt = 'x' }", "lookup has no option targt; did you mean target?"),
    ] {
        let (has_passed, out) = run_test("", "", &format!("it('fails', function() {call} end)"));
        assert!(!has_passed && out.contains(said), "{call}\n{out}");
    }
}

#[test]
fn what_scripts_and_tests_print_is_shown_where_it_helps() {
    let folder = Folder::new(
        "function application.onConnect(client, word) trace('script', word) end
        function Client:fail() error('no') end",
    );
    folder.write(
        "some_test.lua",
        "local function go(word)
            local app = start()
            print('before', word)
            app:connect { arguments = { word } }:call('fail')
            print('after', word)
        end
        it('passes', function() go('good') end)
        it('fails', function() go('bad') error('enough') end)
        it('fails with two servers', function()
            for _, name in ipairs { 'a', 'b' } do start({ server = name }):connect { arguments = { name } } end
            error('enough')
        end)",
    );
    let of = |word: &str| {
        format!(
            "      | before {word}\n      | script {word}\n      | fail failed: main.lua:2: no\n      | after {word}\n"
        )
    };
    let fails = format!(
        "FAIL  some_test.lua: fails\n      some_test.lua:8: enough\n{}\
         FAIL  some_test.lua: fails with two servers\n      some_test.lua:11: enough\n      | a: script a\n      | b: script b\n",
        of("bad")
    );
    let (_, out) = run(&folder, testing::Options::default());
    assert_eq!(out, format!("ok    some_test.lua: passes\n{fails}1 passed, 2 failed\n"));
    let (_, out) = run(&folder, testing::Options { show_output: true, ..testing::Options::default() });
    assert_eq!(out, format!("ok    some_test.lua: passes\n{}{fails}1 passed, 2 failed\n", of("good")));
}

#[test]
fn a_late_decision_is_told_once_for_a_file() {
    let main = "function application.onConnect(client) setTimeout(application.acceptConnection, 10, client) end";
    let test = "for number = 1, 3 do it('is late', function() local app = start() app:connect() app:advance(100)
        assert.equal(1, #app.warnings) end) end";
    let (has_passed, out) = run_test(main, "", test);
    assert!(
        has_passed && out.matches("note  main.lua:1: application.acceptConnection decides about a client").count() == 1,
        "{out}"
    );
}

#[test]
fn a_test_can_publish_and_read_statistics() {
    passes(
        "function application.onPublish(client, stream) if stream.name == 'wait' then sleep(100) end return stream.name ~= 'no' end
        function application.onUnpublish(client, stream) trace('end', stream.name, stream.type) end
        function Client:stats() return application.getStats() end",
        "",
        "it('publishes', function()
            local app = start()
            local ann, bob = app:connect(), app:connect()
            assert.is_true(ann:publish('cam', 'record'))
            assert.is_false(ann:publish('no'))
            assert.is_nil(ann:publish('wait'))
            app:advance(200)
            ann:unpublish('cam')
            ann:disconnect()
            assert.same({ 'end cam record', 'end wait live' }, app.traces)
            local stats = bob:call('stats')
            assert.same({ 2, 1 }, { stats.total_connects, stats.total_disconnects })
            assert.has_error(function() bob:unpublish('x') end, 'has not published x')
        end)",
    );
}

#[test]
fn a_test_says_how_often_an_asker_has_asked() {
    passes(
        "function application.onPeerLookup(event) trace(event.attempt, event.client) end",
        "",
        "it('asks again', function()
            local app = start()
            app:lookup {}
            app:lookup { attempt = 2 }
            assert.same({ '1 nil', '2 nil' }, app.traces)
            for _, bad in ipairs { 0, -1, 1.5, 'x' } do
                assert.has_error(function() app:lookup { attempt = bad } end)
            end
        end)",
    );
}

#[test]
fn a_test_sees_the_relay_that_a_script_wants_and_its_limits() {
    passes(
        "function application.onPeerLookup(event)
            if event.attempt == 1 then
                application.relayPeer(event)
            else
                application.relayPeer(event, { bytesPerSecond = 64000, lifetime = 60000 })
            end
        end",
        "",
        "it('is relayed', function()
            local app = start()
            local ann, bob = app:connect(), app:connect()
            local first, second = app:lookup { target = bob, from = ann }, app:lookup { target = bob, from = ann, attempt = 2 }
            assert.same({ 'relayed', 'relayed' }, { first.outcome, second.outcome })
            assert.same({ {}, { bytesPerSecond = 64000, lifetime = 60000 } }, { first.limits, second.limits })
            assert.equal('relayed', app:lookup({ target = bob, application = 'other/room' }).outcome)
            local unknown = app:lookup { target = ('0'):rep(64), from = ann }
            assert.same({ 'builtin' }, { unknown.outcome, unknown.limits })
        end)",
    );
}

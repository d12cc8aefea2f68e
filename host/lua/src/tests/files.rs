//! `file`: reading files of the application's folder, and watching them.

use std::sync::Arc;

use super::{Folder, host, scene, scene_with, settings};
use crate::instance::journal::JournalEntry;
use crate::testing::Sent;
use crate::{Host, HostSettings, ScriptState, Surroundings};
use introd_policy::Verdict;
use introd_policy::message::ClientCommand;

/// Reads by the function of that name and traces what comes of it.
const READS: &str = "
    local function show(value)
        if type(value) ~= 'table' then return tostring(value) end
        local parts = {}
        for _, item in ipairs(value) do parts[#parts + 1] = show(item) end
        return '{' .. table.concat(parts, ',') .. '}'
    end
    function application.onConnect(client, kind, name)
        local value, problem = file[kind](name)
        trace(show(value), problem)
    end";

fn outcome(folder: &Folder, kind: &str, name: &str) -> String {
    let stage = crate::testing::Stage::start(folder.path(), settings(|settings| settings.script.files.max_size = 100));
    let mut stage = stage.unwrap_or_else(|failure| panic!("{failure}"));
    let text = |text: &str| introd_flash::amf::Value::String(text.to_owned());
    stage.connect(|info| info.request.arguments = vec![text(kind), text(name)]);
    let line = |entry| match entry {
        JournalEntry::Trace(line) | JournalEntry::Line(_, line) | JournalEntry::Warning(line) => line,
        JournalEntry::Failure(_, failure) => failure.to_string(),
    };
    stage.runtime.instance.journal.take().into_iter().map(line).collect()
}

#[test]
fn a_script_reads_files_of_its_folder_as_what_they_are() {
    let folder = Folder::new(READS);
    folder.write("list.txt", "\u{feff}one\r\ntwo\n");
    folder.write("sub/tree.xml", "<a><b/><b/></a>");
    folder.write("list.json", "[1, [2]]");
    folder.write("large", &"x".repeat(101));
    std::fs::write(folder.path().join("bytes"), b"\xff").unwrap();
    for (kind, name, expected) in [
        ("read", "list.txt", "\\u{feff}one\\r\\ntwo\\n nil"),
        ("lines", "list.txt", "{one,two} nil"),
        ("json", "list.json", "{1,{2}} nil"),
        ("xml", "sub/tree.xml", "{{},{}} nil"),
        ("read", "none", "nil there is no file \"none\""),
        ("read", "sub", "no regular file"),
        ("read", "large", "ScriptEngine/File/MaxFileSize in Application.xml allows"),
        ("lines", "bytes", "nil bytes: it is not UTF-8, from byte 1 on"),
        ("json", "list.txt", "nil list.txt: "),
        ("xml", "list.txt", "nil list.txt: line 1"),
        ("json", "none", "nil there is no file"),
        ("read", "../x", "is not below the application's folder"),
        ("read", "/etc/passwd", "is not below the application's folder"),
    ] {
        let outcome = outcome(&folder, kind, name);
        assert!(outcome.contains(expected), "{kind} {name}: {outcome}");
    }
}

#[test]
fn what_is_no_name_or_no_handler_is_an_error_at_its_line() {
    let mut scene = scene_with(
        "function application.onAppStart()
            for _, call in ipairs {
                function() file.read() end,
                function() file.lines(12) end,
                function() file.watch('../x', print) end,
                function() file.watch('x') end,
                function() file.watch('x', print) file.watch('y', print) file.watch('z', print) end,
            } do
                trace(select(2, pcall(call)))
            end
            file.unwatch(nil)
            file.unwatch(1 << 62)
        end",
        |settings| settings.script.files.max_watches = 2,
    );
    scene.sent();
    let traces = scene.traces();
    for (trace, why) in traces.iter().zip([
        "the name of a file is a string, not a nil",
        "the name of a file is a string, not a integer",
        "is not below the application's folder",
        "file.watch calls a function, not a nil",
        "ScriptEngine/File/MaxWatches in Application.xml allows no more",
    ]) {
        assert!(trace.contains(why) && trace.contains("main.lua:"), "{trace}");
    }
    assert_eq!(traces.len(), 5);
}

#[test]
fn a_script_that_is_only_being_loaded_reads_nothing() {
    for call in ["file.read('x')", "file.watch('x', print)", "http.get('http://a.example/')"] {
        let folder = Folder::new(call);
        let failure = crate::check(super::instance_name("app"), folder.path(), &settings(|_| ())).unwrap_err();
        assert!(failure.message.contains("the application has not started"), "{call}: {failure}");
    }
}

#[test]
fn a_watch_calls_its_handler_after_each_change_and_misses_none() {
    let mut scene = scene(
        "function application.onAppStart()
            id = file.watch('list', function(name)
                trace('began', name, file.read(name))
                sleep(100)
                trace('ended')
            end)
            other = file.watch('other', function() trace('never') end)
            file.unwatch(other)
        end
        function application.onConnect() file.unwatch(id) end",
    );
    let traces = |scene: &mut super::Scene, by| {
        scene.advance(by);
        scene.traces()
    };
    assert_eq!(traces(&mut scene, 1000), [""; 0]);
    scene.folder.write("list", "a");
    scene.folder.write("other", "a");
    assert_eq!(traces(&mut scene, 10), ["began list a"]);
    // What changes while the handler runs is told when it has ended.
    scene.folder.write("list", "longer");
    assert_eq!(traces(&mut scene, 10), [""; 0]);
    assert_eq!(traces(&mut scene, 100), ["ended", "began list longer"]);
    assert_eq!(traces(&mut scene, 1000), ["ended"]);
    std::fs::remove_file(scene.folder.path().join("list")).unwrap();
    let gone = traces(&mut scene, 10);
    assert!(gone[0].starts_with("began list nil there is no file") && gone.len() == 1, "{gone:?}");
    assert_eq!(traces(&mut scene, 100), ["ended"]);
    scene.stage.connect(|_| ());
    scene.folder.write("list", "b");
    assert_eq!(traces(&mut scene, 1000), [""; 0]);
}

#[test]
fn a_watch_ends_with_its_script() {
    let mut scene = scene(
        "function application.onAppStart()
            file.watch('list', function() trace('first') end)
        end",
    );
    let second = "function application.onAppStart() file.watch('list', function() trace('second') end) end";
    scene.folder.write("main.lua", second);
    scene.stage.tell(introd_policy::message::AppEvent::Reload);
    scene.folder.write("list", "a");
    scene.advance(10);
    assert_eq!(scene.traces(), ["second"]);
}

/// On the host, with its thread of files.
#[test]
fn files_are_read_and_watched_while_the_script_serves_others() {
    let folder = Folder::new(
        "function application.onAppStart()
            file.watch('list', function(name)
                if file.read(name) == 'changed' then application.disconnect(first) end
            end)
        end
        function application.onConnect(client)
            first = first or client
            return file.read('allowed') == 'yes'
        end",
    );
    folder.write("allowed", "yes");
    let desk = Arc::new(host::Desk::default());
    let scripts = Host::start(HostSettings::default(), desk.clone(), Surroundings::default()).unwrap();
    let handle = host::open(&scripts, host::name("reads", "1"), &folder);
    host::wait_for(&handle, ScriptState::Running);
    handle.try_send(host::connect(1)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Continue)]));
    folder.write("allowed", "no");
    handle.try_send(host::connect(2)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Reject(_))]));
    folder.write("list", "changed");
    assert!(matches!(desk.take(1)[..], [Sent::Command(ClientCommand::Disconnect { .. })]));
}

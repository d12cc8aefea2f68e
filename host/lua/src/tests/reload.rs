//! Scripts that change while their clients are connected.

use std::time::Duration;

use rtmfp::PeerId;

use super::*;
use introd_policy::message::AppEvent;

const OLD: &str = "
    version = 1
    function application.onConnect(client) client.seen = true end
    function application.onPeerLookup() sleep(1e6) end
    function application.onAppStart() setInterval(function() trace('old timer') end, 100) end
    function application.onAppStop(info) trace('old stops', info.reason) end
    function Client:version() return version end";

#[test]
fn a_changed_script_takes_over_with_the_clients() {
    let mut scene = scene(OLD);
    let client = scene.stage.connect(|_| ());
    let membership = scene.stage.join(client, [7; 32]);
    scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses: vec!["10.0.0.1:1".parse().unwrap()] });
    scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), Some(client));
    scene.sent();
    scene.folder.write(
        "main.lua",
        "version = 2
        function application.onAppStart()
            for _, client in ipairs(application.clients) do
                trace('took over', client.seen, client.reportedAddresses[1], #client.groupControls)
                assert(client.groupControls[1].groupspecDigest == ('07'):rep(32))
            end
        end
        function application.onPeerLookup(event)
            assert(event.client == application.clients[1])
            application.denyPeerLookup(event)
        end
        function Client:onGroupLeave(digest) trace('left') end
        function Client:version() return version end",
    );
    scene.stage.tell(AppEvent::Reload);
    // The lookup that the old script had not answered is the new one's.
    assert!(matches!(scene.sent()[..], [Effect::Deny { .. }]));
    scene.stage.call(client, "version", 1.0, Vec::new());
    assert!(
        matches!(&scene.sent()[..], [Effect::Command(ClientCommand::Answer { outcome: Ok(version), .. })] if version.as_number() == Some(2.0))
    );
    scene.stage.tell(AppEvent::GroupLeave { client, membership, groupspec_digest: [7; 32] });
    scene.advance(1000);
    assert_eq!(scene.traces(), ["old stops reload", "took over nil 10.0.0.1:1 1", "left"]);
}

#[test]
fn a_script_that_does_not_load_leaves_the_old_one_running() {
    for (broken, expected) in [
        ("this is not Lua", "syntax error"),
        ("error('at the outermost level')", "outermost level"),
        ("while true do end", "has run longer"),
        ("sleep(10)", "has not started"),
        ("application.broadcastMsg('x') local c = application.clients[1] c:ping()", "has not started"),
        ("application.shutdown()", "has not started"),
        ("application.disconnect(application.clients[1])", "has not started"),
        ("application.rejectConnection(application.clients[1])", "has not started"),
        ("application.acceptConnection(application.clients[1])", "has not started"),
        ("application.clients[1]:call('x')", "has not started"),
        ("application.clients[1]:callAndWait('x')", "has not started"),
        ("application.clients[1]:getStats()", "has not started"),
        ("application.clients[1]:introducePeer('192.0.2.1:1', 'tag')", "has not started"),
        ("setTimeout(print, 1)", "has not started"),
        ("registry.publish(('0'):rep(64), { '192.0.2.1:1' })", "has not started"),
        ("registry.withdraw(('0'):rep(64))", "has not started"),
        ("registry.lookup(('0'):rep(64))", "has not started"),
        ("load('missing.lua')", "there is no file"),
        ("require('missing')", "there is no file"),
    ] {
        let ends = !broken.starts_with("while");
        let mut scene = scene_with(OLD, |settings| {
            settings.script.time = if ends { settings.script.time } else { Some(Duration::from_secs(1)) };
        });
        let client = scene.stage.connect(|_| ());
        scene.sent();
        scene.folder.write("main.lua", broken);
        scene.stage.tell(AppEvent::Reload);
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(handler, file, 1, text)] if handler == "reload" && file == "main.lua" && text.contains(expected)),
            "{broken}: {failures:?}"
        );
        scene.stage.call(client, "version", 1.0, Vec::new());
        assert!(
            matches!(&scene.sent()[..], [Effect::Command(ClientCommand::Answer { outcome: Ok(version), .. })] if version.as_number() == Some(1.0))
        );
        scene.advance(100);
        assert_eq!(scene.traces(), ["old timer"]);
    }
}

#[test]
fn a_connect_that_waits_is_put_to_the_new_script() {
    let mut scene = scene("function application.onConnect() return nil end");
    scene.stage.connect(|_| ());
    assert!(scene.sent().is_empty());
    scene.folder.write("main.lua", "function application.onConnect(client) return client.agent:find('AND') == 1 end");
    scene.stage.tell(AppEvent::Reload);
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
    scene.traces();
}

#[test]
fn the_memory_of_old_vms_is_given_back() {
    let mut scene = scene("kept = ('x'):rep(20 << 20)");
    for _ in 0..5 {
        scene.stage.tell(AppEvent::Reload);
    }
    let used = scene.stage.runtime.script.lua().used_memory();
    assert!((20 << 20..22 << 20).contains(&used), "{used}");
    scene.traces();
    // The process may keep what they left free: that is told, once.
    let freed = scene.stage.runtime.take_freed();
    assert!(freed >= 5 * (20 << 20), "{freed}");
    assert_eq!(scene.stage.runtime.take_freed(), 0);
}

#[test]
fn other_files_of_the_application_and_of_the_library() {
    let folder = Folder::new(
        "assert(load('a.lua') == 'a')
        assert(load('sub/b.lua') == 'b')
        assert(require('sub.b') == 'b' and require 'sub.b' == 'b')
        assert(require('shared').name == 'of the application')
        assert(require('common').name == 'of the library')
        assert(loads == 2, loads)
        trace('done')",
    );
    folder.write("a.lua", "return 'a'");
    folder.write("sub/b.lua", "loads = (loads or 0) + 1 return 'b'");
    folder.write("shared/init.lua", "return { name = 'of the application' }");
    let library = Folder::new("");
    library.write("shared.lua", "return { name = 'never' }");
    library.write("common.lua", "return { name = 'of the library' }");
    // Its own folder comes first.
    folder.write("shared.lua", "return { name = 'of the application' }");
    let settings = settings(|settings| settings.script.library = vec![library.path().to_owned()]);
    let stage = Stage::start(folder.path(), settings).unwrap_or_else(|failure| panic!("{failure}"));
    let scene = Scene { folder, stage };
    assert_eq!(scene.traces(), ["done"]);
}

//! When connections end, and what stays.

use super::*;

#[test]
fn a_connection_that_ends_is_told_of_once_and_can_connect_again() {
    let mut play = connected("function setup() function nc:onStatus(info) trace(info.code) end end");
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Success"]);
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Closed"]);
    assert_eq!(play.endpoints.closed(), [0], "the endpoint is let go");
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.run("assert(nc:connect('rtmfp:')) assert(not nc:call('x', print))"), [""; 0]);
    play.say(1, open());
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Success"]);
    // What the first endpoint says late is about another connection.
    play.say(0, ConnectionEvent::Call { method: "onStatus".to_owned(), arguments: Vec::new() });
    assert_eq!(play.run("nc:close() trace(nc.isConnected) nc:close()"), ["false", "NetConnection.Connect.Closed"]);
    assert_eq!(play.endpoints.closed(), [1]);
    play.say(1, closed("NetConnection.Connect.Closed"));
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
    // Nobody hears of this one; it is logged.
    play.run("nc.onStatus = nil nc:connect('rtmfp:')");
    play.say(2, closed("NetConnection.Connect.Rejected"));
    assert!(play.run("trace(nc.isConnected)") == ["false"]);
}

#[test]
fn a_connection_that_the_script_forgets_stays_open_and_one_that_ends_is_forgotten() {
    let mut play = joined("");
    play.scene.traces();
    play.run("nc, group = nil, nil");
    play.scene.stage.runtime.script.lua().gc_collect().unwrap();
    play.in_group(GroupEvent::LocalCoverage);
    assert_eq!(play.scene.traces(), ["NetGroup.LocalCoverage.Notify"]);
    assert!(play.endpoints.closed().is_empty());
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert_eq!(play.endpoints.closed(), [0]);
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty());
}

#[test]
fn a_reload_and_the_end_of_an_instance_close_its_connections() {
    let mut play = joined("");
    play.scene.stage.tell(AppEvent::Reload);
    assert_eq!(play.endpoints.closed(), [0]);
    play.scene.traces();
    // The new script has a connection of its own, and hears nothing of the old one.
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty());
    play.say(1, open());
    play.endpoints.say(1, ConnectionEvent::Group { group: GroupId(1), event: GroupEvent::Connected });
    play.scene.stage.poll();
    assert_eq!(play.scene.traces(), ["NetGroup.Connect.Success"]);
    play.scene.stage.tell(AppEvent::Stop);
    assert_eq!(play.endpoints.closed(), [1]);
    assert_eq!(play.scene.stage.runtime.instance.connections.open.len(), 0);
    drop(play.scene);
    assert!(play.endpoints.closed().is_empty());
}

#[test]
fn a_script_that_fails_to_reload_keeps_the_connections_of_the_old_one() {
    let mut play = joined("");
    play.scene.traces();
    play.scene.folder.write("main.lua", "this is not Lua");
    play.scene.stage.tell(AppEvent::Reload);
    assert!(play.endpoints.closed().is_empty());
    play.scene.journal();
    play.in_group(GroupEvent::LocalCoverage);
    assert_eq!(play.scene.traces(), ["NetGroup.LocalCoverage.Notify"]);
}

#[test]
fn an_instance_that_is_dropped_closes_its_connections() {
    let play = connected("");
    drop(play.scene);
    assert_eq!(play.endpoints.closed(), [0]);
}

#[test]
fn a_vm_opens_a_bounded_number_of_connections() {
    let mut play = play("");
    let error = play.error("all = {} for i = 1, 2000 do all[i] = NetConnection() all[i]:connect('rtmfp:') end");
    assert!(error.contains("too many NetConnections"), "{error}");
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 1024);
    assert_eq!(play.run("for i = 1, 1024 do all[i]:close() end"), [""; 0]);
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
}

#[test]
fn failures_of_status_handlers_are_told_to_the_application() {
    let mut play = joined(
        "function heard(info) if info.code ~= 'NetGroup.Connect.Success' then error('in the group') end end
        function application.onStatus(info) trace(info.details, info.lineno ~= '0') end",
    );
    play.in_group(GroupEvent::LocalCoverage);
    let traces: Vec<_> = play
        .scene
        .journal()
        .into_iter()
        .filter_map(|entry| match entry {
            JournalEntry::Trace(line) => Some(line),
            JournalEntry::Line(..) | JournalEntry::Warning(_) | JournalEntry::Failure(..) => None,
        })
        .collect();
    assert_eq!(traces, ["NetGroup.onStatus true"]);
}

//! Handlers that nothing ever calls are told, with what was probably meant.

use introd_config::{Application, JoinLeaveMode, LookupMode};

use super::*;
use crate::api::idle_handlers;
use crate::testing::{instance_name, settings};

fn notes(main: &str, settings: &Application) -> Vec<String> {
    let folder = Folder::new(main);
    crate::check(instance_name(folder.path()), folder.path(), settings).unwrap()
}

/// Settings that leave lookups and groups to the server.
fn handled_here() -> Application {
    Application { peer_lookup_events: LookupMode::None, join_leave_events: JoinLeaveMode::None, ..settings() }
}

#[test]
fn decisions_that_are_left_to_a_handler_which_is_missing_are_told() {
    let told = |lookups, joins, main: &str| {
        let settings = Application { peer_lookup_events: lookups, join_leave_events: joins, ..settings() };
        notes(main, &settings)
    };
    let both = told(LookupMode::All, JoinLeaveMode::All, "application.onPeerLookup = 5");
    assert_eq!(both.len(), 3, "{both:?}");
    assert!(both[1].starts_with("the script defines no application.onPeerLookup, and PeerLookupEvents"), "{both:?}");
    assert!(both[1].contains("mode All: all lookups fail"), "{both:?}");
    assert!(both[2].starts_with("the script defines no Client:onGroupJoin, and JoinLeaveEvents"), "{both:?}");
    let partial = told(LookupMode::Partial, JoinLeaveMode::None, "");
    assert!(partial.len() == 1 && partial[0].contains("mode Partial"), "{partial:?}");
    assert_eq!(told(LookupMode::None, JoinLeaveMode::None, ""), [""; 0]);
    let all = "function application.onPeerLookup() end function Client:onGroupJoin() end";
    assert_eq!(told(LookupMode::All, JoinLeaveMode::All, all), [""; 0]);
}

#[test]
fn all_of_them_are_told_in_spite_of_what_else_begins_so() {
    let main = "
        application.online, application.onlyOne = 5, 'text'
        application.onConnect = 'a text'
        Client.onGroupLeave = true
        application[1], Client[1] = 1, 1
        function application.onConect() end
        function application.onWhatever() end
        function application.onGroupJoin() end
        function application:onDisconnect(client) end
        function Client:onGroupjoin() end
        function Client:onConnect() end
        function Client:onMessage() end
        function Client:onFarAddressChange() end
        application.onStatus = function() end
        function onAppStop() end
        function onGroupJoin() end
        function onOther() end";
    assert_eq!(
        notes(main, &handled_here()),
        [
            "Client.onGroupLeave is a boolean, and no function: it is never called",
            "Client:onConnect is called by clients alone: the event is application.onConnect",
            "Client:onGroupjoin is called by clients alone: there is no such event; did you mean onGroupJoin?",
            "application.onConect is never called: there is no such event; did you mean onConnect?",
            "application.onConnect is a string, and no function: it is never called",
            "application.onGroupJoin is never called: it is an event of clients, so write Client:onGroupJoin",
            "application.onWhatever is never called: there is no such event",
            "main.lua:9: application:onDisconnect has a colon, so that its first argument is called self; write application.onDisconnect",
            "onAppStop is a global function, which no event calls: write application.onAppStop",
            "onGroupJoin is a global function, which no event calls: write Client:onGroupJoin",
        ]
    );
}

#[test]
fn events_that_a_setting_keeps_away_are_told() {
    let main =
        "function application.onPeerLookup() end function Client:onGroupJoin() end function Client:onGroupLeave() end";
    assert!(notes(main, &settings()).is_empty());
    let none = handled_here();
    let told = notes(main, &none);
    let expected = [
        ("Client:onGroupJoin", "JoinLeaveEvents"),
        ("Client:onGroupLeave", "JoinLeaveEvents"),
        ("application.onPeerLookup", "PeerLookupEvents"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (note, (handler, setting)) in told.iter().zip(expected) {
        assert!(
            note.starts_with(&format!("{handler} is never called: {setting} in Application.xml has the mode None")),
            "{note}"
        );
    }
    let partial = Application { peer_lookup_events: LookupMode::Partial, ..none };
    assert_eq!(notes("function application.onPeerLookup() end", &partial), [""; 0]);
}

#[test]
fn tests_of_a_script_tell_them_too() {
    let folder = Folder::new("function application.onConect() end");
    folder.write("some_test.lua", "it('passes', function() end)");
    let mut out = Vec::new();
    assert!(testing::run(&[folder.path().to_owned()], testing::Options::default(), &mut out).unwrap());
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.starts_with(
            "note  application.onConect is never called: there is no such event; did you mean onConnect?\n"
        ),
        "{out}"
    );
}

#[test]
fn a_note_is_news_once_for_all_instances_of_an_application_and_again_when_it_comes_back() {
    let name = |application: &str, instance: &str| InstanceName {
        instance: instance.to_owned(),
        ..InstanceName::first("adaptor", "host", application)
    };
    let news = |application: &str, instance: &str, notes: &[&str]| {
        idle_handlers::news(&name(application, instance), notes.iter().map(ToString::to_string).collect())
    };
    assert_eq!(news("of news", "one", &["a", "b"]), ["a", "b"]);
    assert_eq!(news("of news", "two", &["a", "b"]), [""; 0]);
    assert_eq!(news("of other news", "one", &["a"]), ["a"]);
    assert_eq!(news("of news", "one", &["b", "c"]), ["c"]);
    assert_eq!(news("of news", "one", &["a"]), ["a"]);
}

#[test]
fn an_instance_logs_what_the_check_has_not_told() {
    let folder = Folder::new("function application.onConect() end");
    let start = || {
        introd_log::testing::logged(tracing::Level::WARN, || drop(Stage::start(folder.path(), handled_here()).unwrap()))
    };
    let lines = start();
    assert!(lines.len() == 1 && lines[0].contains("application.onConect is never called"), "{lines:?}");
    assert_eq!(start(), [""; 0]);
    folder.write("main.lua", "function application.onConnekt() end");
    assert_eq!(crate::check(instance_name(folder.path()), folder.path(), &handled_here()).unwrap().len(), 1);
    assert_eq!(start(), [""; 0], "the check has told it");
}

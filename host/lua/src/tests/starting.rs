//! While `onAppStart` waits, clients and askers wait: nothing is decided by a script that has yet to load its lists.

use introd_policy::message::AppEvent;

use super::host::{client, connect as connects, host, name, open, wait_for};
use super::*;
use crate::ScriptState;
use crate::testing::Sent;

const LOADS: &str = "
    local banned
    function application.onAppStart()
        sleep(100)
        banned = { bad = true }
    end
    function application.onConnect(client, name)
        client.name = name
        return not banned[name]
    end
    function application.onDisconnect(client) trace(client.name, 'gone') end
    function application.onPeerLookup(event) application.denyPeerLookup(event) end
    function Client:say(text) trace(self.name, text) end";

fn connect(scene: &mut Scene, name: &str) -> ClientId {
    scene.stage.connect(|info| info.request.arguments = vec![name.into()])
}

fn verdicts(scene: &mut Scene) -> Vec<&'static str> {
    let verdict = |effect| match effect {
        Effect::Accept { .. } => Some("accept"),
        Effect::Reject { .. } => Some("reject"),
        Effect::Deny { .. } => Some("deny"),
        _ => None,
    };
    scene.sent().into_iter().filter_map(verdict).collect()
}

#[test]
fn who_comes_while_on_app_start_waits_is_decided_about_afterwards_in_order() {
    let mut scene = scene(LOADS);
    let good = connect(&mut scene, "good");
    let bad = connect(&mut scene, "bad");
    scene.stage.look_up(None, "192.0.2.9:9".parse().unwrap(), None);
    scene.stage.call(good, "say", 0.0, vec!["hello".into()]);
    scene.stage.tell(AppEvent::Disconnect { client: good });
    assert_eq!((verdicts(&mut scene), scene.traces()), (vec![], vec![]));
    scene.advance(99);
    assert_eq!(verdicts(&mut scene), [""; 0]);
    scene.advance(1);
    assert_eq!(verdicts(&mut scene), ["accept", "reject", "deny"]);
    assert_eq!(scene.traces(), ["good hello", "good gone"]);
    // From then on nobody waits.
    connect(&mut scene, "third");
    assert_eq!(verdicts(&mut scene), ["accept"]);
    scene.stage.tell(AppEvent::Disconnect { client: bad });
}

#[test]
fn what_on_app_start_itself_waits_for_comes_and_its_failure_ends_the_wait() {
    let mut scene = scene(
        "function application.onAppStart()
            setTimeout(function() trace('a timer') end, 10)
            for _, client in ipairs(application.clients) do trace(client:callAndWait('name')) end
            sleep(50)
            error('no list')
        end",
    );
    scene.advance(50);
    assert_eq!(scene.failures().len(), 1);
    let client = scene.stage.connect(|_| ());
    assert_eq!(verdicts(&mut scene), ["accept"]);
    // The new script asks the client that is there; another one waits.
    scene.stage.tell(AppEvent::Reload);
    let asked = scene.sent().into_iter().find_map(|effect| match effect {
        Effect::Command(ClientCommand::Call { token, .. }) => token,
        _ => None,
    });
    scene.stage.connect(|_| ());
    assert_eq!(verdicts(&mut scene), [""; 0]);
    let outcome = Ok(vec!["ann".into()]);
    scene.stage.tell(AppEvent::Answer { client, token: asked.unwrap(), outcome });
    scene.advance(10);
    assert!(scene.journal().iter().any(|entry| matches!(entry, JournalEntry::Trace(line) if line == "ann")));
    assert_eq!(verdicts(&mut scene), [""; 0]);
    scene.advance(50);
    assert_eq!(verdicts(&mut scene), ["accept"]);
}

#[test]
fn requests_that_the_old_script_left_wait_for_the_start_of_the_new_one() {
    let mut scene = scene("function application.onConnect() return nil end");
    connect(&mut scene, "bad");
    scene.folder.write("main.lua", LOADS);
    scene.stage.tell(AppEvent::Reload);
    assert_eq!(verdicts(&mut scene), [""; 0]);
    scene.advance(100);
    assert_eq!(verdicts(&mut scene), ["reject"]);
}

#[test]
fn an_instance_whose_start_never_ends_takes_a_bounded_number_of_events_and_stops() {
    let (host, desk) = host(1);
    let folder = Folder::new("function application.onAppStart() while true do sleep(1000) end end");
    let script = open(&host, name("endless", "1"), &folder);
    wait_for(&script, ScriptState::Running);
    let mut refused = 0;
    // Far more than the instance and its inbox have room for.
    for _ in 0..20_000 {
        refused += usize::from(script.try_send(a_lookup()).is_err());
    }
    assert!(refused > 5_000, "{refused}");
    let taken = 20_000 - refused;
    script.try_send(AppEvent::Stop).unwrap();
    // Each of them fails.
    assert_eq!(desk.take(taken).len(), taken);
    wait_for(&script, ScriptState::Stopped);
}

/// However many clients and askers wait: an answer for which `onAppStart` waits reaches it.
#[test]
fn an_answer_that_the_start_waits_for_overtakes_all_who_wait() {
    let (host, desk) = host(1);
    let folder = Folder::new(
        "function application.onAppStart()
            for _, client in ipairs(application.clients) do client:callAndWait('name') end
        end",
    );
    let script = open(&host, name("flooded", "1"), &folder);
    wait_for(&script, ScriptState::Running);
    let client = client(7);
    script.try_send(connects(7)).unwrap();
    desk.take(1);
    script.try_send(AppEvent::Accepted { client }).unwrap();
    script.try_send(AppEvent::Reload).unwrap();
    let Sent::Command(ClientCommand::Call { token: Some(token), .. }) = desk.take(1).remove(0) else { panic!() };
    // More than the instance holds back, and some of the same client.
    let address = "192.0.2.1:1".parse().unwrap();
    script.try_send(AppEvent::FarAddressChange { client, address }).unwrap();
    for _ in 0..3000 {
        script.try_send(a_lookup()).unwrap();
    }
    script.try_send(AppEvent::Answer { client, token, outcome: Ok(vec![]) }).unwrap();
    assert_eq!(desk.take(3000).len(), 3000, "all are answered");
}

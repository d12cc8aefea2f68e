//! The end of an instance: first that of each client, then that of the script.

use introd_policy::message::AppEvent;

use super::*;
use crate::instance::item::InboxItem;

const TELLS: &str = "
    function application.onConnect(client, name, how)
        client.name = name
        if how == 'wait' then return nil end
        if how == 'think' then sleep(1000) end
        return how ~= 'refuse'
    end
    function application.onDisconnect(client) trace('gone', client.name, #application.clients) end
    function application.onUnpublish(client, stream) trace('unpublished', client.name, stream.name) end
    function Client:onGroupLeave(digest) trace('left', self.name, digest:sub(1, 2)) end
    function application.onAppStop(info) trace('stop', info.reason, #application.clients) end
    function Client:shut() application.shutdown() return 'ends' end
    function Client:ask() return self:callAndWait('question') end";

fn connect(scene: &mut Scene, name: &str, how: &str) -> ClientId {
    scene.stage.connect(|info| info.request.arguments = vec![name.into(), how.into()])
}

/// The clients that were disconnected, by session, and how many connects were rejected because the application ends.
fn ended(scene: &mut Scene) -> (Vec<u32>, usize) {
    let (mut disconnected, mut rejected) = (Vec::new(), 0);
    for effect in scene.sent() {
        match effect {
            Effect::Command(ClientCommand::Disconnect { client, .. }) => disconnected.push(client.session.get()),
            Effect::Reject { rejection, .. } if rejection.code == "NetConnection.Connect.AppShutdown" => rejected += 1,
            _ => (),
        }
    }
    (disconnected, rejected)
}

#[test]
fn each_client_that_on_connect_was_called_for_is_gone_before_the_script_stops() {
    for by_script in [false, true] {
        let mut scene = scene(TELLS);
        let ann = connect(&mut scene, "ann", "");
        for (name, how) in [("bob", ""), ("refused", "refuse"), ("waiting", "wait"), ("thinking", "think")] {
            connect(&mut scene, name, how);
        }
        assert_eq!((scene.traces(), ended(&mut scene)), (vec![], (vec![], 0)));
        if by_script {
            scene.stage.call(ann, "shut", 1.0, vec![]);
        } else {
            scene.stage.tell(AppEvent::Stop);
        }
        assert!(scene.stage.runtime.is_over());
        let stop = if by_script { "stop shutdown 0" } else { "stop server 0" };
        let expected = ["gone ann 1", "gone bob 0", "gone refused 0", "gone waiting 0", "gone thinking 0", stop];
        assert_eq!(scene.traces(), expected);
        assert_eq!(ended(&mut scene), (vec![1, 2], 2), "those that wait are rejected");
        // The server reports the ends of the clients, and the next client is late.
        for session in 1..=5 {
            let client = ClientId { worker: 0, session: rtmfp::SessionId::from_wire(session) };
            scene.stage.disconnect(client);
        }
        connect(&mut scene, "late", "");
        assert_eq!((scene.traces(), ended(&mut scene)), (vec![], (vec![], 1)));
        assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
    }
}

#[test]
fn what_ends_with_a_client_is_told_before_its_end() {
    let mut scene = scene_with(TELLS, |settings| settings.join_leave_events = introd_config::JoinLeaveMode::All);
    let ann = connect(&mut scene, "ann", "");
    let thinking = connect(&mut scene, "thinking", "think");
    scene.stage.join(thinking, [9; 32]);
    for group in [7, 8] {
        scene.stage.join(ann, [group; 32]);
    }
    let left = scene.stage.join(ann, [6; 32]);
    scene.stage.leave(ann, left, [6; 32]);
    for stream in ["a", "b", "c", "d"] {
        scene.stage.publish(ann, stream, "live");
    }
    assert_eq!(scene.traces(), ["left ann 06"]);
    scene.stage.tell(AppEvent::Stop);
    let streams = ["a", "b", "c", "d"].map(|stream| format!("unpublished ann {stream}"));
    let mut expected = vec!["left ann 07".to_owned(), "left ann 08".to_owned()];
    expected.extend(streams);
    // The others wait for nothing of that.
    let (of_ann, others): (Vec<_>, Vec<_>) = scene.traces().into_iter().partition(|line| line.contains("ann"));
    assert_eq!(others, ["gone thinking 0", "stop server 0"]);
    expected.push("gone ann 0".to_owned());
    assert_eq!(of_ann, expected);
}

#[test]
fn the_script_stops_after_the_last_event_of_the_last_client() {
    let mut scene = scene(TELLS);
    let ann = connect(&mut scene, "ann", "");
    for number in 0..40 {
        scene.stage.publish(ann, &number.to_string(), "live");
    }
    scene.stage.tell(AppEvent::Stop);
    let traces = scene.traces();
    assert_eq!((traces.len(), &traces[40..]), (42, &["gone ann 0".to_owned(), "stop server 0".to_owned()][..]));
}

#[test]
fn clients_end_a_few_at_a_time_and_what_comes_meanwhile_is_turned_away() {
    let mut scene = scene(TELLS);
    for number in 0..100 {
        connect(&mut scene, &number.to_string(), "");
    }
    scene.sent();
    let now = scene.stage.runtime.instance.now.get();
    let runtime = &mut scene.stage.runtime;
    runtime.handle(now, AppEvent::Stop);
    assert!(runtime.is_ending() && !runtime.is_over());
    // One step of a turn that is late already.
    runtime.handle_timeout(now, || true);
    assert_eq!(runtime.next_timeout(), Some(now), "the next turn follows");
    let client = |session| ClientId { worker: 0, session: rtmfp::SessionId::from_wire(session) };
    let call = introd_flash::server::Call {
        name: "shut".to_owned(),
        transaction: 1.0,
        object: introd_flash::amf::Value::Null,
        arguments: Vec::new(),
    };
    // A client that leaves by itself meanwhile is told of once.
    runtime.handle(now, AppEvent::Disconnect { client: client(100) });
    runtime.handle(now, AppEvent::Call { client: client(50), call });
    runtime.handle(now, AppEvent::Stop);
    runtime.handle(now, AppEvent::Reload);
    assert!(!runtime.is_over());
    let traces = scene.traces();
    assert_eq!(traces, ["gone 0 99", "gone 99 98"]);
    connect(&mut scene, "late", "");
    scene.advance(1);
    assert!(scene.stage.runtime.is_over());
    let traces = scene.traces();
    assert_eq!((traces.len(), traces.last().unwrap().as_str()), (99, "stop server 0"));
    assert!(!traces.iter().any(|line| line.contains("late")), "it was never asked about");
    let (disconnected, rejected) = ended(&mut scene);
    assert_eq!((disconnected, rejected), ((1..100).collect(), 1));
}

#[test]
fn a_start_that_waits_keeps_no_client_from_its_end() {
    let main = format!("{TELLS} function application.onAppStart() sleep(1000) trace('started') end");
    let mut scene = scene(&main);
    scene.advance(1000);
    connect(&mut scene, "ann", "");
    let bob = connect(&mut scene, "bob", "");
    assert_eq!(scene.traces(), ["started"]);
    scene.stage.tell(AppEvent::Reload);
    // The new script has not started: it is not told of what comes, and has not been asked about who comes.
    scene.stage.disconnect(bob);
    connect(&mut scene, "new", "");
    scene.sent();
    scene.stage.tell(AppEvent::Stop);
    assert!(scene.stage.runtime.is_over());
    assert_eq!(scene.traces().len(), 4, "onAppStop at the reload, two ends, and onAppStop");
    assert_eq!(ended(&mut scene), (vec![1, 2], 1));
}

#[test]
fn a_handler_that_waits_for_a_client_goes_on_when_that_ends() {
    let main = format!(
        "{TELLS} function Client:ask()
            local ok, problem = pcall(self.callAndWait, self, 'question')
            trace('no answer', self.name)
            error('as planned')
        end
        function application.onStatus(info) trace('told') end"
    );
    let mut scene = scene(&main);
    let ann = connect(&mut scene, "ann", "");
    scene.stage.call(ann, "ask", 1.0, vec![]);
    scene.stage.tell(AppEvent::Stop);
    let traces: Vec<String> = scene
        .journal()
        .into_iter()
        .filter_map(|entry| match entry {
            JournalEntry::Trace(line) => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(traces, ["no answer ann", "told", "gone ann 0", "stop server 0"]);
}

#[test]
fn a_client_that_the_server_lets_in_at_the_last_moment_ends_too() {
    let mut scene = scene(TELLS);
    let ann = connect(&mut scene, "ann", "");
    let thinking = connect(&mut scene, "thinking", "think");
    let now = scene.stage.runtime.instance.now.get();
    let runtime = &mut scene.stage.runtime;
    runtime.handle(now, AppEvent::Stop);
    // Its deadline had passed before the application turned it away.
    runtime.handle(now, AppEvent::Accepted { client: thinking });
    // The script knows nothing of this one.
    let stranger = ClientId { worker: 3, session: rtmfp::SessionId::from_wire(77) };
    runtime.handle_item(now, InboxItem::Event(AppEvent::Accepted { client: stranger }));
    scene.advance(1);
    assert_eq!(scene.traces(), ["gone ann 1", "gone thinking 0", "stop server 0"]);
    let (mut disconnected, _) = ended(&mut scene);
    disconnected.sort_unstable();
    assert_eq!(disconnected, [ann.session.get(), thinking.session.get(), 77]);
}

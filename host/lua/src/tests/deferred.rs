//! What happens to a client while its `onConnect` waits is kept, up to a bound.

use introd_policy::message::AppEvent;

use super::*;

const SLOW: &str = "
    function application.onConnect(client, name)
        client.name = name
        sleep(500)
        return name ~= 'bad'
    end
    function application.onDisconnect(client) trace(client.name, 'gone') end
    function Client:say(text) trace(self.name, 'said', text) return text end
    function Client:onFarAddressChange() trace(self.name, 'moved', self.farAddress, self.ip) end
    function Client:onGroupLeave() trace(self.name, 'left', #self.groupControls) end
    function Client:groups() return #self.groupControls end";
/// How many events are kept.
const KEPT: usize = 64;

fn connect(scene: &mut Scene, name: &str) -> ClientId {
    scene.stage.connect(|info| info.request.arguments = vec![name.into()])
}

fn say(scene: &mut Scene, client: ClientId, number: usize) {
    scene.stage.call(client, "say", number as f64 + 1.0, vec![number.to_string().as_str().into()]);
}

/// The transactions that were answered, and whether well.
fn answers(scene: &mut Scene) -> Vec<(usize, bool)> {
    let answer = |effect| match effect {
        Effect::Command(ClientCommand::Answer { transaction, outcome, .. }) => {
            Some((transaction as usize - 1, outcome.is_ok()))
        }
        _ => None,
    };
    scene.sent().into_iter().filter_map(answer).collect()
}

#[test]
fn a_bounded_number_of_events_waits_for_on_connect_and_calls_beyond_that_are_refused() {
    let mut scene = scene(SLOW);
    let ann = connect(&mut scene, "ann");
    let group = scene.stage.join(ann, [1; 32]);
    for number in 0..KEPT + 5 {
        say(&mut scene, ann, number);
    }
    // The join is one of them.
    let refused: Vec<_> = (KEPT - 1..KEPT + 5).map(|number| (number, false)).collect();
    assert_eq!(answers(&mut scene), refused);
    assert_eq!(scene.stage.runtime.instance.roster.borrow().get(ann).unwrap().deferred.borrow().len(), KEPT);
    // What finds no room changes what is known all the same.
    scene.stage.tell(AppEvent::FarAddressChange { client: ann, address: "192.0.2.9:9".parse().unwrap() });
    scene.stage.tell(AppEvent::GroupLeave { client: ann, membership: group, groupspec_digest: [1; 32] });
    scene.advance(500);
    assert_eq!(answers(&mut scene), (0..KEPT - 1).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(scene.traces(), (0..KEPT - 1).map(|number| format!("ann said {number}")).collect::<Vec<_>>());
    scene.stage.call(ann, "groups", 1.0, Vec::new());
    assert!(
        matches!(&scene.sent()[..], [Effect::Command(ClientCommand::Answer { outcome: Ok(groups), .. })] if groups.as_number() == Some(0.0))
    );
    assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
}

/// A client that sends faster than its events are told does not make the queue longer: the earliest is told at once.
#[test]
fn the_queue_does_not_grow_while_the_script_is_told_of_it() {
    let mut scene = scene(SLOW);
    let ann = connect(&mut scene, "ann");
    for number in 0..KEPT {
        say(&mut scene, ann, number);
    }
    let at = scene.stage.runtime.instance.now.get() + Duration::from_millis(500);
    scene.stage.runtime.handle_timeout(at, || true);
    let member = scene.stage.runtime.instance.roster.borrow().get(ann).unwrap();
    assert!(member.is_catching_up.get());
    // Four at once, then one in each turn.
    assert_eq!(member.deferred.borrow().len(), KEPT - 4);
    scene.stage.runtime.handle_timeout(at, || true);
    assert_eq!(member.deferred.borrow().len(), KEPT - 5);
    for number in KEPT..3 * KEPT {
        let call = introd_flash::server::Call {
            name: "say".to_owned(),
            transaction: 0.0,
            object: introd_flash::amf::Value::Null,
            arguments: vec![number.to_string().as_str().into()],
        };
        scene.stage.runtime.handle(at, AppEvent::Call { client: ann, call });
        assert!(member.deferred.borrow().len() <= KEPT);
    }
    let mut said = scene.traces();
    scene.advance(500);
    said.extend(scene.traces());
    // The journal keeps the last hundred lines.
    assert_eq!(
        said[said.len() - 60..],
        (3 * KEPT - 60..3 * KEPT).map(|number| format!("ann said {number}")).collect::<Vec<_>>()
    );
    assert!(!member.is_catching_up.get());
}

#[test]
fn of_a_client_that_leaves_or_is_rejected_nothing_stays_open() {
    let mut scene = scene(SLOW);
    let (ann, bob, bad) = (connect(&mut scene, "ann"), connect(&mut scene, "bob"), connect(&mut scene, "bad"));
    for client in [ann, bad] {
        say(&mut scene, client, 1);
    }
    assert_eq!(scene.stage.runtime.instance.requests.len(), 5);
    // One leaves; the connects of the others wait on.
    scene.stage.disconnect(ann);
    assert_eq!(answers(&mut scene), [(1, false)]);
    assert_eq!(scene.stage.runtime.instance.requests.len(), 3);
    scene.advance(500);
    let effects = scene.sent();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Accept { client } if *client == bob)), "{effects:?}");
    let refused = |effect: &Effect| matches!(effect, Effect::Command(ClientCommand::Answer { client, outcome: Err(_), .. }) if *client == bad);
    assert!(effects.iter().any(refused), "{effects:?}");
    assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
    assert_eq!(scene.traces(), ["ann gone"]);
}

/// The watchdog has answered for a script that hung.
#[test]
fn a_call_that_was_answered_meanwhile_is_not_answered_again() {
    let mut scene = scene(SLOW);
    let ann = connect(&mut scene, "ann");
    say(&mut scene, ann, 1);
    assert_eq!(scene.stage.runtime.instance.requests.take_all().len(), 2);
    scene.stage.disconnect(ann);
    assert!(scene.sent().is_empty());
}

#[test]
fn an_object_forgets_what_has_changed_about_its_client() {
    let mut scene = scene(
        "function application.onConnect(client) trace(client.farAddress, client.ip, #client.reportedAddresses) end
        function Client:onFarAddressChange() trace(self.farAddress, self.ip) end
        function Client:onReportedAddressesChange() trace(self.reportedAddresses[1]) end",
    );
    let client = scene.stage.connect(|_| ());
    scene.stage.tell(AppEvent::FarAddressChange { client, address: "192.0.2.9:9".parse().unwrap() });
    scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses: vec!["10.0.0.1:1".parse().unwrap()] });
    assert_eq!(scene.traces(), ["203.0.0.1:40000 203.0.0.1 0", "192.0.2.9:9 192.0.2.9", "10.0.0.1:1"]);
}

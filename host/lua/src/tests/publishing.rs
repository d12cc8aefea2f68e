//! What clients publish to the server: the script is asked, and told of the end.

use introd_flash::server::Publication;

use super::*;

/// What the script has decided, by publication.
fn decided(scene: &mut Scene) -> Vec<(u64, bool)> {
    let decision = |effect| match effect {
        Effect::Command(ClientCommand::Publish { publication, is_allowed, .. }) => Some((publication, is_allowed)),
        _ => None,
    };
    scene.sent().into_iter().filter_map(decision).collect()
}

fn stop(scene: &mut Scene, client: ClientId, number: u64) {
    let publication = Publication { number, name: "cam?key=1".to_owned(), kind: "live".to_owned() };
    scene.stage.tell(AppEvent::Unpublish { client, publication });
}

const TOLD: &str = "
    function application.onUnpublish(client, stream) trace('end', client.name, stream.name, stream.type, stream.publishQueryString) end
    function application.onDisconnect(client) trace('gone', client.name) end
    function application.onConnect(client) client.name = 'ann' end
";

#[test]
fn a_client_may_publish_unless_the_script_returns_false_or_fails() {
    for (handler, is_allowed) in [
        ("", true),
        ("function application.onPublish() end", true),
        ("function application.onPublish() return nil end", true),
        ("function application.onPublish() return true end", true),
        ("function application.onPublish() return 5 end", true),
        ("function application.onPublish() return false end", false),
        ("function application.onPublish() sleep(10) return false end", false),
        ("function application.onPublish() error('x') end", false),
    ] {
        let mut scene = scene(handler);
        let client = scene.stage.connect(|_| ());
        scene.sent();
        let number = scene.stage.publish(client, "cam", "live");
        scene.advance(100);
        assert_eq!(decided(&mut scene), [(number, is_allowed)], "{handler}");
        assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
        // One that was refused has no end.
        let kept = scene.stage.runtime.instance.roster.borrow().get(client).unwrap().publications.borrow().len();
        assert_eq!(kept, usize::from(is_allowed));
    }
}

#[test]
fn the_script_sees_the_client_and_the_stream() {
    let mut scene = scene(&format!(
        "{TOLD}function application.onPublish(client, stream)
            trace(client.name, stream.name, stream.type, stream.publishQueryString)
            return stream.publishQueryString == 'key=1'
        end"
    ));
    let client = scene.stage.connect(|_| ());
    scene.sent();
    let right = scene.stage.publish(client, "cam?key=1", "record");
    let wrong = scene.stage.publish(client, "cam", "live");
    assert_eq!(decided(&mut scene), [(right, true), (wrong, false)]);
    stop(&mut scene, client, right);
    assert_eq!(scene.traces(), ["ann cam record key=1", "ann cam live ", "end ann cam live key=1"]);
}

#[test]
fn a_client_that_stops_while_the_script_decides_ends_what_was_allowed() {
    for (result, told) in [("true", vec!["end ann cam live key=1"]), ("false", vec![])] {
        let mut scene = scene(&format!("{TOLD}function application.onPublish() sleep(100) return {result} end"));
        let client = scene.stage.connect(|_| ());
        scene.sent();
        let number = scene.stage.publish(client, "cam?key=1", "live");
        stop(&mut scene, client, number);
        assert!(scene.traces().is_empty());
        scene.advance(200);
        assert_eq!(
            (scene.traces(), decided(&mut scene)),
            (told.iter().map(|line| (*line).to_owned()).collect(), vec![])
        );
        assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
    }
}

#[test]
fn what_a_client_publishes_ends_before_it_is_gone() {
    let mut scene = scene(&format!("{TOLD}function application.onPublish(_, stream) return stream.name ~= 'x' end"));
    let client = scene.stage.connect(|_| ());
    for name in ["a", "b", "x", "c", "d", "e", "f"] {
        scene.stage.publish(client, name, "live");
    }
    scene.stage.disconnect(client);
    let expected: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| format!("end ann {name} live ")).to_vec();
    assert_eq!(scene.traces(), [expected, vec!["gone ann".to_owned()]].concat());
    assert_eq!(scene.stage.runtime.instance.roster.borrow().len(), 0);
    // Without a handler nothing is delayed.
    let mut scene = super::scene("function application.onDisconnect() trace('gone') end");
    let client = scene.stage.connect(|_| ());
    scene.stage.publish(client, "a", "live");
    scene.stage.disconnect(client);
    assert_eq!(scene.traces(), ["gone"]);
}

#[test]
fn who_is_not_connected_does_not_publish() {
    let mut scene =
        scene("function application.onConnect() return nil end function application.onPublish() trace('asked') end");
    let client = scene.stage.connect(|_| ());
    let number = scene.stage.publish(client, "cam", "live");
    assert_eq!(decided(&mut scene), [(number, false)]);
    scene.stage.disconnect(client);
    let number = scene.stage.publish(client, "cam", "live");
    assert_eq!((decided(&mut scene), scene.traces()), (vec![(number, false)], vec![]));
    assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
}

#[test]
fn a_question_that_waits_while_the_script_is_loaded_again_is_refused() {
    let mut scene = scene("function application.onPublish() sleep(10000) end");
    let client = scene.stage.connect(|_| ());
    scene.sent();
    let number = scene.stage.publish(client, "cam", "live");
    scene.stage.tell(AppEvent::Reload);
    scene.advance(10);
    assert_eq!(decided(&mut scene), [(number, false)]);
}

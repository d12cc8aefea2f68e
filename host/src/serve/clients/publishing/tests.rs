//! Who decides about what a client publishes to the server, and what the client is told.

use introd_flash::client;
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::FlowKind;
use introd_policy::message::{AppEvent, ClientCommand};

use crate::serve::testing::{World, with_application};

/// A client that is connected, and sends these commands on a stream of its own.
fn publishing(world: &mut World, client: usize, commands: &[(&str, &str)]) {
    world.say(client, client::create_stream(4.0).unwrap());
    world.ends[client].heard.clear();
    let now = world.now;
    let flow = world.ends[client].open_flow(now, FlowKind::stream(1));
    for (name, argument) in commands {
        let message = Command::new(*name, 0.0, vec![(*argument).into()]).to_message(Encoding::Amf0, 0).unwrap();
        world.ends[client].send(now, flow, message);
    }
    world.exchange();
}

fn scripted() -> (World, usize) {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.accepted();
    (world, client)
}

#[test]
fn the_script_is_asked_and_the_client_is_told_what_it_says() {
    for (is_allowed, code) in [(true, "NetStream.Publish.Start"), (false, "NetStream.Publish.BadName")] {
        let (mut world, client) = scripted();
        publishing(&mut world, client, &[("publish", "cam")]);
        assert!(world.ends[client].codes().is_empty(), "the script has not decided");
        let events = world.script.take();
        let [AppEvent::Publish { client: of, publication }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((publication.name.as_str(), publication.kind.as_str()), ("cam", "live"));
        world.command(ClientCommand::Publish { client: *of, publication: publication.number, is_allowed });
        assert_eq!(world.ends[client].codes(), [code]);
    }
}

#[test]
fn the_script_is_told_that_a_client_has_stopped() {
    let (mut world, client) = scripted();
    publishing(&mut world, client, &[("publish", "cam"), ("closeStream", "")]);
    assert_eq!(world.script.names(), ["Publish", "Unpublish"]);
}

#[test]
fn a_script_without_room_for_the_question_refuses() {
    let (mut world, client) = scripted();
    world.script.set_room(0);
    publishing(&mut world, client, &[("publish", "cam")]);
    assert_eq!(world.ends[client].codes(), ["NetStream.Publish.BadName"]);
}

#[test]
fn without_a_script_everyone_may_publish() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    publishing(&mut world, client, &[("publish", "cam"), ("closeStream", "")]);
    assert_eq!(world.ends[client].codes(), ["NetStream.Publish.Start", "NetStream.Unpublish.Success"]);
}

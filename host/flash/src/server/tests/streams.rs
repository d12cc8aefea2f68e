//! Streams: created, played in vain, published to the server, deleted.

use super::*;

const STREAM_FLOW: u64 = 4;

impl Server {
    fn create_stream(&mut self) -> u32 {
        self.message(CONTROL_FLOW, &client::create_stream(2.0).unwrap());
        let Incoming::Result { transaction: 2.0, values, .. } = self.said(0) else { panic!("no stream") };
        let [Value::Null, Value::Number(stream)] = values[..] else { panic!("{values:?}") };
        stream as u32
    }

    /// Allows all that waits to be published.
    fn allow_all(&mut self) {
        for action in self.take() {
            match action {
                Action::Publish(publication) => {
                    assert!(self.connection.allow_publication(publication.number, &mut self.actions));
                }
                other => self.actions.push(other),
            }
        }
    }

    /// The client publishes a stream on its flow, and that waits for an answer.
    fn publish(&mut self, arguments: Vec<Value>) -> Publication {
        self.command(STREAM_FLOW, "publish", 0.0, arguments);
        match self.take().pop() {
            Some(Action::Publish(publication)) => publication,
            other => panic!("{other:?}"),
        }
    }

    /// The code and the level of the status that is the last action.
    fn status(&mut self) -> (String, String) {
        let Some(Action::Send { stream: 1, message }) = self.take().pop() else { panic!("no status") };
        let Ok(Incoming::Status(status)) = client::read(&message, AmfLimits::default()) else { panic!("{message:?}") };
        assert!(status.description.contains("foo"), "{status:?}");
        (status.code, status.level)
    }
}

/// A server with a client that has a stream and a flow for it.
fn with_stream() -> Server {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    server
}

#[test]
fn streams_have_numbers_from_1_and_are_bounded() {
    let mut server = Server::connected(ConnectionSettings { max_streams: 2, ..ConnectionSettings::default() });
    assert_eq!((server.create_stream(), server.create_stream()), (1, 2));
    server.message(CONTROL_FLOW, &client::create_stream(5.0).unwrap());
    let actions = server.take();
    assert!(matches!(actions[..], [Action::Send { .. }, Action::Report(Irregularity::TooManyStreams)]), "{actions:?}");
    server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(server.take(), []);
    assert_eq!(server.create_stream(), 1);
}

#[test]
fn play_and_publish_are_answered_on_the_streams_flow() {
    let told = [("play", "error", "NetStream.Play.StreamNotFound"), ("publish", "status", "NetStream.Publish.Start")];
    for (name, level, code) in told {
        let mut server = Server::connected(ConnectionSettings::default());
        let stream = server.create_stream();
        let verdict = server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
        assert!(matches!(verdict, FlowVerdict::Accept(_)));
        server.command(STREAM_FLOW, name, 0.0, vec!["foo".into()]);
        server.allow_all();
        let actions = server.take();
        let [Action::OpenFlow { stream: 1, return_of: CONTROL_FLOW, metadata }, Action::Send { stream: 1, message }] =
            &actions[..]
        else {
            panic!("{actions:?}")
        };
        assert_eq!(metadata, b"TC\x04\x01");
        let Ok(Incoming::Status(status)) = client::read(message, AmfLimits::default()) else { panic!() };
        assert_eq!((status.level.as_str(), status.code.as_str()), (level, code));
        assert!(status.description.contains("foo"));
        // The flow is opened once, and closed with its stream.
        server.command(STREAM_FLOW, name, 0.0, vec!["bar".into()]);
        server.allow_all();
        let mut actions = server.take();
        actions.retain(|action| !matches!(action, Action::Unpublish(_)));
        assert!(actions.iter().all(|action| !matches!(action, Action::OpenFlow { .. })), "{actions:?}");
        server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![f64::from(stream).into()]);
        let mut actions = server.take();
        actions.retain(|action| !matches!(action, Action::Unpublish(_)));
        assert_eq!(actions, [Action::CloseFlow { stream: 1 }]);
        server.command(STREAM_FLOW, name, 0.0, vec!["foo".into()]);
        assert_eq!(server.take(), []);
    }
}

#[test]
fn commands_that_stop_a_stream_get_no_answer() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    for name in ["closeStream", "pause", "seek", "receiveAudio", "receiveVideo"] {
        server.command(STREAM_FLOW, name, 0.0, vec![]);
    }
    for name in ["play", "publish"] {
        server.command(STREAM_FLOW, name, 0.0, vec![false.into()]);
    }
    for argument in [Value::Null, 0.0.into(), 99.0.into(), (-1.0).into(), f64::NAN.into()] {
        server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![argument]);
    }
    server.command(CONTROL_FLOW, "closeStream", 0.0, vec![]);
    assert_eq!(server.take(), []);
}

#[test]
fn unknown_methods_of_a_stream_fail() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    server.command(STREAM_FLOW, "juggle", 8.0, vec![]);
    assert_eq!(server.error(8.0), "NetConnection.Call.Failed");
    server.command(STREAM_FLOW, "juggle", 0.0, vec![]);
    assert_eq!(server.take(), []);
}

#[test]
fn a_rejected_flow_is_not_opened_again() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    server.command(STREAM_FLOW, "play", 0.0, vec!["foo".into()]);
    server.take();
    server.connection.on_flow_exception(1, &mut server.actions);
    server.command(STREAM_FLOW, "play", 0.0, vec!["foo".into()]);
    server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(server.take(), []);
    assert!(server.connection.is_connected());
}

#[test]
fn the_media_of_a_publication_are_dropped_and_its_end_is_told() {
    let mut server = with_stream();
    for end in ["closeStream", "publish"] {
        let publication = server.publish(vec!["foo".into(), "live".into()]);
        assert!(server.connection.allow_publication(publication.number, &mut server.actions));
        assert_eq!(server.status(), ("NetStream.Publish.Start".to_owned(), "status".to_owned()));
        for kind in [kind::AUDIO, kind::VIDEO, kind::DATA, kind::DATA_EXTENDED] {
            let media = Message { kind, timestamp: 5, payload: &[1; 5000] };
            server.message(STREAM_FLOW, &media.to_bytes());
        }
        assert_eq!(server.take(), []);
        server.command(STREAM_FLOW, end, 0.0, vec![false.into()]);
        assert_eq!(server.actions.first(), Some(&Action::Unpublish(publication)));
        assert_eq!(server.status().0, "NetStream.Unpublish.Success");
        server.command(STREAM_FLOW, end, 0.0, vec![false.into()]);
        assert_eq!(server.take(), [], "it has ended");
    }
}

#[test]
fn the_owner_is_asked_about_a_publication_and_its_refusal_is_told() {
    let mut server = with_stream();
    let publication = server.publish(vec!["foo".into(), "record".into()]);
    assert_eq!((publication.name.as_str(), publication.kind.as_str()), ("foo", "record"));
    server.connection.refuse_publication(publication.number, &mut server.actions);
    assert_eq!(server.status(), ("NetStream.Publish.BadName".to_owned(), "error".to_owned()));
    // It is over, for both ends.
    assert!(!server.connection.allow_publication(publication.number, &mut server.actions));
    server.command(STREAM_FLOW, "closeStream", 0.0, vec![]);
    assert_eq!(server.take(), []);
    // Without a name and a kind, and with a long one.
    let long = "é".repeat(2000);
    assert_eq!(server.publish(vec![]).kind, "live");
    let cut = server.publish(vec![long.as_str().into(), long.as_str().into()]);
    assert_eq!((cut.name.chars().count(), cut.kind.chars().count()), (1024, 1024));
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let mut server = with_stream();
    let first = server.publish(vec!["foo".into()]);
    server.command(STREAM_FLOW, "publish", 0.0, vec!["bar".into()]);
    let actions = server.take();
    let [Action::Unpublish(gone), Action::Publish(second)] = &actions[..] else { panic!("{actions:?}") };
    let second = second.clone();
    assert_eq!(*gone, first);
    assert!(first.number != second.number && !server.connection.allow_publication(first.number, &mut server.actions));
    assert_eq!(server.take(), []);
    server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(server.take(), [Action::Unpublish(second.clone())]);
    assert!(!server.connection.allow_publication(second.number, &mut server.actions));
    server.connection.refuse_publication(second.number, &mut server.actions);
    assert_eq!(server.take(), []);
    // The end of one that was allowed is told when its stream is deleted, and when another takes its place.
    let mut server = with_stream();
    for command in ["publish", "deleteStream"] {
        let publication = server.publish(vec!["foo".into()]);
        assert!(server.connection.allow_publication(publication.number, &mut server.actions));
        server.take();
        server.command(STREAM_FLOW, command, 0.0, vec!["foo".into()]);
        assert_eq!(server.take().first(), Some(&Action::Unpublish(publication)), "{command}");
    }
    let mut server = with_stream();
    let publication = server.publish(vec!["foo".into()]);
    server.connection.close(&mut server.actions);
    server.take();
    assert!(!server.connection.allow_publication(publication.number, &mut server.actions));
    server.connection.refuse_publication(publication.number, &mut server.actions);
    assert_eq!(server.take(), []);
}

#[test]
fn commands_that_are_known_do_not_fail_though_they_ask_for_an_answer() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    for name in ["closeStream", "pause", "pauseRaw", "seek", "receiveAudio", "receiveVideo"] {
        server.command(STREAM_FLOW, name, 8.0, vec![]);
        assert_eq!(server.take(), [], "{name}");
    }
}

#[test]
fn a_stream_can_be_deleted_on_its_own_flow() {
    let mut server = Server::connected(ConnectionSettings::default());
    assert_eq!([server.create_stream(), server.create_stream()], [1, 2]);
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x02", Some(SERVER_FLOW));
    // Whatever number stands in it.
    server.command(STREAM_FLOW, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(server.take(), []);
    assert_eq!([server.create_stream(), server.create_stream()], [2, 3]);
}

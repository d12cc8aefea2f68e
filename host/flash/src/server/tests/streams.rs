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
        let mut actions = server.take();
        actions.retain(|action| *action != Action::Publish { name: "foo".to_owned() });
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
        let actions = server.take();
        assert!(actions.iter().all(|action| !matches!(action, Action::OpenFlow { .. })), "{actions:?}");
        server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![f64::from(stream).into()]);
        assert_eq!(server.take(), [Action::CloseFlow { stream: 1 }]);
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
fn a_publication_is_accepted_and_its_media_are_dropped() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.create_stream();
    server.connection.on_flow(STREAM_FLOW, b"TC\x04\x01", Some(SERVER_FLOW));
    for end in ["closeStream", "publish"] {
        server.command(STREAM_FLOW, "publish", 0.0, vec!["foo".into(), "live".into()]);
        server.take();
        for kind in [kind::AUDIO, kind::VIDEO, kind::DATA, kind::DATA_EXTENDED] {
            let media = Message { kind, timestamp: 5, payload: &[1; 5000] };
            server.message(STREAM_FLOW, &media.to_bytes());
        }
        assert_eq!(server.take(), []);
        server.command(STREAM_FLOW, end, 0.0, vec![false.into()]);
        let Incoming::Status(status) = server.said(1) else { panic!() };
        assert_eq!(status.code, "NetStream.Unpublish.Success");
        server.command(STREAM_FLOW, end, 0.0, vec![false.into()]);
        assert_eq!(server.take(), [], "it has ended");
    }
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

//! Streams that a peer publishes and another plays, directly (RFC 7425 §5.4).

use introd_client::{Client, Play, PlayEvent};
use introd_flash::message::{Message, kind};
use introd_flash::peer::FIRST_STREAM;
use introd_tests::program::{Server, probe};
use rtmfp::SessionId;
use rtmfp::flow::Delivery;
use rustix::process::Signal;

use crate::harness::clients::{TIMEOUT, client};

const CAMERA: &str = "camera";
/// Messages of each half of the stream.
const HALF: u32 = 150;

/// Two peers that have met: one to publish, one to play, and the session of the latter with the former.
async fn met(server: &Server) -> (Client, Client, SessionId) {
    let (mut publisher, mut subscriber) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
    let id = publisher.id();
    let meeting = tokio::select! {
        meeting = subscriber.meet(id, TIMEOUT) => meeting.expect("an introduction"),
        failure = publisher.stay() => panic!("{failure}"),
    };
    (publisher, subscriber, meeting.session)
}

/// Runs both clients until something happens to the stream that the subscriber plays.
async fn told(publisher: &mut Client, subscriber: &mut Client, play: &mut Play) -> Vec<PlayEvent> {
    let deadline = tokio::time::sleep(TIMEOUT);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            event = subscriber.next() => {
                let told = subscriber.play_events(play, &event.expect("a socket"));
                if !told.is_empty() {
                    return told;
                }
            }
            event = publisher.next() => { event.expect("a socket"); }
            () = &mut deadline => panic!("nothing happens to the stream"),
        }
    }
}

/// One kind of message after the other, each of another length; video is longer than a packet.
fn frame(number: u32) -> (u8, Vec<u8>) {
    let (kind, length) = match number % 3 {
        0 => (kind::AUDIO, 200 + number),
        1 => (kind::VIDEO, 5000 + 7 * number),
        _ => (kind::DATA, 20),
    };
    (kind, (0..length).map(|place| (place + number) as u8).collect())
}

fn send(publisher: &mut Client, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let (kind, payload) = frame(number);
        let message = Message { kind, timestamp: number, payload: &payload };
        publisher.send_media(CAMERA, &message, Delivery::default());
    }
}

/// Takes what is played into `seen`, by kind, until that many have come; what is said of the stream goes into `said`.
async fn watch(
    (publisher, subscriber, play): (&mut Client, &mut Client, &mut Play),
    count: usize,
    seen: &mut [Vec<(u32, Vec<u8>)>; 3],
    said: &mut Vec<String>,
) {
    while seen.iter().map(Vec::len).sum::<usize>() < count {
        for played in told(publisher, subscriber, play).await {
            match played {
                PlayEvent::Media { kind, timestamp, payload } => {
                    let place = match kind {
                        kind::AUDIO => 0,
                        kind::VIDEO => 1,
                        _ => 2,
                    };
                    seen[place].push((timestamp, payload));
                }
                PlayEvent::Began => said.push("began".to_owned()),
                PlayEvent::Status(status) => said.push(status.code),
                PlayEvent::Ended => panic!("the stream has ended"),
            }
        }
    }
}

#[tokio::test]
async fn media_goes_from_peer_to_peer_and_outlives_the_server() {
    let server = Server::on_loopback(2);
    let (mut publisher, mut subscriber, session) = met(&server).await;
    publisher.publish(CAMERA);
    let mut play = subscriber.play(session, FIRST_STREAM, CAMERA).expect("a flow");
    let mut said = Vec::new();
    while said.len() < 2 {
        for played in told(&mut publisher, &mut subscriber, &mut play).await {
            match played {
                PlayEvent::Began => said.push("began".to_owned()),
                PlayEvent::Status(status) => said.push(status.code),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(said, ["began", "NetStream.Play.Start"]);
    assert_eq!(publisher.subscribers(CAMERA), 1);

    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    send(&mut publisher, 0..HALF);
    watch((&mut publisher, &mut subscriber, &mut play), HALF as usize, &mut seen, &mut said).await;
    // The server takes no part in the stream.
    server.signal(Signal::KILL);
    server.ended();
    send(&mut publisher, HALF..2 * HALF);
    publisher.unpublish(CAMERA);
    assert_eq!(publisher.subscribers(CAMERA), 0);
    watch((&mut publisher, &mut subscriber, &mut play), 2 * HALF as usize, &mut seen, &mut said).await;
    assert_eq!(said.len(), 2, "the end is not said before the last message: {said:?}");
    let told = told(&mut publisher, &mut subscriber, &mut play).await;
    assert!(
        matches!(&told[..], [PlayEvent::Status(status)] if status.code == "NetStream.Play.UnpublishNotify"),
        "{told:?}"
    );

    for (place, seen) in seen.into_iter().enumerate() {
        let sent = (0..2 * HALF).filter(|number| number % 3 == place as u32).map(|number| (number, frame(number).1));
        assert!(seen.into_iter().eq(sent), "each kind in its order and intact");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_published_is_refused_and_the_session_goes_on() {
    let server = Server::on_loopback(1);
    let (mut publisher, mut subscriber, session) = met(&server).await;
    publisher.publish(CAMERA);
    let mut play = subscriber.play(session, FIRST_STREAM, "another").expect("a flow");
    assert_eq!(told(&mut publisher, &mut subscriber, &mut play).await, [PlayEvent::Ended]);
    let mut play = subscriber.play(session, FIRST_STREAM, CAMERA).expect("a flow");
    assert_eq!(told(&mut publisher, &mut subscriber, &mut play).await, [PlayEvent::Began]);
}

#[tokio::test]
async fn a_subscriber_that_stops_is_not_sent_more() {
    let server = Server::on_loopback(1);
    let (mut publisher, mut subscriber, session) = met(&server).await;
    publisher.publish(CAMERA);
    let mut play = subscriber.play(session, FIRST_STREAM, CAMERA).expect("a flow");
    assert_eq!(told(&mut publisher, &mut subscriber, &mut play).await, [PlayEvent::Began]);
    subscriber.stop_playing(&play);
    let stopped = async {
        while publisher.subscribers(CAMERA) > 0 {
            tokio::select! {
                event = subscriber.next() => { event.expect("a socket"); }
                event = publisher.next() => { event.expect("a socket"); }
            }
        }
    };
    tokio::time::timeout(TIMEOUT, stopped).await.expect("the publisher learns of it");
    assert!(subscriber.peer().endpoint.session(session).is_some());
}

#[tokio::test]
async fn the_end_of_the_publishers_session_ends_the_stream() {
    let server = Server::on_loopback(1);
    let (mut publisher, mut subscriber, session) = met(&server).await;
    publisher.publish(CAMERA);
    let mut play = subscriber.play(session, FIRST_STREAM, CAMERA).expect("a flow");
    assert_eq!(told(&mut publisher, &mut subscriber, &mut play).await, [PlayEvent::Began]);
    let ended = async {
        loop {
            let event = subscriber.next().await.expect("a socket");
            if subscriber.play_events(&mut play, &event).contains(&PlayEvent::Ended) {
                break;
            }
        }
    };
    let both = async { tokio::join!(publisher.close(), ended) };
    tokio::time::timeout(TIMEOUT, both).await.expect("the subscriber learns of it");
}

#[tokio::test]
async fn the_probe_plays_a_stream_of_a_peer() {
    let server = Server::on_loopback(1);
    let mut publisher = client(server.addresses[0], 1).await;
    publisher.publish(CAMERA);
    let (uri, id) = (server.uri(0), publisher.id().to_string());
    let probing = tokio::task::spawn_blocking(move || {
        let of = |stream: &str, timeout: &str| {
            probe(&["--flash", "--json", "--timeout", timeout, "--peer", &id, "--play", stream, &uri])
        };
        (of(CAMERA, "30"), of("another", "5"))
    });
    let publishing = async {
        loop {
            let tick = tokio::time::sleep(std::time::Duration::from_millis(5));
            tokio::select! {
                event = publisher.next() => { event.expect("a socket"); }
                () = tick => send(&mut publisher, 0..3),
            }
        }
    };
    let (played, refused) = tokio::select! {
        probed = probing => probed.expect("the probe ends"),
        () = publishing => unreachable!("it goes on for ever"),
    };
    assert_eq!(played.code, Some(0), "{played:?}");
    let playing = &played.json()["playing"];
    assert!(playing["messages"].as_u64() >= Some(20) && playing["bytes"].as_u64() > Some(20_000), "{playing}");
    assert_eq!((refused.code, refused.json()["failed_step"].as_str()), (Some(1), Some("message")), "{refused:?}");
}

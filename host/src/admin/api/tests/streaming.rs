use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::Request;
use axum::response::Response;

use super::Stage;
use crate::admin::api::ROOT;
use crate::admin::streams::MAX_STREAMS;
use crate::admin::testing::LOGIN;
use crate::introducer::Counter;
use crate::stories::{Event, EventKind};

async fn open(stage: &Stage, login: &str) -> Response {
    stage.respond("127.0.0.1", Request::get(format!("{ROOT}/stream?{login}")), Body::empty()).await
}

/// The next piece of a stream; `None` if it has ended.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

/// The data of the only event of a piece.
fn data(piece: &str, kind: &str) -> serde_json::Value {
    let (_, event) = piece.split_once(&format!("event: {kind}\ndata: ")).unwrap_or_else(|| panic!("{piece}"));
    serde_json::from_str(event.strip_suffix("\n\n").unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn counters_come_at_once_and_each_second() {
    let mut stage = Stage::new(|_| ());
    stage.client("rtmfp://host/app", 0, 1);
    let response = open(&stage, "").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let begun = tokio::time::Instant::now();
    let first = piece(&mut body).await.unwrap();
    assert!(first.starts_with("retry: 2000\n\n"), "{first}");
    assert_eq!((data(&first, "counters")["clients"].as_u64(), begun.elapsed()), (Some(1), Duration::ZERO));
    stage.services.counters.worker(0).add_many(Counter::Lookups, 5);
    let second = data(&piece(&mut body).await.unwrap(), "counters");
    assert_eq!((second["counters"]["rtmfp_lookups"].as_u64(), begun.elapsed().as_secs()), (Some(5), 1));
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_a_reader_that_goes_leaves_its_place() {
    let stage = Stage::new(|_| ());
    let mut open_ones = Vec::new();
    for _ in 0..MAX_STREAMS {
        open_ones.push(open(&stage, "").await);
    }
    assert_eq!(open(&stage, "").await.status().as_u16(), 503);
    open_ones.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(open(&stage, "").await.status().as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_loses_its_stream() {
    let stage = Stage::new(|_| ());
    let mut body = open(&stage, "").await.into_body();
    piece(&mut body).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let mut left = 0;
    while piece(&mut body).await.is_some() {
        left += 1;
    }
    assert_eq!(left, 16, "no more waits for a reader");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_may_not_read_any_more_loses_its_stream() {
    let stage = Stage::with_login(|_| ());
    assert_eq!(open(&stage, "").await.status().as_u16(), 401);
    let mut body = open(&stage, LOGIN).await.into_body();
    piece(&mut body).await.unwrap();
    let mut config = (*stage.services.applications.config()).clone();
    config.users.users[0].password = Some(introd_config::Password::Plain("other".to_owned()));
    stage.services.applications.reconfigure(config);
    let begun = tokio::time::Instant::now();
    while piece(&mut body).await.is_some() {}
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn events_come_as_they_happen_and_those_that_are_left_out_are_counted() {
    let stage = Stage::new(|_| ());
    let happen = |count: usize| {
        for _ in 0..count {
            let kind = EventKind::Moved { from: ([192, 0, 2, 1], 5).into() };
            stage.services.stories.write(0, Event::new(std::time::Instant::now(), kind));
        }
    };
    happen(3);
    let mut body = open(&stage, "").await.into_body();
    let first = piece(&mut body).await.unwrap();
    assert!(!first.contains("event: story"), "what was before is not told: {first}");
    happen(2);
    let begun = tokio::time::Instant::now();
    let second = piece(&mut body).await.unwrap();
    assert_eq!((second.matches("event: story\n").count(), begun.elapsed()), (2, Duration::from_millis(250)));
    assert!(second.contains("\"kind\":\"moved\"") && !second.contains("event: lost"));
    happen(300);
    let third = piece(&mut body).await.unwrap();
    assert_eq!(third.matches("event: story\n").count(), 250);
    assert!(third.starts_with("event: lost\ndata: {\"count\":50}\n\n"), "{third}");
}

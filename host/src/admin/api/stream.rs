//! The stream: server-sent events (HTML Living Standard §9.2) for views that are live.
//!
//! Each stream has a task, which asks for what is new and hands it to the connection. A reader that is slow holds up its own task alone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::counters::counters;
use super::events::describe;
use super::problem::Problem;
use crate::admin::caller::Caller;
use crate::admin::gate::Wish;
use crate::admin::rooms::Rooms;
use crate::admin::streams::{MAX_STREAMS, OpenStreams, StreamPlace};

/// How many pieces wait for a reader.
const MAX_WAITING: usize = 16;
/// How often the stream looks for what is new.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often it tells the counters.
const COUNTERS: Duration = Duration::from_secs(1);
/// How many events of peers' stories it tells at a time. What is more than that is counted as lost.
const MAX_EVENTS: usize = 250;
/// How often it looks whether its reader may still read.
const ADMISSION: Duration = Duration::from_secs(5);
/// A stream whose reader takes nothing for this long ends.
const MAX_SILENCE: Duration = Duration::from_secs(30);
/// How long browsers wait before they ask again for a stream that has ended, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// Begins a stream for a caller that may read, on a connection that has those streams.
pub(super) fn stream(rooms: &Arc<Rooms>, caller: Caller, of_connection: OpenStreams) -> Result<Response, Problem> {
    let busy = || Problem::Busy(format!("There are {MAX_STREAMS} streams already: end one, or poll."));
    let place = rooms.streams.enter(of_connection).ok_or_else(busy)?;
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let task = Task { rooms: Arc::clone(rooms), caller, sender, _place: place };
    tokio::spawn(task.run());
    let body = Body::new(Pieces(receiver));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// What a stream's task has.
struct Task {
    rooms: Arc<Rooms>,
    caller: Caller,
    sender: mpsc::Sender<Bytes>,
    _place: StreamPlace,
}

impl Task {
    /// Runs until the reader is gone, takes nothing any more, or may not read any more.
    async fn run(self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counted, mut admitted): (Option<Instant>, Instant) = (None, Instant::now());
        let mut text = RETRY.to_owned();
        let stories = &self.rooms.inspector.services.stories;
        let mut cursor = stories.cursor();
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                _ = ticks.tick() => (),
            }
            let now = Instant::now();
            if now - admitted >= ADMISSION {
                admitted = now;
                if self.rooms.admit(&self.caller, Wish::Read).await.is_err() {
                    return;
                }
            }
            if counted.is_none_or(|at| now - at >= COUNTERS) {
                counted = Some(now);
                write_event(&mut text, "counters", &counters(&self.rooms.inspector));
            }
            let news = stories.since(&mut cursor, MAX_EVENTS);
            if news.missed > 0 {
                write_event(&mut text, "lost", &json!({"count": news.missed}));
            }
            for event in &news.events {
                write_event(&mut text, "story", &describe(stories, event));
            }
            if text.is_empty() {
                continue;
            }
            let piece = Bytes::from(std::mem::take(&mut text));
            // While a piece waits for room, nothing is asked for.
            if self.sender.send_timeout(piece, MAX_SILENCE).await.is_err() {
                return;
            }
        }
    }
}

/// Writes an event. JSON has no line breaks here, so that its data is one line.
fn write_event(text: &mut String, kind: &str, data: &Value) {
    text.push_str("event: ");
    text.push_str(kind);
    text.push_str("\ndata: ");
    text.push_str(&data.to_string());
    text.push_str("\n\n");
}

/// The body of a stream's answer.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

//! The streams that a client publishes directly to its peers (RFC 7425 §5.4). One of them is built in: it sends messages back.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Instant;

use introd_flash::amf::{AmfLimits, Value};
use introd_flash::client::{Incoming, read};
use introd_flash::message::{Message, kind};
use introd_flash::metadata::FlowKind;
use introd_flash::peer;
use introd_flash::user_control::UserControl;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, Priority, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, PeerId, SessionId};

use crate::echo_message::{self, requested_text};

/// The most entries in the list of peers that messages were sent back to.
const MAX_ECHOED: usize = 1024;
/// The most streams that one peer may play at a time.
const MAX_STREAMS: usize = 16;
/// The only barrier across the flows of a stream is at its end.
const LAST_BARRIER: u32 = 1;

/// A peer's control flow for a stream (RFC 7425 §5.4.1), and the flows in return.
#[derive(Debug)]
struct Subscriber {
    session: SessionId,
    control: RecvFlowId,
    stream: NonZeroU32,
    subscription: Subscription,
}

#[derive(Debug)]
enum Subscription {
    /// The peer has not sent `play` yet.
    None,
    /// The peer plays the stream that sends messages back.
    Echo { replies: SendFlowId },
    /// The peer plays a published stream. Audio and video have a flow each, so that audio need not wait for video.
    Stream { name: String, data: SendFlowId, audio: SendFlowId, video: SendFlowId },
}

impl Subscription {
    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Stream { name: own, .. } if own == name)
    }

    fn flows(&self) -> Vec<SendFlowId> {
        match self {
            Self::None => Vec::new(),
            Self::Echo { replies } => vec![*replies],
            Self::Stream { data, audio, video, .. } => vec![*data, *audio, *video],
        }
    }
}

/// The published streams and their subscribers.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    names: BTreeSet<String>,
    subscribers: Vec<Subscriber>,
    echoed: Vec<PeerId>,
}

impl Publisher {
    /// The peers that messages were sent back to, one entry for each message.
    pub(super) fn echoed_peers(&self) -> &[PeerId] {
        &self.echoed
    }

    pub(super) fn publish(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// How many peers play a stream.
    pub(super) fn subscribers(&self, name: &str) -> usize {
        self.subscribers.iter().filter(|subscriber| subscriber.subscription.is(name)).count()
    }

    /// Sends a message of a stream to all its subscribers. A subscriber whose flow takes no more messages for now misses it.
    pub(super) fn send(&mut self, endpoint: &mut Endpoint, stream: &str, message: &Message<'_>, delivery: Delivery) {
        for subscriber in &self.subscribers {
            let Subscription::Stream { name, data, audio, video } = &subscriber.subscription else { continue };
            if name != stream {
                continue;
            }
            let flow = match message.kind {
                kind::AUDIO => audio,
                kind::VIDEO => video,
                _ => data,
            };
            let _ = endpoint.send(Instant::now(), subscriber.session, *flow, message.to_bytes(), delivery);
        }
    }

    /// Ends a stream. Subscribers are notified behind the last messages of all flows.
    pub(super) fn unpublish(&mut self, endpoint: &mut Endpoint, name: &str) {
        self.names.remove(name);
        let description = format!("{name} is now unpublished.");
        let status = peer::status("NetStream.Play.UnpublishNotify", &description, name).unwrap_or_default();
        for subscriber in self.subscribers.extract_if(.., |subscriber| subscriber.subscription.is(name)) {
            let flows = subscriber.subscription.flows();
            // A barrier across the flows of one stream, RFC 7425 §5.2.
            let barrier = UserControl::FlowSync { sync: LAST_BARRIER, count: flows.len() as u32 }.to_message();
            for flow in &flows {
                let _ = endpoint.send(Instant::now(), subscriber.session, *flow, barrier.clone(), Delivery::default());
            }
            let end = UserControl::StreamEof { stream: subscriber.stream.get() }.to_message();
            for message in [end, status.clone()] {
                let _ = endpoint.send(Instant::now(), subscriber.session, flows[0], message, Delivery::default());
            }
            let _ = endpoint.with_flows(Instant::now(), subscriber.session, |all| {
                flows.iter().for_each(|flow| all.close(*flow));
            });
        }
    }

    pub(super) fn handle_event(&mut self, endpoint: &mut Endpoint, server: SessionId, event: &Event) {
        match event {
            Event::Closed { session, .. } => self.subscribers.retain(|subscriber| subscriber.session != *session),
            Event::Flow { session, event } if *session != server => self.handle_flow_event(endpoint, *session, event),
            _ => (),
        }
    }

    fn handle_flow_event(&mut self, endpoint: &mut Endpoint, session: SessionId, event: &FlowEvent) {
        match event {
            FlowEvent::Opened { flow, metadata, return_of: None } => {
                let is_wanted = is_for_group(metadata) || self.open(session, *flow, metadata);
                if !is_wanted {
                    reject(endpoint, session, *flow);
                }
            }
            FlowEvent::Message { flow, data, .. } => {
                let is_it = |subscriber: &Subscriber| (subscriber.session, subscriber.control) == (session, *flow);
                let Some(place) = self.subscribers.iter().position(is_it) else { return };
                if !self.handle_message(endpoint, place, data) {
                    self.subscribers.swap_remove(place);
                    reject(endpoint, session, *flow);
                }
            }
            // RFC 7425 §5.4.3.
            FlowEvent::Ended { flow, .. } => self.forget(endpoint, session, |subscriber| subscriber.control == *flow),
            FlowEvent::Rejected { flow, .. } => {
                self.forget(endpoint, session, |subscriber| subscriber.subscription.flows().contains(flow));
            }
            _ => (),
        }
    }

    /// RFC 7425 §5.4.1: the subscriber's flow has a stream number other than 0 and no association.
    fn open(&mut self, session: SessionId, control: RecvFlowId, metadata: &[u8]) -> bool {
        let Some(FlowKind::Rtmp { stream, .. }) = FlowKind::classify(metadata) else { return false };
        let Some(stream) = NonZeroU32::new(stream) else { return false };
        if self.subscribers.iter().filter(|subscriber| subscriber.session == session).count() >= MAX_STREAMS {
            return false;
        }
        self.subscribers.push(Subscriber { session, control, stream, subscription: Subscription::None });
        true
    }

    /// Handles a subscriber's message; false if its control flow is to be rejected.
    fn handle_message(&mut self, endpoint: &mut Endpoint, place: usize, message: &[u8]) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(place) else { return true };
        match (&subscriber.subscription, read(message, AmfLimits::default())) {
            (Subscription::None, Ok(Incoming::Call(command))) if command.name == "play" => {
                let Some(name) = command.arguments.first().and_then(Value::as_str) else { return false };
                // RFC 7425 §5.4.2: there are return flows only if the request is acceptable.
                let begun = match name {
                    echo_message::STREAM => subscriber.begin_echo(endpoint),
                    _ if self.names.contains(name) => subscriber.begin_stream(endpoint, name),
                    _ => None,
                };
                begun.map(|subscription| subscriber.subscription = subscription).is_some()
            }
            (Subscription::Echo { replies }, Ok(Incoming::Data(values))) => {
                if let Some(text) = requested_text(&values) {
                    let (session, replies) = (subscriber.session, *replies);
                    self.echo(endpoint, session, replies, text);
                }
                true
            }
            _ => true,
        }
    }

    fn echo(&mut self, endpoint: &mut Endpoint, session: SessionId, flow: SendFlowId, text: &str) {
        let Ok(reply) = echo_message::reply(text) else { return };
        let is_sent = endpoint.send(Instant::now(), session, flow, reply, Delivery::default()).is_ok();
        if is_sent
            && self.echoed.len() < MAX_ECHOED
            && let Some(info) = endpoint.session(session)
        {
            self.echoed.push(info.peer_id);
        }
    }

    fn forget(&mut self, endpoint: &mut Endpoint, session: SessionId, is_it: impl Fn(&Subscriber) -> bool) {
        self.subscribers.retain(|subscriber| {
            let is_over = subscriber.session == session && is_it(subscriber);
            if is_over {
                let _ = endpoint.with_flows(Instant::now(), session, |flows| {
                    subscriber.subscription.flows().into_iter().for_each(|flow| flows.close(flow));
                });
            }
            !is_over
        });
    }
}

impl Subscriber {
    /// A return flow (RFC 7425 §5.4.2).
    fn flow(&self, endpoint: &mut Endpoint, priority: Priority, time_critical: bool) -> Option<SendFlowId> {
        let options = FlowOptions { return_of: Some(self.control), priority, time_critical };
        endpoint.open_flow(Instant::now(), self.session, &peer::metadata(self.stream), options).ok()
    }

    fn begin_echo(&self, endpoint: &mut Endpoint) -> Option<Subscription> {
        let replies = self.flow(endpoint, Priority::default(), false)?;
        let begin = peer::stream_begin(self.stream);
        endpoint.send(Instant::now(), self.session, replies, begin, Delivery::default()).ok()?;
        Some(Subscription::Echo { replies })
    }

    fn begin_stream(&self, endpoint: &mut Endpoint, name: &str) -> Option<Subscription> {
        let data = self.flow(endpoint, Priority::High, false)?;
        let audio = self.flow(endpoint, Priority::High, true)?;
        let video = self.flow(endpoint, Priority::default(), true)?;
        let start = peer::status("NetStream.Play.Start", &format!("Started playing {name}."), name).ok()?;
        for message in [peer::stream_begin(self.stream), start] {
            endpoint.send(Instant::now(), self.session, data, message, Delivery::default()).ok()?;
        }
        Some(Subscription::Stream { name: name.to_owned(), data, audio, video })
    }
}

/// Whether the flow belongs to a group: the publisher leaves those alone.
fn is_for_group(metadata: &[u8]) -> bool {
    matches!(FlowKind::classify(metadata), Some(FlowKind::GroupPeer(_)))
}

fn reject(endpoint: &mut Endpoint, session: SessionId, flow: RecvFlowId) {
    // No exception codes are defined (RFC 7425 §5.3.5.3).
    let _ = endpoint.with_flows(Instant::now(), session, |flows| flows.reject(flow, 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_pair::SessionPair;

    fn accepts(publisher: &mut Publisher, session: SessionId, flow: u64, metadata: &[u8]) -> bool {
        publisher.open(session, RecvFlowId(flow), metadata)
    }

    /// RFC 7425 §5.4.1.
    #[test]
    fn only_flows_of_streams_other_than_0_are_taken() {
        let session = SessionPair::new().session;
        let mut publisher = Publisher::default();
        for metadata in [&b"TC\x04\0"[..], b"GC", b"GR\x1c", b"XY", b""] {
            assert!(!accepts(&mut publisher, session, 3, metadata), "{metadata:?}");
        }
        assert!(publisher.subscribers.is_empty());
        assert!(accepts(&mut publisher, session, 3, b"TC\x04\x07"));
    }

    #[test]
    fn the_streams_of_a_peer_are_bounded_and_forgotten_with_its_session() {
        let pair = SessionPair::new();
        let (session, mut endpoint) = (pair.session, pair.near);
        let mut publisher = Publisher::default();
        for flow in 0..100 {
            assert_eq!(accepts(&mut publisher, session, flow, b"TC\x04\x07"), flow < MAX_STREAMS as u64);
        }
        publisher.forget(&mut endpoint, session, |subscriber| subscriber.control == RecvFlowId(0));
        assert!(accepts(&mut publisher, session, 100, b"TC\x04\x07"));
        assert!(!accepts(&mut publisher, session, 101, b"TC\x04\x07"));
        let closed = Event::Closed { session, reason: rtmfp::CloseReason::Far };
        publisher.handle_event(&mut endpoint, session, &closed);
        assert!(publisher.subscribers.is_empty());
    }

    /// RFC 7425 §5.4.2, §5.4.3: what the far end of a session sees of the publisher's flows.
    #[test]
    fn a_subscriber_gets_flows_when_it_plays_what_is_published_and_none_after_it_stops() {
        for (name, is_published) in [("stream", true), ("other", false)] {
            let mut pair = SessionPair::new();
            let mut publisher = Publisher::default();
            publisher.publish("stream");
            let (now, session) = (pair.now, pair.far_session);
            let stream = NonZeroU32::new(7).unwrap();
            let control = pair.far.open_flow(now, session, &peer::metadata(stream), FlowOptions::default()).unwrap();
            pair.far.send(now, session, control, peer::play(name).unwrap(), Delivery::default()).unwrap();
            let mut turn = |pair: &mut SessionPair| {
                let mut seen = Vec::new();
                for _ in 0..5 {
                    // The publisher reads the clock itself.
                    pair.now = Instant::now();
                    let [near, far] = pair.settle();
                    for event in near {
                        // No session is with the server.
                        let Event::Flow { session, event } = event else { continue };
                        publisher.handle_flow_event(&mut pair.near, session, &event);
                    }
                    seen.extend(far);
                }
                (seen, (publisher.subscribers("stream"), publisher.subscribers.len()))
            };
            let (seen, subscribers) = turn(&mut pair);
            let count = |is_it: fn(&FlowEvent) -> bool| {
                seen.iter().filter(|event| matches!(event, Event::Flow { event, .. } if is_it(event))).count()
            };
            let opened = count(|event| matches!(event, FlowEvent::Opened { return_of: Some(_), .. }));
            let rejected = count(|event| matches!(event, FlowEvent::Rejected { exception: 0, .. }));
            // The flows of audio and video are seen when there is something on them.
            let expected = if is_published { (1, 0, (1, 1)) } else { (0, 1, (0, 0)) };
            assert_eq!((opened, rejected, subscribers), expected, "{name}");
            pair.far.with_flows(now, session, |flows| flows.close(control)).unwrap();
            assert_eq!(turn(&mut pair).1, (0, 0));
        }
    }
}

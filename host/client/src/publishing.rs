//! What a client has for peers that open sessions with it: streams that it publishes to them directly (RFC 7425 §5.4), and an answer
//! to greetings, as [`meeting`](super::meeting) sends them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Instant;

use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, Priority, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, PeerId, SessionId};

use introd_flash::amf::{Limits, Value};
use introd_flash::client::{Incoming, read};
use introd_flash::command::Encoding;
use introd_flash::message::{Message, kind};
use introd_flash::metadata::FlowKind;
use introd_flash::peer;
use introd_flash::user_control::UserControl;

/// The handler that a greeting names, and the stream's name.
pub(super) const GREETING: &str = "introdProbe";
/// The handler that an answer names.
pub(super) const ANSWER: &str = "introdProbeAnswer";
/// The longest text in a greeting that is answered, in bytes.
const MAX_TEXT: usize = 256;
/// Greetings remembered.
const MAX_PEERS: usize = 1024;
/// Streams that one peer may play at a time.
const MAX_STREAMS: usize = 16;
/// The only barrier across the flows of a stream: at its end.
const LAST_BARRIER: u32 = 1;

/// A peer's control flow for a stream (RFC 7425 §5.4.1), and what is sent in return.
#[derive(Debug)]
struct Subscriber {
    session: SessionId,
    control: RecvFlowId,
    stream: NonZeroU32,
    plays: Plays,
}

#[derive(Debug)]
enum Plays {
    /// It has not said which stream it wants.
    Nothing,
    /// It greets this client.
    Greeting { answers: SendFlowId },
    /// It plays a stream. Sound is not to wait for pictures, so each has a flow.
    Stream { name: String, data: SendFlowId, audio: SendFlowId, video: SendFlowId },
}

impl Plays {
    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Stream { name: own, .. } if own == name)
    }

    fn flows(&self) -> Vec<SendFlowId> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Greeting { answers } => vec![*answers],
            Self::Stream { data, audio, video, .. } => vec![*data, *audio, *video],
        }
    }
}

/// The peers' streams to this end.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    names: BTreeSet<String>,
    subscribers: Vec<Subscriber>,
    greeted_by: Vec<PeerId>,
}

impl Publishing {
    pub(super) fn greeted_by(&self) -> &[PeerId] {
        &self.greeted_by
    }

    pub(super) fn publish(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// How many peers play a stream.
    pub(super) fn subscribers(&self, name: &str) -> usize {
        self.subscribers.iter().filter(|subscriber| subscriber.plays.is(name)).count()
    }

    /// Sends a message of a stream to all who play it. A subscriber that takes no more for now misses it.
    pub(super) fn send(&mut self, endpoint: &mut Endpoint, stream: &str, message: &Message<'_>, delivery: Delivery) {
        for subscriber in &self.subscribers {
            let Plays::Stream { name, data, audio, video } = &subscriber.plays else { continue };
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

    /// Ends a stream: those who play it learn of that when they have taken in the rest, whichever flow it is on.
    pub(super) fn unpublish(&mut self, endpoint: &mut Endpoint, name: &str) {
        self.names.remove(name);
        let description = format!("{name} is now unpublished.");
        let status = peer::status("NetStream.Play.UnpublishNotify", &description, name).unwrap_or_default();
        for subscriber in self.subscribers.extract_if(.., |subscriber| subscriber.plays.is(name)) {
            let flows = subscriber.plays.flows();
            // RFC 7425 §5.2, and the use that it names for it.
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

    pub(super) fn attend(&mut self, endpoint: &mut Endpoint, server: SessionId, event: &Event) {
        match event {
            Event::Closed { session, .. } => self.subscribers.retain(|subscriber| subscriber.session != *session),
            Event::Flow { session, event } if *session != server => self.attend_flow(endpoint, *session, event),
            _ => (),
        }
    }

    fn attend_flow(&mut self, endpoint: &mut Endpoint, session: SessionId, event: &FlowEvent) {
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
                if !self.said(endpoint, place, data) {
                    self.subscribers.swap_remove(place);
                    reject(endpoint, session, *flow);
                }
            }
            // RFC 7425 §5.4.3.
            FlowEvent::Ended { flow, .. } => self.forget(endpoint, session, |subscriber| subscriber.control == *flow),
            FlowEvent::Rejected { flow, .. } => {
                self.forget(endpoint, session, |subscriber| subscriber.plays.flows().contains(flow));
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
        self.subscribers.push(Subscriber { session, control, stream, plays: Plays::Nothing });
        true
    }

    /// A subscriber says something; false if its flow is to be rejected.
    fn said(&mut self, endpoint: &mut Endpoint, place: usize, message: &[u8]) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(place) else { return true };
        match (&subscriber.plays, read(message, Limits::default())) {
            (Plays::Nothing, Ok(Incoming::Call(command))) if command.name == "play" => {
                let Some(name) = command.arguments.first().and_then(Value::as_str) else { return false };
                // RFC 7425 §5.4.2: return flows "if and when the request is acceptable".
                let begun = match name {
                    GREETING => subscriber.begin_answers(endpoint),
                    _ if self.names.contains(name) => subscriber.begin_stream(endpoint, name),
                    _ => None,
                };
                begun.map(|plays| subscriber.plays = plays).is_some()
            }
            (Plays::Greeting { answers }, Ok(Incoming::Data(values))) => {
                if let Some(text) = greeting(&values) {
                    let (session, answers) = (subscriber.session, *answers);
                    self.answer(endpoint, session, answers, text);
                }
                true
            }
            _ => true,
        }
    }

    fn answer(&mut self, endpoint: &mut Endpoint, session: SessionId, flow: SendFlowId, text: &str) {
        let Ok(answer) = peer::data(ANSWER, &[text.into()], Encoding::Amf0, 0) else { return };
        let is_sent = endpoint.send(Instant::now(), session, flow, answer, Delivery::default()).is_ok();
        if is_sent
            && self.greeted_by.len() < MAX_PEERS
            && let Some(info) = endpoint.session(session)
        {
            self.greeted_by.push(info.peer_id);
        }
    }

    fn forget(&mut self, endpoint: &mut Endpoint, session: SessionId, is_it: impl Fn(&Subscriber) -> bool) {
        self.subscribers.retain(|subscriber| {
            let is_over = subscriber.session == session && is_it(subscriber);
            if is_over {
                let _ = endpoint.with_flows(Instant::now(), session, |flows| {
                    subscriber.plays.flows().into_iter().for_each(|flow| flows.close(flow));
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

    fn begin_answers(&self, endpoint: &mut Endpoint) -> Option<Plays> {
        let answers = self.flow(endpoint, Priority::default(), false)?;
        let begin = peer::stream_begin(self.stream);
        endpoint.send(Instant::now(), self.session, answers, begin, Delivery::default()).ok()?;
        Some(Plays::Greeting { answers })
    }

    fn begin_stream(&self, endpoint: &mut Endpoint, name: &str) -> Option<Plays> {
        let data = self.flow(endpoint, Priority::High, false)?;
        let audio = self.flow(endpoint, Priority::High, true)?;
        let video = self.flow(endpoint, Priority::default(), true)?;
        let start = peer::status("NetStream.Play.Start", &format!("Started playing {name}."), name).ok()?;
        for message in [peer::stream_begin(self.stream), start] {
            endpoint.send(Instant::now(), self.session, data, message, Delivery::default()).ok()?;
        }
        Some(Plays::Stream { name: name.to_owned(), data, audio, video })
    }
}

/// Members of groups talk on flows of their own kind.
fn is_for_group(metadata: &[u8]) -> bool {
    matches!(FlowKind::classify(metadata), Some(FlowKind::GroupPeer(_)))
}

fn reject(endpoint: &mut Endpoint, session: SessionId, flow: RecvFlowId) {
    // RFC 7425 §5.3.5.3: no exception codes are defined.
    let _ = endpoint.with_flows(Instant::now(), session, |flows| flows.reject(flow, 0));
}

/// The text of a greeting.
fn greeting(values: &[Value]) -> Option<&str> {
    match values {
        [Value::String(handler), Value::String(text), ..] if handler == GREETING && text.len() <= MAX_TEXT => {
            Some(text)
        }
        _ => None,
    }
}

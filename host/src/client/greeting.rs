//! What a client says to peers that open sessions with it: it answers greetings, as [`meeting`](super::meeting) sends them.

use std::num::NonZeroU32;
use std::time::Instant;

use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, PeerId, SessionId};

use crate::flash::amf::{Limits, Value};
use crate::flash::client::{Incoming, read};
use crate::flash::command::Encoding;
use crate::flash::metadata::FlowKind;
use crate::flash::peer;

/// The handler that a greeting names, and the stream's name.
pub(super) const GREETING: &str = "introdProbe";
/// The handler that an answer names.
pub(super) const ANSWER: &str = "introdProbeAnswer";
/// The longest text in a greeting that is answered, in bytes.
const MAX_TEXT: usize = 256;
/// Greetings remembered.
const MAX_PEERS: usize = 1024;

/// A peer's stream: its flow to this end, and the one in return.
#[derive(Debug)]
struct Stream {
    session: SessionId,
    incoming: RecvFlowId,
    outgoing: SendFlowId,
}

/// The peers' streams to this end.
#[derive(Debug, Default)]
pub(super) struct Greetings {
    streams: Vec<Stream>,
    peers: Vec<PeerId>,
}

impl Greetings {
    pub(super) fn peers(&self) -> &[PeerId] {
        &self.peers
    }

    pub(super) fn attend(&mut self, endpoint: &mut Endpoint, server: SessionId, event: &Event) {
        match event {
            Event::Closed { session, .. } => self.streams.retain(|stream| stream.session != *session),
            Event::Flow { session, event } if *session != server => self.attend_flow(endpoint, *session, event),
            _ => (),
        }
    }

    fn attend_flow(&mut self, endpoint: &mut Endpoint, session: SessionId, event: &FlowEvent) {
        let now = Instant::now();
        match event {
            FlowEvent::Opened { flow, metadata, return_of: None } => {
                let is_stream = self.open(endpoint, session, *flow, metadata).is_some();
                if !is_stream {
                    // RFC 7425 §5.4: nobody here publishes it.
                    let _ = endpoint.with_flows(now, session, |flows| flows.reject(*flow, 0));
                }
            }
            FlowEvent::Message { flow, data, .. } => {
                let is_it = |stream: &&Stream| (stream.session, stream.incoming) == (session, *flow);
                let Some(stream) = self.streams.iter().find(is_it) else { return };
                let Ok(Incoming::Data(values)) = read(data, Limits::default()) else { return };
                let [Value::String(handler), Value::String(text), ..] = &values[..] else { return };
                if handler != GREETING || text.len() > MAX_TEXT {
                    return;
                }
                let Ok(answer) = peer::data(ANSWER, &[text.as_str().into()], Encoding::Amf0, 0) else { return };
                let is_sent = endpoint.send(now, session, stream.outgoing, answer, Delivery::default()).is_ok();
                if is_sent
                    && self.peers.len() < MAX_PEERS
                    && let Some(info) = endpoint.session(session)
                {
                    self.peers.push(info.peer_id);
                }
            }
            FlowEvent::Ended { flow, .. } => self.forget(endpoint, session, |stream| stream.incoming == *flow),
            FlowEvent::Rejected { flow, .. } => self.forget(endpoint, session, |stream| stream.outgoing == *flow),
            _ => (),
        }
    }

    /// RFC 7425 §5.4: the subscriber's flow has a stream number other than 0 and no association; the answer goes on a flow of the
    /// same stream in return.
    fn open(&mut self, endpoint: &mut Endpoint, session: SessionId, flow: RecvFlowId, metadata: &[u8]) -> Option<()> {
        let Some(FlowKind::Rtmp { stream, .. }) = FlowKind::classify(metadata) else { return None };
        let number = NonZeroU32::new(stream)?;
        let options = FlowOptions { return_of: Some(flow), ..FlowOptions::default() };
        let outgoing = endpoint.open_flow(Instant::now(), session, &peer::metadata(number), options).ok()?;
        let begin = peer::stream_begin(number);
        endpoint.send(Instant::now(), session, outgoing, begin, Delivery::default()).ok()?;
        self.streams.push(Stream { session, incoming: flow, outgoing });
        Some(())
    }

    fn forget(&mut self, endpoint: &mut Endpoint, session: SessionId, is_it: impl Fn(&Stream) -> bool) {
        self.streams.retain(|stream| {
            let is_over = stream.session == session && is_it(stream);
            if is_over {
                let _ = endpoint.with_flows(Instant::now(), session, |flows| flows.close(stream.outgoing));
            }
            !is_over
        });
    }
}

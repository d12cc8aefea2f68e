//! Playing a stream that a peer publishes (RFC 7425 §5.4).

use std::num::NonZeroU32;
use std::time::Instant;

use introd_flash::amf::AmfLimits;
use introd_flash::barrier::Barriers;
use introd_flash::client::{Incoming, Status, read};
use introd_flash::message::{Message, kind};
use introd_flash::metadata::{FlowKind, ReceiveOrder};
use introd_flash::peer;
use introd_flash::user_control::UserControl;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, Order, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, SessionId};

/// A stream of a peer that this client plays.
#[derive(Debug)]
pub struct Play {
    session: SessionId,
    control: SendFlowId,
    flows: Vec<RecvFlowId>,
    barriers: Barriers,
}

/// What happens to a stream that this client plays.
#[derive(Clone, Debug, PartialEq)]
pub enum PlayEvent {
    /// The peer publishes the stream to this client (StreamBegin).
    Began,
    /// The peer sent a status, such as `NetStream.Play.Start`.
    Status(Status),
    /// The peer sent a message: audio, video or data.
    Media {
        /// The message type, one of [`kind`].
        kind: u8,
        /// The stream's time in milliseconds.
        timestamp: u32,
        /// The message's content.
        payload: Vec<u8>,
    },
    /// The peer does not publish the stream to this client, or no longer does.
    Ended,
}

impl Play {
    /// Opens the control flow (RFC 7425 §5.4.1).
    pub(super) fn start(
        endpoint: &mut Endpoint,
        session: SessionId,
        stream: NonZeroU32,
        name: &str,
    ) -> Result<Self, String> {
        let command = peer::play(name).map_err(|error| error.to_string())?;
        let now = Instant::now();
        let control = endpoint
            .open_flow(now, session, &peer::metadata(stream), FlowOptions::default())
            .map_err(|error| error.to_string())?;
        endpoint.send(now, session, control, command, Delivery::default()).map_err(|error| error.to_string())?;
        Ok(Self { session, control, flows: Vec::new(), barriers: Barriers::default() })
    }

    pub(super) fn handle_event(&mut self, endpoint: &mut Endpoint, event: &Event) -> Vec<PlayEvent> {
        match event {
            Event::Closed { session, .. } if *session == self.session => vec![PlayEvent::Ended],
            Event::Flow { session, event } if *session == self.session => self.handle_flow_event(endpoint, event),
            _ => Vec::new(),
        }
    }

    fn handle_flow_event(&mut self, endpoint: &mut Endpoint, event: &FlowEvent) -> Vec<PlayEvent> {
        match event {
            FlowEvent::Opened { flow, metadata, return_of: Some(control) } if *control == self.control => {
                self.flows.push(*flow);
                if let Some(FlowKind::Rtmp { order: ReceiveOrder::Network, .. }) = FlowKind::classify(metadata) {
                    // The receive intent, RFC 7425 §5.1.1.
                    let order = |flows: &mut rtmfp::flow::Flows| flows.set_order(*flow, Order::Arrival);
                    let _ = endpoint.with_flows(Instant::now(), self.session, order);
                }
                Vec::new()
            }
            FlowEvent::Message { flow, data, .. } if self.flows.contains(flow) => {
                let passed = self.barriers.pass(flow.0, 0, data.clone());
                passed.iter().filter_map(|passed| play_event(&passed.bytes)).collect()
            }
            FlowEvent::Rejected { flow, .. } if *flow == self.control => vec![PlayEvent::Ended],
            FlowEvent::Ended { flow, .. } => {
                // Its messages that wait at a barrier keep their place.
                self.flows.retain(|other| other != flow);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Closes the control flow (RFC 7425 §5.4.3).
    pub(super) fn stop(&self, endpoint: &mut Endpoint) {
        let _ = endpoint.with_flows(Instant::now(), self.session, |flows| flows.close(self.control));
    }
}

fn play_event(message: &[u8]) -> Option<PlayEvent> {
    let plain = Message::read(message).ok()?;
    if matches!(plain.kind, kind::AUDIO | kind::VIDEO | kind::DATA | kind::DATA_EXTENDED) {
        return Some(PlayEvent::Media {
            kind: plain.kind,
            timestamp: plain.timestamp,
            payload: plain.payload.to_vec(),
        });
    }
    match read(message, AmfLimits::default()) {
        Ok(Incoming::UserControl(UserControl::StreamBegin { .. })) => Some(PlayEvent::Began),
        Ok(Incoming::Status(status)) => Some(PlayEvent::Status(status)),
        _ => None,
    }
}

//! Playing a stream that a peer publishes (RFC 7425 §5.4).

use std::num::NonZeroU32;
use std::time::Instant;

use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, Order, RecvFlowId, SendFlowId};
use rtmfp::{Event, SessionId};

use crate::connection::Client;
use introd_flash::amf::Limits;
use introd_flash::barrier::Barriers;
use introd_flash::client::{Incoming, Status, read};
use introd_flash::message::{Message, kind};
use introd_flash::metadata::{FlowKind, ReceiveOrder};
use introd_flash::peer;
use introd_flash::user_control::UserControl;

/// A stream of a peer that this client plays.
#[derive(Debug)]
pub struct Play {
    session: SessionId,
    control: SendFlowId,
    flows: Vec<RecvFlowId>,
    barriers: Barriers,
}

/// What comes of a stream that is played.
#[derive(Clone, Debug, PartialEq)]
pub enum Played {
    /// The peer publishes it to this client (StreamBegin).
    Began,
    /// The peer says something of it.
    Status(Status),
    /// A message: audio, video or data.
    Media {
        /// The message type, one of [`kind`].
        kind: u8,
        /// The stream's time in milliseconds.
        timestamp: u32,
        /// The message's content.
        payload: Vec<u8>,
    },
    /// The peer does not publish it to this client, or does not any more.
    Ended,
}

impl Client {
    /// Asks the peer of an open session for its stream `name`. `stream` is the number that this client gives it: another one for
    /// each stream that it plays from the peer at a time, beginning with [`peer::FIRST_STREAM`].
    ///
    /// # Errors
    /// If the session takes no more flows, or has ended.
    pub fn play(&mut self, session: SessionId, stream: NonZeroU32, name: &str) -> Result<Play, String> {
        let command = peer::play(name).map_err(|error| error.to_string())?;
        let (now, endpoint) = (Instant::now(), &mut self.peer.endpoint);
        let control = endpoint
            .open_flow(now, session, &peer::metadata(stream), FlowOptions::default())
            .map_err(|error| error.to_string())?;
        endpoint.send(now, session, control, command, Delivery::default()).map_err(|error| error.to_string())?;
        Ok(Play { session, control, flows: Vec::new(), barriers: Barriers::default() })
    }

    /// What an event means for a stream that is played, in order. Nothing, for most events.
    pub fn played(&mut self, play: &mut Play, event: &Event) -> Vec<Played> {
        match event {
            Event::Closed { session, .. } if *session == play.session => vec![Played::Ended],
            Event::Flow { session, event } if *session == play.session => self.played_flow(play, event),
            _ => Vec::new(),
        }
    }

    fn played_flow(&mut self, play: &mut Play, event: &FlowEvent) -> Vec<Played> {
        match event {
            FlowEvent::Opened { flow, metadata, return_of: Some(control) } if *control == play.control => {
                play.flows.push(*flow);
                if let Some(FlowKind::Rtmp { order: ReceiveOrder::Network, .. }) = FlowKind::classify(metadata) {
                    // Receive intent, RFC 7425 §5.1.1.
                    let order = |flows: &mut rtmfp::flow::Flows| flows.set_order(*flow, Order::Arrival);
                    let _ = self.peer.endpoint.with_flows(Instant::now(), play.session, order);
                }
                Vec::new()
            }
            FlowEvent::Message { flow, data, .. } if play.flows.contains(flow) => {
                let passed = play.barriers.pass(flow.0, 0, data.clone());
                passed.iter().filter_map(|passed| meaning(&passed.bytes)).collect()
            }
            FlowEvent::Rejected { flow, .. } if *flow == play.control => vec![Played::Ended],
            FlowEvent::Ended { flow, .. } => {
                // What it said at a barrier keeps its place.
                play.flows.retain(|other| other != flow);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Plays a stream no longer (RFC 7425 §5.4.3).
    pub fn stop_playing(&mut self, play: &Play) {
        let _ = self.peer.endpoint.with_flows(Instant::now(), play.session, |flows| flows.close(play.control));
    }
}

fn meaning(message: &[u8]) -> Option<Played> {
    let plain = Message::read(message).ok()?;
    if matches!(plain.kind, kind::AUDIO | kind::VIDEO | kind::DATA | kind::DATA_EXTENDED) {
        return Some(Played::Media { kind: plain.kind, timestamp: plain.timestamp, payload: plain.payload.to_vec() });
    }
    match read(message, Limits::default()) {
        Ok(Incoming::UserControl(UserControl::StreamBegin { .. })) => Some(Played::Began),
        Ok(Incoming::Status(status)) => Some(Played::Status(status)),
        _ => None,
    }
}

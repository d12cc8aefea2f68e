//! The flows of a connection: those that the client may open, and those that the server has.

mod handover;

use smallvec::SmallVec;

use super::action::{Action, CloseReason};
use super::phase::Phase;
use super::{CONTROL_STREAM, NetConnection};
use crate::metadata::FlowKind;

/// What to do with a new flow of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowVerdict {
    /// Receive it.
    Accept(FlowKind),
    /// Reject it with exception code 0 (RFC 7425 §5.3.5.3). The connection goes on.
    Reject(RejectReason),
}

/// Why a flow is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// Its metadata is of no known kind (RFC 7425 §5.1.1).
    #[error("unknown flow metadata")]
    UnknownMetadata,
    /// Only peers use this kind with each other: NetGroup messages, and streams without a return association (RFC 7425 §5.4).
    #[error("flow for a peer, not for a server")]
    PeerToPeer,
    /// The connection is not established. Before that only the control flow is accepted.
    #[error("flow before the connection is established")]
    NotConnected,
    /// There is a control flow already, and this flow is not in return to the server's.
    #[error("second control flow")]
    SecondControlFlow,
    /// The client has not created the stream.
    #[error("flow for a stream that was not created")]
    UnknownStream,
    /// The client has [`ConnectionSettings::max_flows`](super::ConnectionSettings::max_flows) flows.
    #[error("too many flows")]
    TooMany,
}

/// The flows that are open. They are few, so that a list is faster than a map.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// The client's control flow, in return to which all flows of the server are opened.
    control: Option<u64>,
    /// All receiving flows. Most clients open only the control flow.
    receiving: SmallVec<[(u64, FlowKind); 1]>,
    /// Whether the server's control flow is open.
    control_sending: bool,
}

impl Flows {
    pub(super) fn control(&self) -> Option<u64> {
        self.control
    }

    fn kind_of(&self, flow: u64) -> Option<FlowKind> {
        self.receiving.iter().find(|(id, _)| *id == flow).map(|(_, kind)| *kind)
    }

    pub(super) fn stream_of(&self, flow: u64) -> Option<u32> {
        match self.kind_of(flow)? {
            FlowKind::Rtmp { stream, .. } => Some(stream),
            FlowKind::GroupControl | FlowKind::GroupPeer(_) => None,
        }
    }

    pub(super) fn is_group(&self, flow: u64) -> bool {
        self.kind_of(flow) == Some(FlowKind::GroupControl)
    }
}

impl NetConnection {
    /// The client opens a flow. `return_of` is the server's sending flow in return to which it is opened; the engine has checked that it
    /// exists.
    pub fn on_flow(&mut self, flow: u64, metadata: &[u8], return_of: Option<u64>) -> FlowVerdict {
        match self.admit(metadata, return_of.is_some()) {
            Ok(kind) => {
                if self.flows.control.is_none() {
                    self.flows.control = Some(flow);
                }
                self.flows.receiving.retain(|(id, _)| *id != flow);
                self.flows.receiving.push((flow, kind));
                FlowVerdict::Accept(kind)
            }
            Err(reason) => FlowVerdict::Reject(reason),
        }
    }

    fn admit(&self, metadata: &[u8], associated: bool) -> Result<FlowKind, RejectReason> {
        let kind = FlowKind::classify(metadata).ok_or(RejectReason::UnknownMetadata)?;
        if self.flows.receiving.len() >= self.settings.max_flows {
            return Err(RejectReason::TooMany);
        }
        match kind {
            FlowKind::GroupPeer(_) => return Err(RejectReason::PeerToPeer),
            // RFC 7425 §5.3.1: the first flow, of stream 0 and in return to no flow, is the control flow.
            FlowKind::Rtmp { stream: CONTROL_STREAM, .. } if !associated => match (self.flows.control, &self.phase) {
                (None, Phase::New) => return Ok(kind),
                _ => return Err(RejectReason::SecondControlFlow),
            },
            FlowKind::Rtmp { .. } if !associated => return Err(RejectReason::PeerToPeer),
            FlowKind::Rtmp { .. } | FlowKind::GroupControl => {}
        }
        if !self.is_connected() {
            return Err(RejectReason::NotConnected);
        }
        match kind {
            FlowKind::Rtmp { stream, .. } if stream != CONTROL_STREAM && !self.streams.exists(stream) => {
                Err(RejectReason::UnknownStream)
            }
            _ => Ok(kind),
        }
    }

    /// A flow of the client has ended: closed and complete, or rejected.
    pub fn on_flow_closed(&mut self, flow: u64, actions: &mut Vec<Action>) {
        if self.flows.control == Some(flow)
            && let Some(barriers) = &mut self.barriers
        {
            // The connection must not outlive its control flow by waiting for other flows.
            let passed = barriers.give_up();
            self.take_passed(passed, actions);
        }
        let group = self.flows.is_group(flow);
        self.flows.receiving.retain(|(id, _)| *id != flow);
        if self.flows.control == Some(flow) {
            // RFC 7425 §5.3.6.
            self.end(CloseReason::Client, actions);
        } else if group && !matches!(self.phase, Phase::Closed) {
            actions.push(Action::GroupFlowClosed { flow });
        }
    }

    /// The client has rejected the sending flow of `stream`.
    pub fn on_flow_exception(&mut self, stream: u32, actions: &mut Vec<Action>) {
        if stream == CONTROL_STREAM {
            // RFC 7425 §5.3: an exception on a control flow closes the connection.
            self.end(CloseReason::ClientAbrupt, actions);
        } else {
            // RFC 7425 §5.3.5.3: no new flow SHOULD take its place.
            self.streams.sending_rejected(stream);
        }
    }

    /// Makes sure that there is a sending flow for `stream`. Returns false if there can be none.
    pub(super) fn open_sending_flow(&mut self, stream: u32, actions: &mut Vec<Action>) -> bool {
        let Some(return_of) = self.flows.control else { return false };
        let (usable, fresh) = if stream == CONTROL_STREAM {
            (true, !std::mem::replace(&mut self.flows.control_sending, true))
        } else {
            self.streams.open_sending(stream)
        };
        if fresh {
            // RFC 7425 §5.3.2, §5.3.5.2: all flows of the server are in return to the client's control flow.
            actions.push(Action::OpenFlow { stream, return_of, metadata: FlowKind::stream(stream).metadata() });
        }
        usable
    }
}

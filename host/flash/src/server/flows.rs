//! The flows of a connection: which the client may open, and which the server has.

use smallvec::SmallVec;

use super::super::metadata::FlowKind;
use super::connect::Phase;
use super::{Action, CONTROL_STREAM, CloseReason, NetConnection};

/// What to do with a new flow of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Receive it.
    Accept(FlowKind),
    /// Reject it with exception code 0 (RFC 7425 §5.3.5.3). The connection goes on.
    Reject(RejectReason),
}

/// Why a flow is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// Metadata of no known kind (RFC 7425 §5.1.1).
    #[error("unknown flow metadata")]
    UnknownMetadata,
    /// A kind that only peers use with each other: NetGroup messages, and streams without a return association
    /// (RFC 7425 §5.4).
    #[error("flow for a peer, not for a server")]
    PeerToPeer,
    /// Only the control flow may come before the connection is established.
    #[error("flow before the connection is established")]
    NotConnected,
    /// There is a control flow already, and this one is not associated with the server's.
    #[error("second control flow")]
    SecondControlFlow,
    /// A stream that the client has not created.
    #[error("flow for a stream that was not created")]
    UnknownStream,
    /// More than [`Settings::max_flows`](super::Settings::max_flows).
    #[error("too many flows")]
    TooMany,
}

/// The flows that are open. Few and short-lived: a list beats a map.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// The client's control flow, to which all of the server's are associated.
    control: Option<u64>,
    /// All receiving flows, the control flow among them: most clients never open another.
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
    /// The client opens a flow. `return_of` is the server's sending flow that it is associated to in return, which the
    /// engine has checked to exist.
    pub fn on_flow(&mut self, flow: u64, metadata: &[u8], return_of: Option<u64>) -> Verdict {
        match self.admit(metadata, return_of.is_some()) {
            Ok(kind) => {
                if self.flows.control.is_none() {
                    self.flows.control = Some(flow);
                }
                self.flows.receiving.retain(|(id, _)| *id != flow);
                self.flows.receiving.push((flow, kind));
                Verdict::Accept(kind)
            }
            Err(reason) => Verdict::Reject(reason),
        }
    }

    fn admit(&self, metadata: &[u8], associated: bool) -> Result<FlowKind, RejectReason> {
        let kind = FlowKind::classify(metadata).ok_or(RejectReason::UnknownMetadata)?;
        if self.flows.receiving.len() >= self.settings.max_flows {
            return Err(RejectReason::TooMany);
        }
        match kind {
            FlowKind::GroupPeer(_) => return Err(RejectReason::PeerToPeer),
            // RFC 7425 §5.3.1: the first flow, of stream 0 and associated to none, is the control flow.
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
            // The connection is not to outlive it by waiting for others.
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

    /// Makes sure that there is a sending flow for `stream`. False if there can be none.
    pub(super) fn open_sending_flow(&mut self, stream: u32, actions: &mut Vec<Action>) -> bool {
        let Some(return_of) = self.flows.control else { return false };
        let (usable, fresh) = if stream == CONTROL_STREAM {
            (true, !std::mem::replace(&mut self.flows.control_sending, true))
        } else {
            self.streams.open_sending(stream)
        };
        if fresh {
            // RFC 7425 §5.3.2, §5.3.5.2: all of the server's flows are associated to the client's control flow.
            actions.push(Action::OpenFlow { stream, return_of, metadata: FlowKind::stream(stream).metadata() });
        }
        usable
    }
}

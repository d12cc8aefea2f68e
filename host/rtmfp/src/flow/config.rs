//! The limits of a session's flows.

use crate::congestion;
use crate::congestion::Controller;
use crate::datagram_size::DEFAULT_MAX_DATAGRAM;

/// Session id, sequence number, padding, HMAC and packet header take less than this.
const PACKET_OVERHEAD: usize = 92;

/// What every session of an endpoint uses; shared, never changed.
///
/// Every bound on memory is here: no far end can make a session hold more than these allow.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Receiving flows at a time; a flow beyond it is not answered until another ends. Default 64.
    pub max_receiving: usize,
    /// Ended receiving flows remembered for 120 s, so that stragglers do not open them again (RFC 7016 §3.6.3.8). When more
    /// end in that time, the oldest is forgotten. Default 256.
    pub max_lingering: usize,
    /// Sending flows at a time. Default 256.
    pub max_sending: usize,
    /// Bytes a receiving flow buffers besides a message in progress, and advertises when empty (§3.6.3.5). Default 1 MiB.
    pub receive_buffer: usize,
    /// Bytes all receiving flows of a session buffer. A message in progress may exceed it by [`Self::max_message`]; a flow
    /// that goes further is rejected. Default 4 MiB.
    pub session_receive_buffer: usize,
    /// The longest message, in bytes, that is put together; a longer one rejects its flow. Also the longest that can be
    /// sent. Default 4 MiB.
    pub max_message: usize,
    /// Separate ranges of received sequence numbers kept per receiving flow; a fragment that would make one more is not
    /// accepted. Default 256.
    pub max_ranges: usize,
    /// Bytes that may be queued in a sending flow (a single message may be longer when nothing else is queued). Default 1 MiB.
    pub send_buffer: usize,
    /// Bytes that may be queued in all sending flows of a session. Default 4 MiB.
    pub session_send_buffer: usize,
    /// Fragments of a sending flow between its first unacknowledged one and its last. Default 8192.
    pub max_fragments: usize,
    /// The most bytes for chunks that a packet is taken to offer: fragments are cut so that each fits a packet of its own, with its flow's
    /// startup options (§3.6.2.2). They are shorter while the session's packets are. Default 1100, as [`Self::payload_of`] gives it.
    pub packet_payload: usize,
    /// Makes the congestion controller of a session (§3.5.2).
    pub congestion: fn() -> Box<dyn Controller>,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            max_receiving: 64,
            max_lingering: 256,
            max_sending: 256,
            receive_buffer: 1 << 20,
            session_receive_buffer: 4 << 20,
            max_message: 4 << 20,
            max_ranges: 256,
            send_buffer: 1 << 20,
            session_send_buffer: 4 << 20,
            max_fragments: 8192,
            packet_payload: Self::payload_of(DEFAULT_MAX_DATAGRAM),
            congestion: congestion::TcpCompatible::boxed,
        }
    }
}

impl FlowConfig {
    /// What a datagram of this many bytes offers for chunks, whatever the session has agreed on about HMACs and sequence numbers.
    pub fn payload_of(max_datagram: usize) -> usize {
        max_datagram.saturating_sub(PACKET_OVERHEAD)
    }

    /// The longest metadata [`super::Flows::open`] takes, in bytes: it travels with data in one packet, and is not to exceed 512
    /// (§2.3.11.1.1).
    pub fn max_metadata(&self) -> usize {
        (self.packet_payload / 2).min(512)
    }
}

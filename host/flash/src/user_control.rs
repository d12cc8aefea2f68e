//! User control messages: events about streams and the connection (RTMP §7.1.7; RFC 7425 §5.2, §5.3.4).

use rtmfp::wire::{Malformed, take};

use crate::message::{header, kind};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum UserControl {
    /// The sender begins a stream.
    StreamBegin { stream: u32 },
    /// The sender has sent all media of a stream.
    StreamEof { stream: u32 },
    /// The client says how much of a stream it buffers.
    SetBufferLength {
        stream: u32,
        /// Milliseconds.
        milliseconds: u32,
    },
    /// The sender asks for a [`UserControl::PingResponse`].
    PingRequest {
        /// The sender's time in milliseconds, which the response repeats.
        timestamp: u32,
    },
    /// The answer to a [`UserControl::PingRequest`].
    PingResponse {
        /// The time in the request.
        timestamp: u32,
    },
    /// A barrier across flows (RFC 7425 §5.2).
    FlowSync {
        /// The number of the barrier.
        sync: u32,
        /// How many flows meet at the barrier, at least 1.
        count: u32,
    },
    /// Advice on keepalive periods (RFC 7425 §5.3.4).
    SetKeepaliveTimers {
        /// Milliseconds, for the session with the server.
        server: u32,
        /// Milliseconds, for sessions with peers.
        peer: u32,
    },
    /// An event of another type.
    Other {
        /// The event type.
        event: u16,
        /// The bytes after the event type.
        data: Vec<u8>,
    },
}

const STREAM_BEGIN: u16 = 0;
const STREAM_EOF: u16 = 1;
const SET_BUFFER_LENGTH: u16 = 3;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;
const FLOW_SYNC: u16 = 34;
const SET_KEEPALIVE_TIMERS: u16 = 41;

/// The shortest keepalive period that a client must accept, in milliseconds (RFC 7425 §5.3.4).
pub const MIN_KEEPALIVE_MS: u32 = 5_000;

impl UserControl {
    /// Reads the payload of a message of type 4.
    pub fn read(mut input: &[u8]) -> Result<Self, Malformed> {
        let input = &mut input;
        Ok(match take::u16(input)? {
            STREAM_BEGIN => Self::StreamBegin { stream: take::u32(input)? },
            STREAM_EOF => Self::StreamEof { stream: take::u32(input)? },
            SET_BUFFER_LENGTH => Self::SetBufferLength { stream: take::u32(input)?, milliseconds: take::u32(input)? },
            PING_REQUEST => Self::PingRequest { timestamp: take::u32(input)? },
            PING_RESPONSE => Self::PingResponse { timestamp: take::u32(input)? },
            FLOW_SYNC => match (take::u32(input)?, take::u32(input)?) {
                // RFC 7425 §5.2: count MUST be at least 1.
                (_, 0) => return Err(Malformed("flow synchronization: of no flows")),
                (sync, count) => Self::FlowSync { sync, count },
            },
            SET_KEEPALIVE_TIMERS => Self::SetKeepaliveTimers { server: take::u32(input)?, peer: take::u32(input)? },
            event => Self::Other { event, data: input.to_vec() },
        })
    }

    /// The whole message with its header, with timestamp 0.
    pub fn to_message(&self) -> Vec<u8> {
        let (event, words) = match *self {
            Self::StreamBegin { stream } => (STREAM_BEGIN, vec![stream]),
            Self::StreamEof { stream } => (STREAM_EOF, vec![stream]),
            Self::SetBufferLength { stream, milliseconds } => (SET_BUFFER_LENGTH, vec![stream, milliseconds]),
            Self::PingRequest { timestamp } => (PING_REQUEST, vec![timestamp]),
            Self::PingResponse { timestamp } => (PING_RESPONSE, vec![timestamp]),
            Self::FlowSync { sync, count } => (FLOW_SYNC, vec![sync, count]),
            Self::SetKeepaliveTimers { server, peer } => (SET_KEEPALIVE_TIMERS, vec![server, peer]),
            Self::Other { event, .. } => (event, Vec::new()),
        };
        let mut message = header(kind::USER_CONTROL, 0);
        message.extend_from_slice(&event.to_be_bytes());
        for word in words {
            message.extend_from_slice(&word.to_be_bytes());
        }
        if let Self::Other { data, .. } = self {
            message.extend_from_slice(data);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HEADER_LEN;

    #[test]
    fn every_event_both_ways_and_truncated() {
        for event in [
            UserControl::StreamBegin { stream: 1 },
            UserControl::StreamEof { stream: 2 },
            UserControl::SetBufferLength { stream: 1, milliseconds: 3000 },
            UserControl::PingRequest { timestamp: 77 },
            UserControl::PingResponse { timestamp: 77 },
            UserControl::FlowSync { sync: 8, count: 2 },
            UserControl::SetKeepaliveTimers { server: 15_000, peer: 10_000 },
        ] {
            let message = event.to_message();
            assert_eq!(message[..HEADER_LEN], [4, 0, 0, 0, 0]);
            let payload = &message[HEADER_LEN..];
            assert_eq!(UserControl::read(payload), Ok(event));
            for end in 0..payload.len() {
                assert!(UserControl::read(&payload[..end]).is_err());
            }
        }
        let other = UserControl::Other { event: 32, data: vec![1, 2] };
        assert_eq!(UserControl::read(&other.to_message()[HEADER_LEN..]), Ok(other));
    }

    #[test]
    fn recorded_keepalive_message() {
        // librtmfp-connect.json, from the server.
        let bytes = [4, 0, 0, 0, 0, 0, 0x29, 0, 0, 0x3a, 0x98, 0, 0, 0x27, 0x10];
        let event = UserControl::SetKeepaliveTimers { server: 15_000, peer: 10_000 };
        assert_eq!(UserControl::read(&bytes[HEADER_LEN..]), Ok(event.clone()));
        assert_eq!(event.to_message(), bytes);
    }

    #[test]
    fn a_barrier_of_no_flows_is_malformed() {
        assert!(UserControl::read(&[0, 34, 0, 0, 0, 1, 0, 0, 0, 0]).is_err());
    }
}

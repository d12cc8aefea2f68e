//! Packet fragments, buffer probes and flow exceptions (RFC 7016 §2.3.1, §2.3.15, §2.3.16).

use super::kind;
use crate::wire::malformed::Malformed;
use crate::wire::packet::put_chunk;
use crate::wire::{take, vlu};

/// A segment of a plain packet that is larger than the path's MTU (§2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFragment<'a> {
    /// Further segments follow this one.
    pub more_fragments: bool,
    /// The same in all segments of one packet.
    pub packet_id: u64,
    /// The place of this segment, the first being 0.
    pub fragment_num: u64,
    /// The bytes of the segment: at least one.
    pub fragment: &'a [u8],
}

impl<'a> PacketFragment<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let flags = take::u8(&mut payload)?;
        let packet_id = vlu::take(&mut payload)?;
        let fragment_num = vlu::take(&mut payload)?;
        if payload.is_empty() {
            return Err(Malformed("packet fragment: empty"));
        }
        Ok(Self { more_fragments: flags & 0x80 != 0, packet_id, fragment_num, fragment: payload })
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::PACKET_FRAGMENT, out, |out| {
            out.push(if self.more_fragments { 0x80 } else { 0 });
            vlu::put(self.packet_id, out);
            vlu::put(self.fragment_num, out);
            out.extend_from_slice(self.fragment);
        })
    }
}

/// A flow's sender asks for an acknowledgement, to learn how much it may send (§2.3.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferProbe {
    /// The flow.
    pub flow_id: u64,
}

impl BufferProbe {
    /// Reads a payload.
    pub fn parse(mut payload: &[u8]) -> Result<Self, Malformed> {
        Ok(Self { flow_id: vlu::take(&mut payload)? })
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::BUFFER_PROBE, out, |out| vlu::put(self.flow_id, out))
    }
}

/// A flow's receiver wants the flow closed (§2.3.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowException {
    /// The flow.
    pub flow_id: u64,
    /// Why: 0 when the protocol itself rejects the flow, else what the application chose.
    pub exception: u64,
}

impl FlowException {
    /// Reads a payload.
    pub fn parse(mut payload: &[u8]) -> Result<Self, Malformed> {
        Ok(Self { flow_id: vlu::take(&mut payload)?, exception: vlu::take(&mut payload)? })
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::FLOW_EXCEPTION, out, |out| {
            vlu::put(self.flow_id, out);
            vlu::put(self.exception, out);
        })
    }
}

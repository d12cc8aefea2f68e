//! The kinds of flows, and the user metadata that names them (RFC 7425 §5.1.1).

use rtmfp::wire::vlu;

/// The largest RTMP stream ID: 24 bits (RFC 7425 §5.1).
pub const MAX_STREAM_ID: u32 = 0xff_ffff;

/// What a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// RTMP messages of one stream. Stream 0 is that of the NetConnection.
    Rtmp {
        /// The RTMP stream ID.
        stream: u32,
        /// The order in which the receiver should process the messages.
        order: ReceiveOrder,
    },
    /// Group control between a client and its server, with the signature `GC`. RFC 7425 does not define it; recorded traffic has it.
    GroupControl,
    /// Messages between the members of a NetGroup, with the signature `GR` and one byte for the type of the flow. RFC 7425 does not define it;
    /// recorded traffic has it.
    GroupPeer(u8),
}

/// The order in which to process a flow's messages (receive intent, RFC 7425 §5.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveOrder {
    /// The order in which they were sent.
    #[default]
    Original,
    /// The order in which they arrive, even if messages before them are missing.
    Network,
}

const RTMP_SIGNATURE: [u8; 2] = *b"TC";
const GROUP_CONTROL_SIGNATURE: [u8; 2] = *b"GC";
const GROUP_PEER_SIGNATURE: [u8; 2] = *b"GR";
const STREAM_ID_PRESENT: u8 = 0x04;
const NETWORK_ORDER: u8 = 0x01;

impl FlowKind {
    /// The kind of a flow with this metadata. `None` if the signature is unknown or the stream ID is missing: the flow should be rejected
    /// (RFC 7425 §5.1.1). Reserved bits, and bytes after the stream ID, are ignored.
    pub fn classify(metadata: &[u8]) -> Option<Self> {
        let (signature, mut rest) = metadata.split_first_chunk::<2>()?;
        match (*signature, rest) {
            (RTMP_SIGNATURE, [flags, stream @ ..]) if flags & STREAM_ID_PRESENT != 0 => {
                rest = stream;
                let stream = vlu::take(&mut rest).ok()?;
                let stream = u32::try_from(stream).ok().filter(|stream| *stream <= MAX_STREAM_ID)?;
                let order = if flags & NETWORK_ORDER != 0 { ReceiveOrder::Network } else { ReceiveOrder::Original };
                Some(Self::Rtmp { stream, order })
            }
            (GROUP_CONTROL_SIGNATURE, _) => Some(Self::GroupControl),
            (GROUP_PEER_SIGNATURE, [flow_type, ..]) => Some(Self::GroupPeer(*flow_type)),
            _ => None,
        }
    }

    /// The metadata of a flow of this kind.
    pub fn metadata(self) -> Vec<u8> {
        match self {
            Self::Rtmp { stream, order } => {
                let order = if order == ReceiveOrder::Network { NETWORK_ORDER } else { 0 };
                let [t, c] = RTMP_SIGNATURE;
                let mut metadata = vec![t, c, STREAM_ID_PRESENT | order];
                vlu::put(u64::from(stream), &mut metadata);
                metadata
            }
            Self::GroupControl => GROUP_CONTROL_SIGNATURE.to_vec(),
            Self::GroupPeer(flow_type) => [&GROUP_PEER_SIGNATURE[..], &[flow_type]].concat(),
        }
    }

    /// A flow for the messages of `stream`, in their original order.
    pub fn stream(stream: u32) -> Self {
        Self::Rtmp { stream, order: ReceiveOrder::Original }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_signatures() {
        for (metadata, kind) in [
            (&b"TC\x04\0"[..], FlowKind::stream(0)),
            (b"TC\x05\x81\x00", FlowKind::Rtmp { stream: 128, order: ReceiveOrder::Network }),
            (b"TC\x04\x87\xff\xff\x7f", FlowKind::stream(MAX_STREAM_ID)),
            (b"GC", FlowKind::GroupControl),
            (b"GR\x1c", FlowKind::GroupPeer(0x1c)),
        ] {
            assert_eq!(FlowKind::classify(metadata), Some(kind));
            assert_eq!(kind.metadata(), metadata);
        }
    }

    #[test]
    fn reserved_bits_are_ignored() {
        assert_eq!(FlowKind::classify(b"TC\xfe\x01"), Some(FlowKind::stream(1)));
    }

    #[test]
    fn others_are_rejected() {
        for metadata in
            [&b""[..], b"T", b"TC", b"TC\x04", b"TC\0\0", b"TC\x04\x88\x80\x80\0", b"TC\x04\xff", b"GR", b"XY\x04\0"]
        {
            assert_eq!(FlowKind::classify(metadata), None, "{metadata:x?}");
        }
    }
}

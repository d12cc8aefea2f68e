//! What a flow carries, from its user metadata (RFC 7425 §5.1.1).

use rtmfp::wire::vlu;

/// The largest RTMP stream ID: 24 bits (RFC 7425 §5.1).
pub const MAX_STREAM_ID: u32 = 0xff_ffff;

/// What a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// RTMP messages of one stream; stream 0 is the NetConnection's.
    Rtmp {
        /// The RTMP stream ID.
        stream: u32,
        /// How the sender would like its messages to be taken.
        order: ReceiveOrder,
    },
    /// Group control between a client and its server: signature `GC`. Not in RFC 7425; seen in recorded traffic.
    GroupControl,
    /// Messages between the members of a NetGroup: signature `GR` and one byte that tells what about. Not in RFC 7425;
    /// seen in recorded traffic.
    GroupPeer(u8),
}

/// In which order a flow's messages are best taken (receive intent, RFC 7425 §5.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveOrder {
    /// As they were sent.
    #[default]
    Original,
    /// As they arrive, whatever is missing before them.
    Network,
}

const RTMP_SIGNATURE: [u8; 2] = *b"TC";
const GROUP_CONTROL_SIGNATURE: [u8; 2] = *b"GC";
const GROUP_PEER_SIGNATURE: [u8; 2] = *b"GR";
const STREAM_ID_PRESENT: u8 = 0x04;
const NETWORK_ORDER: u8 = 0x01;

impl FlowKind {
    /// What a flow with this metadata carries; `None` if the flow should be rejected: an unknown signature, or no stream ID
    /// (RFC 7425 §5.1.1). Reserved bits and what follows the stream ID are ignored.
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
            (GROUP_PEER_SIGNATURE, [about, ..]) => Some(Self::GroupPeer(*about)),
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
            Self::GroupPeer(about) => [&GROUP_PEER_SIGNATURE[..], &[about]].concat(),
        }
    }

    /// A flow for the messages of `stream`, to be taken in their original order.
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

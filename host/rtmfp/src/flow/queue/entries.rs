//! What stands in a queue: messages, and the fragments that they have been cut into.

use crate::flow::event::MessageId;
use crate::flow::options::Delivery;
use crate::wire::chunk::FragmentControl;

/// What a queued message is counted as, besides its bytes.
pub(in crate::flow) const MESSAGE_OVERHEAD: usize = 64;

#[derive(Debug)]
pub(super) struct Message {
    pub(super) data: Vec<u8>,
    pub(super) delivery: Delivery,
    /// How many bytes fragments have been made of.
    pub(super) cut: u32,
    /// Fragments not acknowledged or discarded.
    pub(super) live: u32,
    pub(super) abandoned: bool,
}

/// Where a fragment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Never sent, or lost.
    Here,
    /// Outstanding in the network: with what TSN, in how many bytes (TRANSMIT_SIZE), and whether as abandoned.
    InFlight { tsn: u64, size: u32, as_abandoned: bool },
    /// Acknowledged, and so is everything up to this sequence number.
    Acknowledged { until: u64 },
}

#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) place: Place,
    pub(super) message: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) control: FragmentControl,
    pub(super) abandoned: bool,
    pub(super) ever_sent: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Outcome {
    Delivered(MessageId),
    Dropped(MessageId),
}

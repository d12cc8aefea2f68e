//! What the clients of an instance did, as the instance's policy may read it.

/// The counts behind `application.getStats()`, since the instance was made. Bytes are those of messages, without what the protocol adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceTotals {
    /// `total_connects`: clients that were accepted.
    pub connects: u64,
    /// `total_disconnects`: accepted clients that are gone.
    pub disconnects: u64,
    /// `msg_in`: messages received.
    pub messages_in: u64,
    /// `msg_out`: messages sent.
    pub messages_out: u64,
    /// `msg_dropped`: messages given up.
    pub messages_dropped: u64,
    /// `bytes_in`: bytes received.
    pub bytes_in: u64,
    /// `bytes_out`: bytes sent.
    pub bytes_out: u64,
}

/// Counts what the clients of one instance do. Any thread may ask, and none waits.
pub trait Totals: Send + Sync {
    /// The present counts.
    fn totals(&self) -> InstanceTotals;
}

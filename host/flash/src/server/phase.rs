//! The phase of a connection.

/// The phase of a connection.
#[derive(Debug)]
pub(super) enum Phase {
    /// The client has not sent `connect`.
    New,
    /// The owner has not answered `connect`.
    Pending {
        transaction: f64,
        object_encoding: u8,
    },
    Connected,
    Closed,
}

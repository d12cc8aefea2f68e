//! What the relay's thread is told to do.

use std::sync::mpsc;

/// What the thread is to do from now on.
pub(super) enum Order {
    /// Pass datagrams on.
    Serve,
    /// Touch no socket, as from the start.
    Wait,
    /// Touch no socket, and say so: another process may have the sockets from then on.
    StandStill(mpsc::Sender<()>),
    /// End.
    End,
}

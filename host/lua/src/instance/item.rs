//! An event on its way to the script.

use std::sync::Arc;

use introd_flash::server::{Call, Publication};
use introd_policy::message::{AppEvent, ClientId, ClientInfo};
use introd_policy::net_connection::ConnectionEvent;

/// An event that an inbox has taken. What waits for an answer is an open request from then on, and has its number.
#[derive(Debug)]
pub(crate) enum InboxItem {
    Connect {
        number: u64,
        client: ClientId,
        info: Arc<ClientInfo>,
    },
    Lookup {
        number: u64,
    },
    Call {
        number: Option<u64>,
        client: ClientId,
        call: Call,
    },
    /// A client wants to publish a stream.
    Publish {
        number: u64,
        client: ClientId,
        publication: Publication,
    },
    /// The script has accepted or rejected a client, and is to be told so in the order of the client's events.
    Decided {
        is_accepted: bool,
    },
    /// Something has happened on a NetConnection of the script.
    Connection {
        number: u64,
        event: ConnectionEvent,
    },
    Event(AppEvent),
}

/// Whether an event has to wait until `onAppStart` has ended: what `onAppStart` itself may be waiting for does not, nor what ends the script.
pub(crate) fn waits_for_start(item: &InboxItem) -> bool {
    match item {
        InboxItem::Connection { .. } => false,
        InboxItem::Event(event) => {
            !matches!(event, AppEvent::Answer { .. } | AppEvent::Stats { .. } | AppEvent::Reload | AppEvent::Stop)
        }
        _ => true,
    }
}

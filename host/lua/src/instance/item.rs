//! An event on its way to the script.

use introd_flash::server::Call;
use introd_policy::message::{AppEvent, ClientId, ClientInfo};

/// An event that was taken. What waits for an answer is a pending request since then, and has its number.
#[derive(Debug)]
pub(crate) enum InboxItem {
    Connect { number: u64, client: ClientId, info: Box<ClientInfo> },
    Lookup { number: u64 },
    Call { number: Option<u64>, client: ClientId, call: Call },
    Event(AppEvent),
}

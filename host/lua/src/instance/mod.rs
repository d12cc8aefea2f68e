//! What an application instance has besides its script, and keeps when the script is loaded anew: its clients, the requests that
//! wait for an answer, and what its script has logged.

pub(crate) mod item;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod open_requests;
pub(crate) mod outbox;
pub(crate) mod roster;
pub(crate) mod world;

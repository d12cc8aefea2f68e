//! Entries that other servers have published.

use std::cmp::Ordering;
use std::sync::Arc;

use introd_plugin::Address;

use crate::claim::Claim;
use crate::entry::{Entry, Epoch};

/// An entry of another server. It is valid while that server lives in the same epoch.
#[derive(Clone, Debug)]
pub(crate) struct RemoteEntry {
    pub(crate) server: Arc<[u8]>,
    pub(crate) epoch: Epoch,
    pub(crate) claim: Claim,
    pub(crate) addresses: Arc<[Address]>,
}

impl From<Entry> for RemoteEntry {
    fn from(entry: Entry) -> Self {
        let Entry { epoch, claim, server, addresses } = entry;
        Self { server: server.into(), epoch, claim, addresses: addresses.into() }
    }
}

/// The entries about a peer in a value of Redis, without those of the epoch `own`. The entry that takes precedence comes first.
pub(crate) fn remote_entries(bytes: &[u8], own: Epoch) -> Box<[RemoteEntry]> {
    let mut entries: Vec<RemoteEntry> =
        Entry::decode_all(bytes).into_iter().filter(|entry| entry.epoch != own).map(RemoteEntry::from).collect();
    entries.sort_by(|one, other| {
        if one.claim.precedes(&other.claim) {
            Ordering::Less
        } else if other.claim.precedes(&one.claim) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    });
    entries.into()
}

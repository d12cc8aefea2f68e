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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_other_servers_come_in_the_order_in_which_they_count() {
        let entry = |epoch: u8, is_silent, since| {
            let claim = Claim { is_proven: false, is_silent, since };
            Entry::encode(Epoch([epoch; 8]), claim, "a", &crate::entry::encode_addresses(&[]))
        };
        let mut value = vec![2];
        for entry in [entry(1, true, 1), entry(2, false, 9), entry(3, false, 1), entry(4, false, 5)] {
            value.extend((entry.len() as u16).to_be_bytes());
            value.extend(entry);
        }
        let epochs =
            |own| remote_entries(&value, Epoch([own; 8])).iter().map(|entry| entry.epoch.0[0]).collect::<Vec<_>>();
        assert_eq!(epochs(9), [3, 4, 2, 1]);
        assert_eq!(epochs(3), [4, 2, 1], "without its own");
        assert!(remote_entries(&entry(5, false, 1), Epoch([5; 8])).is_empty());
    }
}

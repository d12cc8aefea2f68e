//! The calls that tell a plugin of something that has happened.

use std::net::SocketAddr;

use introd_plugin::abi;
use rtmfp::{PeerId, SessionId};

use super::PluginInstance;
use crate::account::Callback;
use crate::events::{self, InstancePath};
use crate::groups::{self, GroupChange};
use crate::values::error_name;
use introd_policy::Verdict;

impl PluginInstance {
    /// Tells the plugin that a client is gone.
    pub fn disconnect(&self, session: SessionId, peer: PeerId, place: InstancePath<'_>, reason: &str) {
        let Some(disconnect) = self.table.disconnect else { return };
        events::disconnect(session, peer, place, reason, |raw| {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            self.notify(Callback::Disconnect, || unsafe { disconnect(self.made, raw) });
        });
    }

    /// Tells the plugin that a client's addresses have changed: where its packets come from, or what it reports.
    pub fn addresses_changed(
        &self,
        session: SessionId,
        peer: PeerId,
        place: InstancePath<'_>,
        far_address: SocketAddr,
        reported: Option<&[SocketAddr]>,
    ) {
        let Some(changed) = self.table.addresses_changed else { return };
        events::address_change(session, peer, place, far_address, reported, |raw| {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            self.notify(Callback::AddressesChanged, || unsafe { changed(self.made, raw) });
        });
    }

    /// Whether the plugin takes part in the bootstrap of groups.
    pub fn takes_part_in_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// Asks the plugin about a client that has joined a group: [`Verdict::Handled`] if it has named all members that are to be named.
    pub fn group_join(&self, change: &GroupChange<'_>) -> Verdict {
        let Some(join) = self.groups.and_then(|table| table.join) else { return Verdict::Continue };
        groups::during(change, |raw| {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            match self.notify(Callback::Join, || unsafe { join(self.made, raw) }) {
                abi::INTROD_HANDLED => Verdict::Handled,
                status if status < 0 => Verdict::Failed(error_name(status).to_owned()),
                _ => Verdict::Continue,
            }
        })
    }

    /// Tells the plugin that a client has left a group.
    pub fn group_leave(&self, change: &GroupChange<'_>) {
        let Some(leave) = self.groups.and_then(|table| table.leave) else { return };
        groups::during(change, |raw| {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            self.notify(Callback::Leave, || unsafe { leave(self.made, raw) });
        });
    }
}

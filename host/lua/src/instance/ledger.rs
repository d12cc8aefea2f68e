//! Which clients an instance has, where other threads can read it: when a thread stands still and is replaced, its successor starts
//! from this.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use introd_policy::KnownClient;
use introd_policy::message::{AppEvent, ClientId, ClientInfo};

/// The clients of an instance.
#[derive(Default)]
pub(crate) struct Ledger {
    clients: Mutex<HashMap<ClientId, KeptClient>>,
}

/// What is kept of a client.
#[derive(Clone)]
pub(crate) struct KeptClient {
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) far_address: SocketAddr,
    pub(crate) reported: Vec<SocketAddr>,
    pub(crate) groups: Vec<(u64, [u8; 32])>,
    pub(crate) is_accepted: bool,
}

impl KeptClient {
    /// A client that has just asked to connect.
    pub(crate) fn of(info: &Arc<ClientInfo>) -> Self {
        Self {
            info: Arc::clone(info),
            far_address: info.far_address,
            reported: Vec::new(),
            groups: Vec::new(),
            is_accepted: false,
        }
    }
}

impl Ledger {
    fn clients(&self) -> MutexGuard<'_, HashMap<ClientId, KeptClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, client: ClientId, kept: KeptClient) {
        self.clients().insert(client, kept);
    }

    pub(crate) fn remove(&self, client: ClientId) {
        self.clients().remove(&client);
    }

    pub(crate) fn change(&self, client: ClientId, change: impl FnOnce(&mut KeptClient)) {
        if let Some(kept) = self.clients().get_mut(&client) {
            change(kept);
        }
    }

    pub(crate) fn get(&self, client: ClientId) -> Option<KeptClient> {
        self.clients().get(&client).cloned()
    }

    /// All clients, in the order of their sessions.
    pub(crate) fn all(&self) -> Vec<(ClientId, KeptClient)> {
        let mut all: Vec<_> = self.clients().iter().map(|(client, kept)| (*client, kept.clone())).collect();
        all.sort_by_key(|(client, _)| *client);
        all
    }

    /// The accepted clients, for another process.
    pub(crate) fn known(&self) -> Vec<KnownClient> {
        let accepted = self.all().into_iter().filter(|(_, kept)| kept.is_accepted);
        let known = |(client, kept): (ClientId, KeptClient)| KnownClient {
            client,
            info: kept.info,
            far_address: kept.far_address,
            reported: kept.reported,
            groups: kept.groups,
            open: Vec::new(),
        };
        accepted.map(known).collect()
    }

    /// Enters clients that another process has accepted.
    pub(crate) fn take_over(&self, clients: Vec<KnownClient>) {
        for KnownClient { client, info, far_address, reported, groups, .. } in clients {
            self.insert(client, KeptClient { info, far_address, reported, groups, is_accepted: true });
        }
    }

    /// Notes what an event changes.
    pub(crate) fn note(&self, event: &AppEvent) {
        match event {
            AppEvent::Connect { client, info, .. } => {
                self.insert(*client, KeptClient::of(info));
            }
            AppEvent::Accepted { client } => self.change(*client, |kept| kept.is_accepted = true),
            AppEvent::Disconnect { client } => self.remove(*client),
            AppEvent::FarAddressChange { client, address } => self.change(*client, |kept| kept.far_address = *address),
            AppEvent::ReportedAddressesChange { client, addresses } => {
                self.change(*client, |kept| kept.reported.clone_from(addresses));
            }
            AppEvent::GroupJoin { client, membership, groupspec_digest } => {
                self.change(*client, |kept| kept.groups.push((*membership, *groupspec_digest)));
            }
            AppEvent::GroupLeave { client, membership, .. } => {
                self.change(*client, |kept| kept.groups.retain(|(other, _)| other != membership));
            }
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use introd_policy::RequestId;

    use super::*;

    #[test]
    fn a_ledger_notes_what_a_successor_has_to_know_of_each_client() {
        let (ledger, (client, info)) = (Ledger::default(), crate::tests::a_client());
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let state = |ledger: &Ledger| {
            let kept = ledger.get(client).unwrap();
            (kept.is_accepted, kept.far_address, kept.reported, kept.groups)
        };
        let request = RequestId::from_number(1);
        // Nothing is known of it before.
        ledger.note(&AppEvent::Accepted { client });
        assert!(ledger.all().is_empty());
        ledger.note(&AppEvent::Connect { request, client, info: Arc::new(info.clone()) });
        assert_eq!(state(&ledger), (false, info.far_address, vec![], vec![]));
        ledger.note(&AppEvent::Accepted { client });
        ledger.note(&AppEvent::FarAddressChange { client, address: at("192.0.2.1:1") });
        ledger.note(&AppEvent::ReportedAddressesChange { client, addresses: vec![at("10.0.0.1:1")] });
        for membership in [1, 2] {
            ledger.note(&AppEvent::GroupJoin { client, membership, groupspec_digest: [7; 32] });
        }
        ledger.note(&AppEvent::GroupLeave { client, membership: 1, groupspec_digest: [7; 32] });
        assert_eq!(state(&ledger), (true, at("192.0.2.1:1"), vec![at("10.0.0.1:1")], vec![(2, [7; 32])]));
        ledger.note(&AppEvent::Disconnect { client });
        assert!(ledger.all().is_empty());
    }
}

//! Which clients an instance has, where other threads can read it: when a thread stands still and is replaced, its successor starts
//! from this.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// Notes what an event changes.
    pub(crate) fn note(&self, event: &AppEvent) {
        match event {
            AppEvent::Connect { client, info, .. } => {
                self.insert(*client, KeptClient::of(&Arc::new(ClientInfo::clone(info))));
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

//! Which clients an instance has and what its scripts have published of them, where other threads can read it: when a thread stands still
//! and is replaced, its successor starts from this, and so does another process.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use introd_flash::server::Publication;
use introd_policy::message::{AppEvent, ClientId, ClientInfo};
use introd_policy::{FormerInstance, KnownClient};

use super::item::InboxItem;
use super::published_members::PublishedSet;

/// The clients of an instance.
#[derive(Default)]
pub(crate) struct Ledger {
    clients: Mutex<HashMap<ClientId, KeptClient>>,
    /// The members of groups that the scripts have published.
    pub(crate) published: Arc<PublishedSet>,
}

/// What is kept of a client.
#[derive(Clone)]
pub(crate) struct KeptClient {
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) far_address: SocketAddr,
    pub(crate) reported: Vec<SocketAddr>,
    pub(crate) groups: Vec<(u64, [u8; 32])>,
    /// What it publishes to the server, as a script has allowed.
    pub(crate) publications: Vec<Publication>,
    pub(crate) is_accepted: bool,
    /// Whether a script was told of it, so that a script is to be told when it is gone.
    pub(crate) is_told: bool,
}

impl KeptClient {
    /// A client that has just asked to connect.
    fn of(info: &Arc<ClientInfo>) -> Self {
        Self {
            info: Arc::clone(info),
            far_address: info.far_address,
            reported: Vec::new(),
            groups: Vec::new(),
            publications: Vec::new(),
            is_accepted: false,
            is_told: false,
        }
    }
}

impl Ledger {
    fn clients(&self) -> MutexGuard<'_, HashMap<ClientId, KeptClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, client: ClientId, kept: KeptClient) {
        self.clients().insert(client, kept);
    }

    /// A client asks to connect. Gives back whether a script was told of it before: one of another process may have been asked about it.
    pub(crate) fn connects(&self, client: ClientId, info: &Arc<ClientInfo>) -> bool {
        let mut clients = self.clients();
        let is_told = clients.get(&client).is_some_and(|before| before.is_told);
        clients.insert(client, KeptClient { is_told, ..KeptClient::of(info) });
        is_told
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

    /// The clients that the script of another process has to know: those that are accepted, and those of whose end a script is yet to be told.
    /// `waiting`: what has happened to clients, and the script has yet to look at.
    pub(crate) fn known<'a>(&self, waiting: impl Iterator<Item = &'a InboxItem>) -> Vec<KnownClient> {
        let soon = Self { clients: Mutex::new(self.clients().clone()), ..Self::default() };
        for item in waiting {
            match item {
                InboxItem::Connect { client, info, .. } => drop(soon.connects(*client, info)),
                InboxItem::Event(event) => soon.note(event),
                _ => (),
            }
        }
        let known = |(client, kept): (ClientId, KeptClient)| KnownClient {
            client,
            is_accepted: kept.is_accepted,
            info: kept.info,
            far_address: kept.far_address,
            reported: kept.reported,
            groups: kept.groups,
            publications: kept.publications,
            open: Vec::new(),
        };
        soon.all().into_iter().filter(|(_, kept)| kept.is_accepted || kept.is_told).map(known).collect()
    }

    /// Enters what the instance had in another process.
    pub(crate) fn take_over(&self, former: FormerInstance) {
        let memberships =
            former.clients.iter().flat_map(|known| known.groups.iter().map(|(_, digest)| (known.client, *digest)));
        self.published.take_over(former.members, &memberships.collect::<HashSet<_>>());
        for known in former.clients {
            let KnownClient { client, is_accepted, info, far_address, reported, groups, publications, .. } = known;
            let kept = KeptClient { info, far_address, reported, groups, publications, is_accepted, is_told: true };
            self.insert(client, kept);
        }
    }

    /// Notes what an event changes.
    pub(crate) fn note(&self, event: &AppEvent) {
        match event {
            AppEvent::Connect { client, info, .. } => drop(self.connects(*client, info)),
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
            AppEvent::Unpublish { client, publication } => {
                self.change(*client, |kept| kept.publications.retain(|known| known.number != publication.number));
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

    #[test]
    fn another_process_knows_whom_a_script_was_told_of_and_what_has_happened_that_the_script_has_yet_to_look_at() {
        let (ledger, (client, info)) = (Ledger::default(), crate::tests::a_client());
        let info = Arc::new(info);
        let known = |ledger: &Ledger, waiting: &[InboxItem]| {
            let known = ledger.known(waiting.iter());
            known.into_iter().map(|known| (known.is_accepted, known.groups.len())).collect::<Vec<_>>()
        };
        let connect = [InboxItem::Connect { number: 1, client, info: Arc::clone(&info) }];
        let event = |event| [InboxItem::Event(event)];
        // The new script is asked about it, and this one was not.
        assert_eq!(known(&ledger, &connect), []);
        assert!(!ledger.connects(client, &info));
        assert_eq!(known(&ledger, &[]), []);
        ledger.change(client, |kept| kept.is_told = true);
        assert_eq!(known(&ledger, &[]), [(false, 0)]);
        assert!(ledger.connects(client, &info), "it connects anew");
        assert_eq!(known(&ledger, &connect), [(false, 0)]);
        assert_eq!(known(&ledger, &event(AppEvent::Accepted { client })), [(true, 0)]);
        let joined = AppEvent::GroupJoin { client, membership: 1, groupspec_digest: [7; 32] };
        assert_eq!(known(&ledger, &event(joined)), [(false, 1)]);
        assert_eq!(known(&ledger, &event(AppEvent::Disconnect { client })), []);
        // The new process knows what this one knew.
        let next = Ledger::default();
        next.take_over(FormerInstance { clients: ledger.known([].iter()), members: Vec::new() });
        assert_eq!(known(&next, &[]), [(false, 0)]);
        assert_eq!(ledger.all().len(), 1, "what waits is noted when the script looks at it");
    }
}

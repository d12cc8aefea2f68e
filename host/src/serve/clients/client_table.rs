//! The places of clients in a worker.

use rtmfp::SessionId;

use super::client::Client;

/// The clients of one worker, each at the place of its session: no key is hashed, and a place without a client takes eight bytes.
///
/// Sessions of one place follow each other, and the end of one is handled before the next begins.
#[derive(Default)]
pub(super) struct ClientTable {
    /// By the slots of their sessions.
    places: Vec<Option<Box<Client>>>,
    count: usize,
}

impl ClientTable {
    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn get(&self, session: &SessionId) -> Option<&Client> {
        self.places.get(session.slot())?.as_deref().filter(|client| client.session() == *session)
    }

    pub(super) fn get_mut(&mut self, session: &SessionId) -> Option<&mut Client> {
        self.places.get_mut(session.slot())?.as_deref_mut().filter(|client| client.session() == *session)
    }

    pub(super) fn contains_key(&self, session: &SessionId) -> bool {
        self.get(session).is_some()
    }

    /// Puts a client at the place of its session.
    pub(super) fn insert(&mut self, client: Box<Client>) {
        let slot = client.session().slot();
        if self.places.len() <= slot {
            self.places.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.places.get_mut(slot) {
            self.count += usize::from(place.replace(client).is_none());
        }
    }

    /// The client of a session, which is made if there is none.
    pub(super) fn get_or_insert_with(
        &mut self,
        session: SessionId,
        make: impl FnOnce() -> Box<Client>,
    ) -> Option<&mut Client> {
        if !self.contains_key(&session) {
            self.insert(make());
        }
        self.get_mut(&session)
    }

    /// Takes a client out. Places at the end that are free then are given up, and their memory too if there are far more than are needed.
    pub(super) fn remove(&mut self, session: &SessionId) -> Option<Box<Client>> {
        self.get(session)?;
        let client = self.places.get_mut(session.slot())?.take()?;
        self.count -= 1;
        if self.places.last().is_some_and(Option::is_none) {
            let used = self.places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            self.places.truncate(used);
            if self.places.capacity() > SPARE * self.places.len() + SMALL {
                self.places.shrink_to(2 * self.places.len());
            }
        }
        Some(client)
    }

    /// The sessions that have a client.
    pub(super) fn keys(&self) -> impl Iterator<Item = SessionId> {
        self.iter().map(|(session, _)| session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Client)> {
        self.places.iter().flatten().map(|client| (client.session(), &**client))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.places.iter_mut().flatten().map(|client| &mut **client)
    }
}

/// The table shrinks when it has more than this many times as many places as it uses,
const SPARE: usize = 8;
/// and so many besides.
const SMALL: usize = 1024;

#[cfg(test)]
impl std::ops::Index<&SessionId> for ClientTable {
    type Output = Client;

    fn index(&self, session: &SessionId) -> &Client {
        self.get(session).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    fn client(slot: u32, generation: u32) -> Box<Client> {
        let session = SessionId::from_wire(generation << 22 | slot);
        Box::new(Client::new(session, &Arc::default(), Instant::now()))
    }

    #[test]
    fn clients_are_found_by_their_own_session_alone() {
        let mut table = ClientTable::default();
        let (first, second) = (client(3, 1), client(3, 2));
        let [old, new] = [&first, &second].map(|client| client.session());
        table.insert(first);
        assert!(table.get(&old).is_some() && table.get(&new).is_none() && table.remove(&new).is_none());
        assert!(table.get(&SessionId::from_wire(1 << 22 | 2)).is_none(), "a free place");
        assert!(table.get(&SessionId::from_wire(1 << 22 | 9)).is_none(), "no place");
        assert_eq!((table.len(), table.remove(&old).is_some(), table.len()), (1, true, 0));
        table.insert(second);
        assert!(table.get_mut(&new).is_some() && table.get(&old).is_none());
        assert_eq!(table.keys().collect::<Vec<_>>(), [new]);
        table.get_or_insert_with(new, || panic!("it is there"));
    }

    #[test]
    fn many_clients_that_leave_leave_no_memory_behind() {
        let mut table = ClientTable::default();
        let sessions: Vec<_> = (0..50_000)
            .map(|slot| client(slot, 1))
            .map(|client| {
                let session = client.session();
                table.insert(client);
                session
            })
            .collect();
        assert_eq!((table.len(), table.iter().count()), (50_000, 50_000));
        for session in sessions.iter().rev() {
            assert!(table.remove(session).is_some());
        }
        assert!(table.is_empty() && table.places.capacity() <= SMALL, "{}", table.places.capacity());
    }
}

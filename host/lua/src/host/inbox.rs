//! The events that wait for an instance.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::lanes::{Lanes, Source, source_of};
use crate::engine::memory::Memory;
use crate::instance::item::InboxItem;
use introd_policy::message::AppEvent;
use introd_policy::net_connection::ConnectionEvent;

/// The event was not taken because too many wait.
#[derive(Debug, thiserror::Error)]
#[error("the application's queue is full")]
pub struct Full(
    /// The event.
    pub Box<AppEvent>,
);

/// A bounded queue. An event that ends something is always taken: there is at most one for each that began something.
pub(crate) struct Inbox {
    lanes: Mutex<Lanes>,
    max_events: usize,
    /// Where it reports how much memory the events of NetConnections take.
    memory: Memory,
}

impl Inbox {
    /// An inbox for so many events. What members of groups send counts as memory of the script while it waits.
    pub(crate) fn new(max_events: usize, memory: Memory) -> Self {
        Self { lanes: Mutex::default(), max_events, memory }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the item that `admit` makes of an event at the end of the lane of its client.
    pub(crate) fn push(
        &self,
        event: AppEvent,
        admit: impl FnOnce(AppEvent) -> Result<InboxItem, Box<AppEvent>>,
    ) -> Result<(), Full> {
        let mut lanes = self.lanes();
        match event {
            AppEvent::Reload => lanes.reload = true,
            AppEvent::Stop => lanes.stop = Some(lanes.len()),
            event => {
                if !must_arrive(&event) && !lanes.has_room(&event, self.max_events) {
                    return Err(Full(Box::new(event)));
                }
                let source = source_of(&event);
                let item = admit(event).map_err(Full)?;
                lanes.push(source, item);
            }
        }
        Ok(())
    }

    /// Puts an event at the end of the lane of the NetConnection of that number.
    ///
    /// # Errors
    /// Gives it back if there is no room for it.
    pub(crate) fn push_connection(&self, number: u64, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        let mut lanes = self.lanes();
        if !event.must_arrive() && !lanes.has_room_for_connection(number, &event, self.max_events) {
            return Err(Box::new(event));
        }
        let before = lanes.bytes();
        lanes.push(Source::Connection(number), InboxItem::Connection { number, event });
        self.memory.change(before, lanes.bytes());
        Ok(())
    }

    /// The next event.
    pub(crate) fn pop(&self) -> Option<InboxItem> {
        let mut lanes = self.lanes();
        let before = lanes.bytes();
        let item = lanes.pop();
        self.memory.change(before, lanes.bytes());
        item
    }

    /// The number of the next lookup, if the next event is one.
    pub(crate) fn pop_lookup(&self) -> Option<u64> {
        self.lanes().pop_lookup()
    }

    /// The next event that does not wait for the end of a start (see [`waits_for_start`]). The others stay where they are.
    pub(crate) fn pop_not_waiting(&self) -> Option<InboxItem> {
        let mut lanes = self.lanes();
        let before = lanes.bytes();
        let item = lanes.pop_not_waiting();
        self.memory.change(before, lanes.bytes());
        item
    }

    /// Whether there is an event that does not wait for the end of a start.
    pub(crate) fn has_not_waiting(&self) -> bool {
        let lanes = self.lanes();
        lanes.not_waiting() > 0 || lanes.stop.is_some()
    }

    /// Shows what waits. The events of each client are in their order.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &InboxItem>) -> R) -> R {
        look(&mut self.lanes().items())
    }

    /// Whether there is an event.
    pub(crate) fn has_events(&self) -> bool {
        let lanes = self.lanes();
        lanes.len() > 0 || lanes.stop.is_some()
    }

    /// Whether the instance is to stop, whatever waits before that. The next call returns false.
    pub(crate) fn take_stop(&self) -> bool {
        self.lanes().stop.take().is_some()
    }

    /// Whether the script is to be reloaded.
    pub(crate) fn wants_reload(&self) -> bool {
        self.lanes().reload
    }

    /// Whether the script is to be reloaded. The next call returns false, unless another reload was wanted meanwhile.
    pub(crate) fn take_reload(&self) -> bool {
        std::mem::take(&mut self.lanes().reload)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let left = self.lanes().bytes();
        self.memory.change(left, 0);
    }
}

fn must_arrive(event: &AppEvent) -> bool {
    matches!(
        event,
        AppEvent::Accepted { .. }
            | AppEvent::Disconnect { .. }
            | AppEvent::Unpublish { .. }
            | AppEvent::GroupLeave { .. }
            | AppEvent::Answer { .. }
            | AppEvent::Stats { .. }
    )
}

#[cfg(test)]
mod tests {
    use rtmfp::SessionId;

    use super::*;
    use crate::host::lanes::{BYTES_OF_CONNECTIONS, MAX_SPARE};
    use introd_flash::server::{Call, Publication};
    use introd_policy::message::ClientId;

    fn inbox(max_events: usize) -> Inbox {
        Inbox::new(max_events, Memory::default())
    }

    fn client(number: u32) -> ClientId {
        ClientId { worker: 0, session: SessionId::from_wire(number) }
    }

    fn moved(number: u32) -> AppEvent {
        AppEvent::FarAddressChange { client: client(number), address: "192.0.2.1:1".parse().unwrap() }
    }

    fn call(number: u32) -> AppEvent {
        let object = introd_flash::amf::Value::Null;
        let call = Call { name: String::new(), transaction: 0.0, object, arguments: Vec::new() };
        AppEvent::Call { client: client(number), call }
    }

    fn publication() -> Publication {
        Publication { number: 1, name: "cam".to_owned(), kind: "live".to_owned() }
    }

    fn plain(event: AppEvent) -> Result<InboxItem, Box<AppEvent>> {
        Ok(match event {
            AppEvent::Call { client, call } => InboxItem::Call { number: None, client, call },
            event => InboxItem::Event(event),
        })
    }

    fn whose(item: &InboxItem) -> u32 {
        match item {
            InboxItem::Event(event) => match source_of(event) {
                Source::Client(client) => client.session.get(),
                _ => 0,
            },
            InboxItem::Call { client, .. } => client.session.get(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_of_things_arrives_even_when_the_queue_is_full() {
        let inbox = inbox(2);
        inbox.push(moved(1), plain).unwrap();
        inbox.push(moved(2), plain).unwrap();
        assert!(
            matches!(inbox.push(moved(3), plain), Err(Full(event)) if matches!(*event, AppEvent::FarAddressChange { .. }))
        );
        inbox.push(AppEvent::Disconnect { client: client(1) }, plain).unwrap();
        inbox.push(AppEvent::Stop, plain).unwrap();
        inbox.push(AppEvent::Reload, plain).unwrap();
        assert!(inbox.take_reload() && !inbox.take_reload());
        let order: Vec<_> = std::iter::from_fn(|| inbox.pop()).collect();
        assert!(
            matches!(
                order[..],
                [
                    InboxItem::Event(AppEvent::FarAddressChange { .. }),
                    InboxItem::Event(AppEvent::FarAddressChange { .. }),
                    InboxItem::Event(AppEvent::Disconnect { .. }),
                    InboxItem::Event(AppEvent::Stop)
                ]
            ),
            "{order:?}"
        );
        assert!(!inbox.has_events());
    }

    #[test]
    fn clients_take_turns_and_each_keeps_its_order() {
        let inbox = inbox(1000);
        for _ in 0..5 {
            inbox.push(call(1), plain).unwrap();
        }
        inbox.push(moved(1), plain).unwrap();
        inbox.push(moved(2), plain).unwrap();
        inbox.push(AppEvent::Disconnect { client: client(2) }, plain).unwrap();
        inbox.push(moved(3), plain).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| inbox.pop()).collect();
        assert_eq!(order.iter().map(whose).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 1, 1, 1, 1]);
        assert!(matches!(order[8], InboxItem::Event(AppEvent::FarAddressChange { .. })));
        assert!(matches!(order[4], InboxItem::Event(AppEvent::Disconnect { .. })));
    }

    #[test]
    fn what_a_start_may_wait_for_is_found_behind_all_else() {
        let inbox = inbox(1000);
        let answer = |number| AppEvent::Answer { client: client(number), token: 7, outcome: Ok(vec![]) };
        for number in 1..50 {
            inbox.push(moved(number), plain).unwrap();
        }
        inbox.push(moved(2), plain).unwrap();
        assert!(!inbox.has_not_waiting() && inbox.pop_not_waiting().is_none());
        inbox.push(answer(2), plain).unwrap();
        inbox.push(answer(99), plain).unwrap();
        inbox.push(moved(2), plain).unwrap();
        inbox.push_connection(1, posting(1)).unwrap();
        assert!(inbox.has_not_waiting());
        let found: Vec<_> = std::iter::from_fn(|| inbox.pop_not_waiting()).collect();
        let is_answer = |item: &InboxItem| matches!(item, InboxItem::Event(AppEvent::Answer { .. }));
        assert!(is_answer(&found[0]) && whose(&found[0]) == 2 && is_answer(&found[1]) && whose(&found[1]) == 99);
        assert!(matches!(found[2..], [InboxItem::Connection { number: 1, .. }]));
        assert!(!inbox.has_not_waiting());
        // The others are all there, in their order.
        let rest: Vec<_> = std::iter::from_fn(|| inbox.pop()).collect();
        assert_eq!((rest.len(), rest.iter().filter(|item| whose(item) == 2).count()), (51, 3));
        assert!(!inbox.has_events());
    }

    #[test]
    fn calls_leave_room_for_others_and_one_client_for_the_next() {
        let inbox = inbox(1024);
        let mut taken = Vec::new();
        for number in 1..100 {
            taken.push((0..2000).take_while(|_| inbox.push(call(number), plain).is_ok()).count());
        }
        assert_eq!(taken[..16], [32; 16]);
        assert_eq!(taken[16..].iter().sum::<usize>(), 0);
        assert_eq!((0..2000).take_while(|_| inbox.push(moved(500), plain).is_ok()).count(), 128);
        inbox.push(moved(1), plain).unwrap();
        while inbox.pop().is_some() {}
        inbox.push(call(1), plain).unwrap();
        let lanes = inbox.lanes();
        assert_eq!((lanes.len(), lanes.kept().calls, lanes.kept().sources, lanes.kept().turns), (1, 1, 1, 1));
    }

    fn lookup(asker: Option<u32>) -> AppEvent {
        let AppEvent::PeerLookup(mut lookup) = crate::tests::a_lookup() else { panic!() };
        lookup.asker = asker.map(client);
        AppEvent::PeerLookup(lookup)
    }

    #[test]
    fn everything_that_ends_something_arrives_and_nothing_else_when_the_queue_is_full() {
        let inbox = inbox(1);
        inbox.push(moved(1), plain).unwrap();
        let client = client(1);
        let (membership, groupspec_digest) = (1, [0; 32]);
        for event in [
            AppEvent::Accepted { client },
            AppEvent::Disconnect { client },
            AppEvent::GroupLeave { client, membership, groupspec_digest },
            AppEvent::Unpublish { client, publication: publication() },
            AppEvent::Answer { client, token: 1, outcome: Ok(Vec::new()) },
            AppEvent::Stats { client, token: 1, stats: None },
        ] {
            inbox.push(event, plain).unwrap();
        }
        for event in [
            AppEvent::GroupJoin { client, membership, groupspec_digest },
            AppEvent::ReportedAddressesChange { client, addresses: Vec::new() },
            AppEvent::Publish { client, publication: publication() },
            moved(2),
            call(2),
            lookup(None),
        ] {
            assert!(inbox.push(event, plain).is_err());
        }
        assert_eq!(std::iter::from_fn(|| inbox.pop()).count(), 7);
    }

    #[test]
    fn strangers_leave_half_of_the_room_and_clients_look_up_within_their_own() {
        let inbox = inbox(1024);
        assert_eq!((0..2000).take_while(|_| inbox.push(lookup(None), plain).is_ok()).count(), 512);
        assert_eq!((0..2000).take_while(|_| inbox.push(lookup(Some(1)), plain).is_ok()).count(), 128);
        // The lookups of others go on.
        inbox.push(lookup(Some(2)), plain).unwrap();
        assert!(inbox.pop().is_some() && inbox.push(lookup(None), plain).is_ok());
        assert!(inbox.push(lookup(None), plain).is_err());
    }

    #[test]
    fn a_lookup_follows_another_only_if_it_is_next() {
        let inbox = inbox(1000);
        let admit = |event| match event {
            AppEvent::PeerLookup(lookup) => Ok(InboxItem::Lookup { number: lookup.request.get() }),
            event => plain(event),
        };
        let number_of = |event: &AppEvent| match event {
            AppEvent::PeerLookup(lookup) => lookup.request.get(),
            other => panic!("{other:?}"),
        };
        let events = [lookup(None), lookup(Some(1)), moved(2), lookup(None), lookup(None)];
        let numbers = [&events[0], &events[1], &events[3], &events[4]].map(number_of);
        for event in events {
            inbox.push(event, admit).unwrap();
        }
        inbox.push(AppEvent::Stop, admit).unwrap();
        let late = lookup(Some(1));
        let late_number = number_of(&late);
        inbox.push(late, admit).unwrap();
        let next = || inbox.pop_lookup();
        assert_eq!((next(), next(), next()), (Some(numbers[0]), Some(numbers[1]), None));
        assert!(matches!(inbox.pop(), Some(InboxItem::Event(AppEvent::FarAddressChange { .. }))));
        // Clients take turns: the late one is before the last of the strangers, and the end comes after five events.
        assert_eq!((next(), next(), next()), (Some(numbers[2]), Some(late_number), None));
        assert!(matches!(inbox.pop(), Some(InboxItem::Event(AppEvent::Stop))));
        assert_eq!((next(), next(), inbox.has_events()), (Some(numbers[3]), None, false));
    }

    fn posting(size: usize) -> ConnectionEvent {
        use introd_policy::net_connection::{GroupEvent, GroupId};
        ConnectionEvent::Group { group: GroupId(1), event: GroupEvent::Posting { id: [0; 32], value: vec![0; size] } }
    }

    fn closed() -> ConnectionEvent {
        let text = String::new;
        ConnectionEvent::Closed { code: text(), description: text(), info: introd_flash::amf::Value::Null }
    }

    #[test]
    fn a_flood_of_postings_leaves_room_for_clients_and_for_other_connections_and_delays_neither() {
        let inbox = inbox(1024);
        let flood =
            |number, size| (0..2000).take_while(|_| inbox.push_connection(number, posting(size)).is_ok()).count();
        assert_eq!((flood(1, 1), flood(2, 1), flood(3, 1)), (128, 128, 0));
        inbox.push_connection(3, closed()).unwrap();
        inbox.push(moved(7), plain).unwrap();
        // What came last has its turn after one event of each of the others.
        let order: Vec<u64> = (0..4)
            .map(|_| match inbox.pop().unwrap() {
                InboxItem::Connection { number, .. } => number,
                _ => 0,
            })
            .collect();
        assert_eq!(order, [1, 2, 3, 0]);
        assert_eq!(flood(3, 1), 2, "two were taken out");
        while inbox.pop().is_some() {}
        let lanes = inbox.lanes();
        assert_eq!((lanes.kept().of_connections, lanes.bytes(), lanes.len()), (0, 0, 0));
    }

    #[test]
    fn postings_that_wait_are_bounded_in_bytes_and_what_ends_something_is_taken_all_the_same() {
        let inbox = inbox(100_000);
        let large = 64 << 10;
        let memory = inbox.memory.clone();
        let taken = (0..1000).take_while(|_| inbox.push_connection(1, posting(large)).is_ok()).count();
        assert_eq!(taken, BYTES_OF_CONNECTIONS / large);
        assert_eq!((memory.own.get(), memory.all.get()), (taken * large, taken * large), "it counts as the script's");
        inbox.push_connection(1, closed()).unwrap();
        assert!(inbox.push_connection(2, posting(1)).is_err());
        assert!(inbox.pop().is_some() && inbox.push_connection(2, posting(1)).is_ok());
        // The events of one connection keep their order.
        let last = std::iter::from_fn(|| inbox.pop()).last();
        assert!(matches!(last, Some(InboxItem::Connection { number: 1, event: ConnectionEvent::Closed { .. } })));
        assert_eq!(memory.own.get(), 0);
        inbox.push_connection(1, posting(large)).unwrap();
        drop(inbox);
        assert_eq!((memory.own.get(), memory.all.get()), (0, 0));
        let full = super::tests::inbox(2);
        full.push(moved(1), plain).unwrap();
        full.push(moved(2), plain).unwrap();
        assert!(full.push_connection(1, posting(1)).is_err(), "the whole inbox is full");
    }

    #[test]
    fn a_call_that_was_taken_makes_room_for_the_next_of_its_client() {
        let inbox = inbox(1024);
        let calls = |number| (0..100).take_while(|_| inbox.push(call(number), plain).is_ok()).count();
        assert_eq!((calls(1), calls(2)), (32, 32));
        assert!(inbox.pop().is_some() && inbox.pop().is_some());
        assert_eq!((calls(1), calls(2)), (1, 1));
    }

    #[test]
    fn little_is_kept_of_lanes_that_are_empty() {
        let inbox = inbox(100_000);
        for number in 0..5000 {
            inbox.push(moved(number), plain).unwrap();
        }
        for _ in 0..100 {
            inbox.push(moved(1), plain).unwrap();
        }
        while inbox.pop().is_some() {}
        let lanes = inbox.lanes();
        let kept = lanes.kept();
        assert!(kept.lanes <= 1024 && kept.sources == 0, "{}", kept.lanes);
        assert!(kept.spare.len() <= MAX_SPARE, "{}", kept.spare.len());
        assert!(kept.spare.iter().all(|capacity| *capacity <= 64));
        drop(lanes);
        assert!(!inbox.has_events());
        inbox.push(AppEvent::Stop, plain).unwrap();
        assert!(inbox.has_events());
    }
}

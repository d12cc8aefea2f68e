//! The events that wait for an instance.
//!
//! Each client has a lane of its own: its events are handled in their order, and the clients take turns. A client that sends much
//! delays itself. Each NetConnection of the script has a lane, too: a flood of postings delays neither clients nor lookups.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;

use crate::engine::memory::Memory;
use crate::instance::item::{InboxItem, waits_for_start};
use introd_policy::message::{AppEvent, ClientId};
use introd_policy::net_connection::ConnectionEvent;

/// The bounds on parts of the inbox, as divisors of its room: for the calls of one client, for all events of one client, for the calls
/// of all clients, and for the lookups of peers that are no clients. To publish counts as a call.
const CALLS_OF_ONE: usize = 32;
const EVENTS_OF_ONE: usize = 8;
const CALLS_OF_ALL: usize = 2;
const STRANGERS: usize = 2;
/// The same for the events of one NetConnection, and of all of them. What is in a group's postings comes from other members: it is bounded in
/// bytes, too.
const EVENTS_OF_CONNECTION: usize = 8;
const EVENTS_OF_CONNECTIONS: usize = 4;
const BYTES_OF_CONNECTIONS: usize = 8 << 20;
/// How many empty lanes are kept for the next clients.
const MAX_SPARE: usize = 16;

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

#[derive(Default)]
struct Lanes {
    lanes: Slab<Lane>,
    by_source: HashMap<Source, usize>,
    /// The lanes with events, in the order of their turns.
    turns: VecDeque<usize>,
    spare: Vec<VecDeque<InboxItem>>,
    events: usize,
    calls: usize,
    /// Those of them that do not wait for the end of a start.
    not_waiting: usize,
    /// The events of NetConnections among them, and how many bytes those take.
    of_connections: usize,
    bytes: usize,
    /// Whether the script is to be reloaded.
    reload: bool,
    /// The instance is to stop after so many more events.
    stop: Option<usize>,
}

/// Where events come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Client(ClientId),
    /// Askers that are no clients.
    Strangers,
    /// A NetConnection of the script, by number.
    Connection(u64),
}

struct Lane {
    source: Source,
    events: VecDeque<InboxItem>,
    calls: usize,
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
            AppEvent::Stop => lanes.stop = Some(lanes.events),
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
        let before = lanes.bytes;
        lanes.push(Source::Connection(number), InboxItem::Connection { number, event });
        self.memory.change(before, lanes.bytes);
        Ok(())
    }

    /// The next event.
    pub(crate) fn pop(&self) -> Option<InboxItem> {
        let mut lanes = self.lanes();
        let before = lanes.bytes;
        let item = lanes.pop();
        self.memory.change(before, lanes.bytes);
        item
    }

    /// The next event that does not wait for the end of a start (see [`waits_for_start`]). The others stay where they are.
    pub(crate) fn pop_not_waiting(&self) -> Option<InboxItem> {
        let mut lanes = self.lanes();
        let before = lanes.bytes;
        let item = lanes.pop_not_waiting();
        self.memory.change(before, lanes.bytes);
        item
    }

    /// Whether there is an event that does not wait for the end of a start.
    pub(crate) fn has_not_waiting(&self) -> bool {
        let lanes = self.lanes();
        lanes.not_waiting > 0 || lanes.stop.is_some()
    }

    /// Whether there is an event.
    pub(crate) fn has_events(&self) -> bool {
        let lanes = self.lanes();
        lanes.events > 0 || lanes.stop.is_some()
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
        let left = self.lanes().bytes;
        self.memory.change(left, 0);
    }
}

impl Lanes {
    fn has_room(&self, event: &AppEvent, max_events: usize) -> bool {
        if self.events >= max_events {
            return false;
        }
        let source = source_of(event);
        let lane = self.by_source.get(&source).and_then(|place| self.lanes.get(*place));
        let (events, calls) = lane.map_or((0, 0), |lane| (lane.events.len(), lane.calls));
        let room = |parts: usize| (max_events / parts).max(1);
        let is_call = matches!(event, AppEvent::Call { .. } | AppEvent::Publish { .. });
        if is_call && (calls >= room(CALLS_OF_ONE) || self.calls >= room(CALLS_OF_ALL)) {
            return false;
        }
        events < room(if source == Source::Strangers { STRANGERS } else { EVENTS_OF_ONE })
    }

    fn has_room_for_connection(&self, number: u64, event: &ConnectionEvent, max_events: usize) -> bool {
        let lane = self.by_source.get(&Source::Connection(number)).and_then(|place| self.lanes.get(*place));
        let room = |parts: usize| (max_events / parts).max(1);
        self.events < max_events
            && lane.map_or(0, |lane| lane.events.len()) < room(EVENTS_OF_CONNECTION)
            && self.of_connections < room(EVENTS_OF_CONNECTIONS)
            && self.bytes.saturating_add(event.bytes()) <= BYTES_OF_CONNECTIONS
    }

    fn push(&mut self, source: Source, item: InboxItem) {
        let is_call = usize::from(matches!(item, InboxItem::Call { .. } | InboxItem::Publish { .. }));
        let not_waiting = usize::from(!waits_for_start(&item));
        if let InboxItem::Connection { event, .. } = &item {
            self.of_connections += 1;
            self.bytes += event.bytes();
        }
        let (lanes, spare) = (&mut self.lanes, &mut self.spare);
        let place = *self
            .by_source
            .entry(source)
            .or_insert_with(|| lanes.insert(Lane { source, events: spare.pop().unwrap_or_default(), calls: 0 }));
        let Some(lane) = self.lanes.get_mut(place) else { return };
        if lane.events.is_empty() {
            self.turns.push_back(place);
        }
        lane.events.push_back(item);
        lane.calls += is_call;
        self.calls += is_call;
        self.not_waiting += not_waiting;
        self.events += 1;
    }

    fn pop(&mut self) -> Option<InboxItem> {
        if self.stop == Some(0) {
            self.stop = None;
            return Some(InboxItem::Event(AppEvent::Stop));
        }
        let place = self.turns.pop_front()?;
        self.take(place, 0)
    }

    /// Looks through the lanes only where there is such an event. A start during which so many events come that this matters is rare.
    fn pop_not_waiting(&mut self) -> Option<InboxItem> {
        if self.not_waiting == 0 {
            return None;
        }
        let place_in = |lane: &Lane| lane.events.iter().position(|item| !waits_for_start(item));
        let found = self.turns.iter().enumerate().find_map(|(turn, place)| {
            let index = place_in(self.lanes.get(*place)?)?;
            Some((turn, index))
        });
        let (turn, index) = found?;
        let place = self.turns.remove(turn)?;
        self.take(place, index)
    }

    /// Takes the event at this index out of the lane in this place, which has had its turn.
    fn take(&mut self, place: usize, index: usize) -> Option<InboxItem> {
        let lane = self.lanes.get_mut(place)?;
        let item = lane.events.remove(index)?;
        let is_call = usize::from(matches!(item, InboxItem::Call { .. } | InboxItem::Publish { .. }));
        lane.calls -= is_call;
        self.calls -= is_call;
        if let InboxItem::Connection { event, .. } = &item {
            self.of_connections -= 1;
            self.bytes -= event.bytes();
        }
        self.not_waiting -= usize::from(!waits_for_start(&item));
        self.events -= 1;
        self.stop = self.stop.map(|before| before.saturating_sub(1));
        if lane.events.is_empty() {
            self.by_source.remove(&lane.source);
            if let Some(lane) = self.lanes.try_remove(place)
                && self.spare.len() < MAX_SPARE
                && lane.events.capacity() <= 64
            {
                self.spare.push(lane.events);
            }
            if self.events == 0 && self.lanes.capacity() > 1024 {
                (self.lanes, self.by_source, self.turns) = Default::default();
            }
        } else {
            self.turns.push_back(place);
        }
        Some(item)
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

/// The client that the event is about, or the strangers.
fn source_of(event: &AppEvent) -> Source {
    match event {
        AppEvent::Connect { client, .. }
        | AppEvent::Accepted { client }
        | AppEvent::Disconnect { client }
        | AppEvent::Call { client, .. }
        | AppEvent::Publish { client, .. }
        | AppEvent::Unpublish { client, .. }
        | AppEvent::Answer { client, .. }
        | AppEvent::FarAddressChange { client, .. }
        | AppEvent::ReportedAddressesChange { client, .. }
        | AppEvent::GroupJoin { client, .. }
        | AppEvent::GroupLeave { client, .. }
        | AppEvent::Stats { client, .. } => Source::Client(*client),
        AppEvent::PeerLookup(lookup) => lookup.asker.map_or(Source::Strangers, Source::Client),
        AppEvent::Reload | AppEvent::Stop => Source::Strangers,
    }
}

#[cfg(test)]
mod tests {
    use rtmfp::SessionId;

    use super::*;
    use introd_flash::server::{Call, Publication};

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
        assert_eq!((lanes.events, lanes.calls, lanes.by_source.len(), lanes.turns.len()), (1, 1, 1, 1));
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
        assert_eq!((lanes.of_connections, lanes.bytes, lanes.events), (0, 0, 0));
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
        assert!(lanes.lanes.capacity() <= 1024 && lanes.by_source.is_empty(), "{}", lanes.lanes.capacity());
        assert!(lanes.spare.len() <= MAX_SPARE, "{}", lanes.spare.len());
        assert!(lanes.spare.iter().all(|lane| lane.capacity() <= 64));
        drop(lanes);
        assert!(!inbox.has_events());
        inbox.push(AppEvent::Stop, plain).unwrap();
        assert!(inbox.has_events());
    }
}

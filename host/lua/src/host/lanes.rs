//! The order in which events are handled, and how much room they have.
//!
//! Each client has a lane of its own: its events are handled in their order, and the clients take turns. A client that sends much
//! delays itself. Each NetConnection of the script has a lane, too: a flood of postings delays neither clients nor lookups.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use crate::instance::item::{InboxItem, waits_for_start};
use crate::instance::number_hasher::NumberHashing;
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
pub(super) const BYTES_OF_CONNECTIONS: usize = 8 << 20;
/// How many empty lanes are kept for the next clients.
pub(super) const MAX_SPARE: usize = 16;

/// The lanes of an inbox.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Slab<Lane>,
    by_source: HashMap<Source, usize, NumberHashing>,
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
    pub(super) reload: bool,
    /// The instance is to stop after so many more events.
    pub(super) stop: Option<usize>,
}

/// Where events come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
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

impl Lanes {
    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.events
    }

    /// All that waits. The events of each source are in their order.
    pub(super) fn items(&self) -> impl Iterator<Item = &InboxItem> {
        self.lanes.iter().flat_map(|(_, lane)| &lane.events)
    }

    /// How many of them do not wait for the end of a start.
    pub(super) fn not_waiting(&self) -> usize {
        self.not_waiting
    }

    /// How many bytes the events of NetConnections take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_room(&self, event: &AppEvent, max_events: usize) -> bool {
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

    pub(super) fn has_room_for_connection(&self, number: u64, event: &ConnectionEvent, max_events: usize) -> bool {
        let lane = self.by_source.get(&Source::Connection(number)).and_then(|place| self.lanes.get(*place));
        let room = |parts: usize| (max_events / parts).max(1);
        self.events < max_events
            && lane.map_or(0, |lane| lane.events.len()) < room(EVENTS_OF_CONNECTION)
            && self.of_connections < room(EVENTS_OF_CONNECTIONS)
            && self.bytes.saturating_add(event.bytes()) <= BYTES_OF_CONNECTIONS
    }

    pub(super) fn push(&mut self, source: Source, item: InboxItem) {
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

    pub(super) fn pop(&mut self) -> Option<InboxItem> {
        if self.stop == Some(0) {
            self.stop = None;
            return Some(InboxItem::Event(AppEvent::Stop));
        }
        let place = self.turns.pop_front()?;
        self.take(place, 0)
    }

    /// The number of the next lookup, if the next event is one.
    pub(super) fn pop_lookup(&mut self) -> Option<u64> {
        let place = *self.turns.front()?;
        let Some(InboxItem::Lookup { number }) = self.lanes.get(place)?.events.front() else { return None };
        let number = *number;
        if self.stop == Some(0) {
            return None;
        }
        self.turns.pop_front();
        // It is not moved out, as `take` does: items are large, and lookups the most. The counts of calls, of NetConnections and of what does not wait
        // for a start stay as they are: a lookup is none of these.
        self.lanes.get_mut(place)?.events.pop_front();
        self.has_taken(place);
        Some(number)
    }

    /// Looks through the lanes only where there is such an event. A start during which so many events come that this matters is rare.
    pub(super) fn pop_not_waiting(&mut self) -> Option<InboxItem> {
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
        self.has_taken(place);
        Some(item)
    }

    /// An event was taken out of the lane in this place, which has had its turn.
    fn has_taken(&mut self, place: usize) {
        let Some(lane) = self.lanes.get(place) else { return };
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
    }
}

/// What the lanes keep, for tests.
#[cfg(test)]
pub(super) struct Kept {
    pub(super) calls: usize,
    pub(super) of_connections: usize,
    pub(super) sources: usize,
    pub(super) turns: usize,
    /// For how many lanes there is room.
    pub(super) lanes: usize,
    /// For how many events there is room in each empty lane.
    pub(super) spare: Vec<usize>,
}

#[cfg(test)]
impl Lanes {
    pub(super) fn kept(&self) -> Kept {
        Kept {
            calls: self.calls,
            of_connections: self.of_connections,
            sources: self.by_source.len(),
            turns: self.turns.len(),
            lanes: self.lanes.capacity(),
            spare: self.spare.iter().map(VecDeque::capacity).collect(),
        }
    }
}

/// The client that the event is about, or the strangers.
pub(super) fn source_of(event: &AppEvent) -> Source {
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

//! What happened recently: the stories of peers.
//!
//! Each worker writes an [`Event`] when a client connects, is refused, moves, reports addresses, looks a peer up, joins a group or goes. The
//! administration reads them by peer id, address or application ([`Stories::find`], [`Stories::of_peer`]), or follows them as they come
//! ([`Stories::since`]).
//!
//! # Bounds
//!
//! The events of all workers take [`MAX_BYTES`] at most; the oldest are forgotten. Each kind of event has a part of that of its own
//! ([`EventClass`]): a flood of lookups does not wash out connects, nor a flood of refusals anything else. Of lookups, only those are written
//! that the table of attempts has room to follow (`crate::meetings`), which one network cannot fill.
//!
//! A worker never waits for a reader. A reader holds the lock of a worker's events for as long as it takes to look at 256 of them.
//! What the worker writes meanwhile waits in a queue of 256 events; what finds no room there is counted ([`Stories::lost`]).

mod class;
mod event;
mod filter;
mod ring;
mod story;
mod text;
mod worker_events;

pub use class::EventClass;
pub use event::{Event, EventKind};
pub use filter::EventFilter;
pub use story::{Cursor, Found, MAX_BYTES, News, Stories};
pub use text::{MAX_TEXT, Text, cut};

//! Members find each other on the local network by IP multicast (WIRE.md §5).
//!
//! A [`Discovery`] is that of one membership. It says when this member announces itself and what it then sends, and believes of the datagrams
//! that come those that only a member can have made. It has no sockets and no clocks: its driver has. It exists only for groups whose
//! groupspec asks for it: nothing is sent for any other group.

mod announcement;
mod counters;
mod memory;
mod state;

pub use self::announcement::{ANNOUNCEMENT_LEN, Announcement, AnnouncementKey, NotAnnounced};
pub use self::counters::DiscoveryCounters;
pub use self::memory::MAX_SKEW;
pub use self::state::{Discovery, INTERVAL, MAX_ADDRESSES, wanted_addresses};

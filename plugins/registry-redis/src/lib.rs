//! The registry of peers that several introd servers share, in Redis or Valkey: a plugin for `PeerRegistry` in Server.xml.
//!
//! It uses nothing of the server but the SDK (`introd-plugin`); [`Registry`] does not even know that it is part of a plugin. Begin
//! reading with `plugin` and `registry`, which never wait; `session` is the thread that talks to Redis, and `shared` is what the two
//! sides have in common. `published` is what this server writes, `remote` and `cache` what it reads, `entry` the format of both. `memberships`,
//! `neighbors` and `member` are the same for groups. `succession` is what another process goes on with that takes over, and `echo` what
//! that repeats.
//!
//! The keys in Redis, each with the namespace as its prefix:
//!
//! | key | value | lifetime |
//! |---|---|---|
//! | `NAMESPACE:server:NAME` | the epoch of a server: a random number, another one at each start unless the server takes over from another process | one and a half `heartbeat`; renewed after half a one |
//! | `NAMESPACE:peer:ID` | the entries of all servers that have the peer: its addresses, the server's name and epoch, and the state of the session | `entryLifetime`; renewed after half of it |
//!
//! | `NAMESPACE:group:ID` | a sorted set of the members of a group at all servers, in the order of the group's ring | `entryLifetime` after the last member has joined; renewed after half of it |
//!
//! | `NAMESPACE:servers` | a sorted set of the servers, for administrators, with the time when each was last entered | none; a server is struck off when it stops, or an hour after it has died |
//!
//! In a cluster, the key of a server has two copies with other slots: `NAMESPACE:server:{TAG}:NAME`.
//!
//! An entry is valid while the key of its server holds the epoch of the entry. So nothing has to be cleaned up after a server that
//! died, and staying alive costs a server one small command for each heartbeat, whatever the number of its peers. If several servers
//! have a peer, each writes only its own entry, and the reader decides which one counts.
#![forbid(unsafe_code)]

mod answer;
mod cache;
mod claim;
mod cluster;
mod connection;
mod echo;
mod entry;
mod group_commands;
mod groups;
mod keys;
mod liveness;
mod member;
mod memberships;
mod neighbors;
mod plugin;
mod presence;
mod published;
mod registry;
mod remote;
mod roll;
mod scripts;
mod session;
mod settings;
mod shared;
mod stats;
mod succession;
mod table;
mod trouble;

pub use answer::{Answer, Failure, Reply};
pub use neighbors::{Neighbors, NeighborsReply};
pub use plugin::RedisRegistry;
pub use registry::Registry;
pub use roll::Listed;
pub use settings::{Mode, Settings, SettingsError};
pub use shared::{Log, Severity};
pub use stats::{MetricKind, Stats};

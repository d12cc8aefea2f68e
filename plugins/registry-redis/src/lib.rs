//! The registry of peers that several introd servers share, in Redis or Valkey: a plugin for `PeerRegistry` in Server.xml.
//!
//! What it writes, each key beginning with the namespace:
//!
//! | key | what | lives |
//! |---|---|---|
//! | `NAMESPACE:server:NAME` | the epoch of a server: a random number, another one at each start | three halves of a heartbeat; renewed each half |
//! | `NAMESPACE:peer:ID` | where a peer can be reached, by which server, in which epoch, and how its session stands; of each server that has the peer | `entryLifetime`; renewed each half |
//!
//! An entry counts only while its server's key says the entry's epoch, so nothing has to be cleaned up after a server that died,
//! and being alive costs one small command a heartbeat however many peers there are. Where several servers have a peer, their entries
//! stand side by side: each writes only its own, and whoever reads them decides which counts.
//!
//! [`Registry`] is the registry itself, for programs that are not introd; the plugin is a thin layer over it.

mod cache;
mod entry;
mod keys;
mod link;
mod own;
mod plugin;
mod registry;
mod session;
mod settings;
mod stats;

pub use plugin::RedisRegistry;
pub use registry::{Answer, Failure, Log, Registry, Reply, Severity};
pub use settings::{Mode, Settings, SettingsError};
pub use stats::{Kind, Stats};

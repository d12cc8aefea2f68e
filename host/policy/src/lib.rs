//! The events and verdicts of policies: the vocabulary that the server shares with the hosts of scripts and native plugins.
//!
//! A policy is an application's script or plugin. It decides which peers meet, which clients connect, and how groups start. This crate
//! is sans-IO: it must not know sockets, threads, clocks, Lua or the C ABI, and of `rtmfp` it knows ids and addresses only. Begin
//! reading with [`message`].
#![forbid(unsafe_code)]

mod actor;
mod deadlines;
pub mod decision;
pub mod http;
mod instance;
pub mod message;
pub mod net_connection;
mod peer;
mod peer_ids;
pub mod registry;
mod relay;
mod reply;
mod reply_queue;
mod request;
mod server_method;
mod sync;
mod totals;
mod verdict;

pub use actor::{
    AppActor, AppActors, FormerInstance, KnownClient, LoggedError, OpenCall, Opening, PublishedMember, ToWake,
};
pub use deadlines::Deadlines;
pub use instance::{InstanceId, InstanceName};
pub use peer::{MAX_REPORTED, Peer};
pub use peer_ids::PeerIds;
pub use relay::{Introduction, RelayTerms, RelayWish};
pub use reply::{Replies, Reply, Resolution};
pub use request::{MAX_REQUESTS, RequestId};
pub use server_method::ServerMethod;
pub use totals::{InstanceTotals, Totals};
pub use verdict::{Addresses, RelayVerdict, Verdict};

/// The maximum number of addresses in one redirect. librtmfp keeps no more than the first 7.
pub const MAX_ADDRESSES: usize = 16;

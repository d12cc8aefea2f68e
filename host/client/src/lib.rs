//! An RTMFP client: a NetConnection to a server (RFC 7425 §5.3), sessions with the peers that the server introduces, and membership
//! in NetGroups.
//!
//! It works with any server of the Flash profile. `introd probe` and `introd bench` are made of it, and tests drive it. [`Client`] is
//! the NetConnection; [`Peer`] is the endpoint with its sockets below it. This crate must not know the server of this repository.
//! Begin reading with [`Client::connect`].
#![forbid(unsafe_code)]

mod connection;
mod destination;
mod failure;
mod groups;
mod keepalive;
mod meeting;
mod peer;
mod playing;
mod publishing;
mod trail;

pub use connection::{Client, Welcome};
pub use destination::Destination;
pub use failure::{Failure, Step};
pub use meeting::{Answer, Meeting};
pub use peer::{KeysTap, Peer};
pub use playing::{Play, Played};

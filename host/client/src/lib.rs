//! An RTMFP client: a NetConnection to a server (RFC 7425 §5.3), sessions with the peers that the server introduces, streams that
//! peers publish to each other directly (RFC 7425 §5.4), and membership in NetGroups.
//!
//! A [`Serverless`] endpoint takes part in groups without any server.
//!
//! It works with any server of the Flash profile: `introd probe`, `introd bench` and tests use it. A [`Client`] is connected to a
//! server; below it, a [`PeerEndpoint`] is an endpoint with its sockets. The crate must not know the server of this repository.
//! Begin reading with [`Client::connect`].
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use introd_client::{Client, ClientFailure, Destination, EchoReply, PeerEndpoint};
//! use introd_flash::client::ConnectOptions;
//! use rtmfp::crypto::Identity;
//! use rtmfp::{Config, PeerId};
//!
//! const TIMEOUT: Duration = Duration::from_secs(5);
//!
//! /// Connects to a server, and sends a message directly to another client of it.
//! async fn send_to(other: PeerId, identity: Identity) -> anyhow::Result<bool> {
//!     let id = identity.peer_id();
//!     let endpoint = PeerEndpoint::new(Config::peer(Arc::new(identity)))?;
//!     let destination = Destination::resolve("rtmfp://server.example/chat", |_| true).await?;
//!     let mut client = Client::connect(endpoint, id, destination, &ConnectOptions::default(), TIMEOUT).await?;
//!     let meeting = client.meet(other, TIMEOUT).await?;
//!     let reply = client.echo(meeting.session, TIMEOUT).await?;
//!     client.close().await;
//!     Ok(reply == EchoReply::Echoed)
//! }
//! ```
#![forbid(unsafe_code)]

mod calling;
mod client;
mod connect;
mod destination;
mod discovery;
mod echo;
mod echo_message;
mod failure;
mod groups;
mod handshake;
mod keepalive;
mod meeting;
mod peer_endpoint;
mod playing;
mod publisher;
mod serverless;
#[cfg(test)]
mod serverless_tests;
#[cfg(test)]
mod session_pair;
mod startup_observer;
mod unreachable;

pub use client::{Client, ConnectInfo};
pub use destination::Destination;
pub use echo::EchoReply;
pub use failure::{ClientFailure, ClientStep};
pub use groups::ClientGroups;
pub use introd_udp::{BindError, BufferSizes, UdpSocket};
pub use meeting::{Meeting, Path};
pub use peer_endpoint::{KeysTap, PeerEndpoint};
pub use playing::{Play, PlayEvent};
pub use serverless::Serverless;

//! All memberships of one endpoint: joins its sessions and flows to its [`Member`](crate::member::Member)s.
//!
//! A [`Participant`] works on an [`Endpoint`](rtmfp::Endpoint) that its owner drives. It receives every event of the endpoint, opens and
//! closes sessions and flows as its members ask, and ignores events that are not about groups. It takes part in any number of groups,
//! with a server, through which members join and are introduced, or without one.

mod attempts;
mod context;
mod events;
mod flows;
mod introducing;
mod named;
mod names;
mod outputs;
mod peer_session;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub use self::context::{EndpointContext, Notice, ServerConnection};
pub use self::named::{MAX_NAME, MAX_NAME_ADDRESSES, MAX_NAMES, MAX_WAIT, NameError};
pub use self::settings::{KEEPALIVE, SILENCE_LIMIT, serverless_config};
pub use self::state::Participant;

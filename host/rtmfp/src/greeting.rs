//! How an endpoint answers the hellos that select it.

use std::sync::Arc;

use crate::wire::TaggedAddress;

/// How an endpoint answers the hellos that select one of its identities. Hellos that look for others are lookups either way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    /// With a Responder Hello, as RFC 7016 §3.5.1.1.2 has it: sessions open.
    #[default]
    Respond,
    /// With a Responder Redirect (RFC 7016 §2.3.5) to these addresses, where other endpoints have an identity that the hello selects too
    /// (§3.5.1.7); with no answer if there are none, because a redirect without addresses means the endpoint itself.
    TurnAway(Arc<[TaggedAddress]>),
}

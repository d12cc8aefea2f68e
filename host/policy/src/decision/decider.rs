//! Who decided about a lookup.

use super::{Missing, PolicyKind};

/// The policy that decided about a lookup, for the administration: decisions do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider {
    /// What kind of policy it is.
    pub kind: PolicyKind,
    /// The place of the plugin among those of [`LookupDecision::application`](super::LookupDecision::application), if it is a plugin of
    /// that application.
    pub plugin: Option<usize>,
    /// Whether its verdict was missing, and the settings took its place ([`fallback`](super::fallback)).
    pub missing: Option<Missing>,
}

impl Decider {
    /// The server itself.
    pub(super) const SERVER: Self = Self { kind: PolicyKind::Server, plugin: None, missing: None };
}

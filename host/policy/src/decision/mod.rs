//! Decisions about lookups, connects and joins: which policies are asked, in which order, with which deadline, and what the fallback
//! for a missing verdict is.
//!
//! Each decision is a value. [`LookupDecision::advance`], [`ConnectDecision::advance`] and [`JoinDecision::advance`] take an
//! event and return the next step: ask a policy, wait for its reply until a deadline, or execute the result. They know no
//! socket, thread or clock, and consult the server through a [`LookupContext`].
//!
//! The order is the same for all three: the native plugins as Application.xml lists them, the script, and for lookups the shared
//! registry; then the built-in behaviour. Where a policy fails, `OnFailure` of Application.xml takes the place of its verdict; where it is
//! late, `OnDeadline` ([`fallback`]).

mod connect;
mod context;
mod deadline_queue;
mod decider;
mod fallback;
mod join;
mod lookup;
mod lookup_step;
mod pending;
mod relay_verdicts;
#[cfg(test)]
mod tests;

pub use connect::{ConnectDecision, ConnectInput, ConnectStep};
pub use context::{DecidingApplication, Guard, LookupContext};
pub use decider::Decider;
pub use fallback::{Missing, fallback};
pub use join::{JoinDecision, JoinInput, JoinStep};
pub use lookup::LookupDecision;
pub use lookup_step::{Denial, LookupAction, LookupInput, LookupStep, Unresolved};
pub use pending::PendingRequests;

/// The kind of policy that has decided.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    Plugin,
    Script,
    Registry,
    /// The server itself: its access rules and settings.
    Server,
}

impl PolicyKind {
    /// The policy's name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Script => "script",
            Self::Registry => "registry",
            Self::Server => "the server",
        }
    }
}

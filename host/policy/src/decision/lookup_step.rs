//! What can happen to a lookup, what can be next, and what can come of it.

use std::borrow::Cow;
use std::time::Duration;

use rtmfp::PeerId;

use super::PolicyKind;
use crate::registry::RegistryError;
use crate::reply::Resolution;
use crate::{Addresses, Introduction, Peer, Verdict};

/// An event of a lookup's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupInput {
    /// The lookup has come, and this is the directory's entry of its target.
    Begin(Option<Peer>),
    /// The policy that is asked has decided.
    Verdict(Verdict),
    /// The policy that is asked decides later.
    Pending,
    /// The registry has answered.
    Resolved(Resolution),
    /// The registry cannot be asked: too many lookups wait for it.
    RegistryBusy,
    /// The deadline of the policy, or of the registry, has passed.
    Late,
}

/// The next step of a lookup's decision.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a step is carried out at once, and a lookup must not cost an allocation"
)]
pub enum LookupStep {
    /// Ask the plugin at this place.
    AskPlugin(usize),
    /// Ask the script.
    AskScript,
    /// Ask the registry for this peer.
    AskRegistry(PeerId),
    /// Wait for the policy that was asked, up to this time.
    Wait(Duration),
    /// Execute what was decided.
    Execute(LookupAction),
}

/// What was decided about a lookup.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupAction {
    /// Introduce the asker and this peer to each other.
    Introduce(Introduction),
    /// Redirect the asker to these addresses, at least one.
    Redirect(Addresses),
    /// Refuse the lookup, and count it as denied.
    Deny(Denial),
    /// Do nothing: a policy ignores the lookup.
    Ignore,
    /// Do nothing: no server knows the target.
    UnknownTarget,
    /// Do nothing: the application leaves its lookups to a script that it does not have.
    Unanswered,
    /// Do nothing: the registry did not say where the target is.
    Unresolved(Unresolved),
}

/// Which policy denies a lookup, and why.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub policy: PolicyKind,
    pub reason: Cow<'static, str>,
}

/// Why the registry did not say where a peer is.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    Failed(RegistryError),
    TimedOut,
    Busy,
}

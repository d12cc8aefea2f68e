//! The fallback for a missing verdict.

use introd_config::{Fallback, Policy};

use crate::Verdict;

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The policy failed, cannot be asked, or gave a verdict that does not fit the request.
    Failed,
    /// The policy's deadline has passed.
    Late,
}

/// The verdict in place of a missing one: `OnFailure` or `OnDeadline` of Application.xml. The words mean the same
/// for plugins and scripts, and for lookups, connects and joins: `continue` leaves the decision to the next policy, or after the last
/// one to the built-in behaviour; `deny` and `ignore` end it. A client whose connect is denied or ignored is rejected, since silence would
/// leave it waiting; a newcomer whose join is denied or ignored is named to no member.
pub fn fallback(policy: &Policy, missing: Missing) -> Verdict {
    let word = match missing {
        Missing::Failed => policy.on_failure,
        Missing::Late => policy.on_deadline,
    };
    match word {
        Fallback::Deny => Verdict::Deny(None),
        Fallback::Ignore => Verdict::Ignore,
        Fallback::Continue => Verdict::Continue,
    }
}

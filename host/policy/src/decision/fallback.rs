//! What comes instead of a verdict that is not to be had.

use introd_config::{Fallback, Policy};

use crate::Verdict;

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The policy failed, cannot be asked, or gave a verdict that makes no sense.
    Failed,
    /// Its deadline has passed.
    Late,
}

/// The verdict that takes the place of one that is missing: `OnFailure` or `OnDeadline` of Application.xml. The words mean the same
/// for plugins and scripts, and for lookups, connects and joins: `continue` leaves the decision to the next policy, or after the last
/// one to what is built in; `deny` and `ignore` end it. A client whose connect is denied or ignored is rejected, since silence would
/// leave it waiting; a newcomer whose join is denied or ignored is named to no member.
pub fn fallback(policy: &Policy, missing: Missing) -> Verdict {
    let word = match missing {
        Missing::Failed => policy.on_failure,
        Missing::Late => policy.on_deadline,
    };
    match word {
        Fallback::Deny => Verdict::Deny,
        Fallback::Ignore => Verdict::Ignore,
        Fallback::Continue => Verdict::Continue,
    }
}

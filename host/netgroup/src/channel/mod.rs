//! The group control channel between a client and its server: flows with the metadata `47 43` (WIRE.md §2).
//!
//! A client opens one flow for each group, in return to the server's control flow, and sends a join on it. The server sends no
//! answer. The client leaves the group by closing the flow. The server sends hints on a flow of its own, in return to the
//! client's: only this association says which group a hint is about.

mod handover;
mod message;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub(crate) use self::message::MEMBER;
pub use self::message::{MAX_JOIN_LEN, MalformedJoin, Received, hint, join, join_by_text, read_hint, read_join};
use crate::digest::GroupDigest;

/// How much one client may join on its control channel.
#[derive(Clone, Copy, Debug)]
pub struct JoinLimits {
    /// How many groups a client may be in at a time, and also how many of its flows may have joined one.
    pub groups: usize,
    /// How many joins a client may send at once.
    pub burst: u32,
    /// The time after which a client may send one more join.
    pub interval: Duration,
}

impl Default for JoinLimits {
    /// 64 groups; 64 joins at once, and then one each second.
    fn default() -> Self {
        Self { groups: 64, burst: 64, interval: Duration::from_secs(1) }
    }
}

/// Why a message of a client was refused. The caller should reject the flow that the message came on with exception 0 (RFC 7016
/// §3.6.3.7) and keep the session. The client leaves what it had joined on that flow when the flow is reported as closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// The message is not a join.
    #[error(transparent)]
    Malformed(#[from] MalformedJoin),
    /// The client is in [`JoinLimits::groups`] groups.
    #[error("too many groups")]
    TooManyGroups,
    /// The client has sent more joins than it may.
    #[error("joins too often")]
    TooOften,
}

/// What a message or the end of a flow has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The group that the client was in, and is not in any more.
    pub left: Option<GroupDigest>,
    /// The group that the client is in now, and was not in before.
    pub joined: Option<GroupDigest>,
}

/// The groups that one client is in, by the flows on which it has joined them.
#[derive(Debug)]
pub struct GroupChannels {
    flows: SmallVec<[(u64, GroupDigest); 1]>,
    limits: JoinLimits,
    /// How many joins the client might send at `counted`.
    tokens: u32,
    counted: Instant,
}

impl GroupChannels {
    /// A client that is in no group yet.
    pub fn new(now: Instant, limits: JoinLimits) -> Self {
        Self { flows: SmallVec::new(), tokens: limits.burst, limits, counted: now }
    }

    /// Takes a message of the client on one of its group control flows. A second join on the same flow replaces the first (WIRE.md
    /// §2.3). The client leaves a group that it joined on several flows with the last of them.
    ///
    /// # Errors
    /// If the message is not a join, or exceeds a limit. Nothing has changed then.
    pub fn on_message(&mut self, now: Instant, flow: u64, message: &[u8]) -> Result<Change, JoinRefused> {
        let group = read_join(message)?;
        if !self.take_token(now) {
            return Err(JoinRefused::TooOften);
        }
        let is_full = self.flows.len() >= self.limits.groups;
        let known = match self.flows.iter_mut().find(|(known, _)| *known == flow) {
            Some((_, place)) if *place == group => return Ok(Change::default()),
            Some((_, place)) => Some(std::mem::replace(place, group)),
            None if is_full => return Err(JoinRefused::TooManyGroups),
            None => {
                self.flows.push((flow, group));
                None
            }
        };
        let first = self.flows.iter().filter(|(_, other)| *other == group).count() == 1;
        Ok(Change { left: known.filter(|left| !self.is_in(left)), joined: first.then_some(group) })
    }

    /// A group control flow of the client has ended: the client has closed it, or this end has rejected it.
    pub fn on_flow_closed(&mut self, flow: u64) -> Change {
        let Some(at) = self.flows.iter().position(|(known, _)| *known == flow) else { return Change::default() };
        let (_, group) = self.flows.swap_remove(at);
        Change { left: Some(group).filter(|left| !self.is_in(left)), joined: None }
    }

    /// The client is gone. Returns each group that it was in, once.
    pub fn close(&mut self) -> Vec<GroupDigest> {
        let mut groups: Vec<_> = self.groups().collect();
        groups.sort_unstable();
        groups.dedup();
        self.flows.clear();
        groups
    }

    /// Whether the client is in this group.
    pub fn is_in(&self, group: &GroupDigest) -> bool {
        self.flow_of(group).is_some()
    }

    /// The client's flow for this group, in return to which the server sends hints.
    pub fn flow_of(&self, group: &GroupDigest) -> Option<u64> {
        self.flows.iter().find(|(_, other)| other == group).map(|(flow, _)| *flow)
    }

    /// The groups that the client is in, one for each of its flows.
    pub fn groups(&self) -> impl Iterator<Item = GroupDigest> + '_ {
        self.flows.iter().map(|(_, group)| *group)
    }

    fn take_token(&mut self, now: Instant) -> bool {
        let interval = self.limits.interval.max(Duration::from_millis(1));
        let passed = now.saturating_duration_since(self.counted);
        let earned = u32::try_from(passed.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(self.limits.burst);
            // The rest of an interval counts towards the next token. After a long silence there is no rest.
            self.counted =
                interval.checked_mul(earned).and_then(|spent| self.counted.checked_add(spent)).unwrap_or(now);
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

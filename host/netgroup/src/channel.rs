//! The group control channel between a client and its server: flows with the metadata `47 43` (wire facts §7.1, §7.3, §7.4).
//!
//! A client opens one flow for each group, in return to the server's control flow, and says on it which group it joins. No
//! answer is due. It leaves by closing the flow. The server sends hints on a flow of its own, in return to the client's: that is
//! all that tells the client which group a hint is about.

mod message;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub use self::message::{MAX_JOIN_LEN, MalformedJoin, Received, hint, join, join_by_text, read_hint, read_join};
use super::GroupDigest;

/// What one client may do on its control channel.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many groups it may be in at a time, which is also how many of its flows may have joined one.
    pub groups: usize,
    /// How many joins it may send at once.
    pub burst: u32,
    /// After how long it may send one more.
    pub interval: Duration,
}

impl Default for Limits {
    /// 64 groups; 64 joins at once and then one each second.
    fn default() -> Self {
        Self { groups: 64, burst: 64, interval: Duration::from_secs(1) }
    }
}

/// Why a message of a client was not taken. Reject the flow that it came on with exception 0 (RFC 7016 §3.6.3.7); the session
/// goes on. What the flow had joined before is left when the flow is reported as closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// It makes no sense.
    #[error(transparent)]
    Malformed(#[from] MalformedJoin),
    /// The client is in as many groups as it may.
    #[error("too many groups")]
    TooManyGroups,
    /// The client joins too often.
    #[error("joins too often")]
    TooOften,
}

/// What a message or the end of a flow changed, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The group that the client is not in any more.
    pub left: Option<GroupDigest>,
    /// The group that the client is in now, and was not before.
    pub joined: Option<GroupDigest>,
}

/// Which groups one client is in, by the flows on which it joined them.
#[derive(Debug)]
pub struct GroupChannels {
    flows: SmallVec<[(u64, GroupDigest); 1]>,
    limits: Limits,
    /// How many joins are to be had at `counted`.
    tokens: u32,
    counted: Instant,
}

impl GroupChannels {
    /// A client that is in no group yet.
    pub fn new(now: Instant, limits: Limits) -> Self {
        Self { flows: SmallVec::new(), tokens: limits.burst, limits, counted: now }
    }

    /// A message of the client on one of its group control flows. A second join on the same flow replaces the first (wire
    /// facts §7.4); a group that was joined on several flows is left with the last of them.
    ///
    /// # Errors
    /// If the message is no join or comes over a limit. Nothing has changed then.
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

    /// A group control flow of the client has ended: closed, or rejected by this end.
    pub fn on_flow_closed(&mut self, flow: u64) -> Change {
        let Some(at) = self.flows.iter().position(|(known, _)| *known == flow) else { return Change::default() };
        let (_, group) = self.flows.swap_remove(at);
        Change { left: Some(group).filter(|left| !self.is_in(left)), joined: None }
    }

    /// The client is gone: each group that it was in, once.
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

    /// The client's flow for this group: the one that hints are sent in return to.
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
            // What is not a whole interval counts towards the next token; of a long silence nothing is left over.
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

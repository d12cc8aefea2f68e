//! The used cookies that opened a session, for another process that goes on with the sessions.

use std::time::{Duration, Instant};

use super::UsedCookies;
use crate::session_id::SessionId;
use crate::startup::initiator_keying::CookieKey;

/// A cookie that came back and opened a session.
pub(crate) struct AnsweredCookie {
    pub(crate) cookie: CookieKey,
    pub(crate) keying_hash: [u8; 16],
    pub(crate) entered: Instant,
    pub(crate) session: SessionId,
}

impl UsedCookies {
    /// The cookies that opened a session, in no order.
    pub(crate) fn answered(&self) -> impl Iterator<Item = AnsweredCookie> {
        self.table.entries().filter_map(|entry| {
            Some(AnsweredCookie {
                cookie: entry.cookie,
                keying_hash: entry.keying_hash,
                entered: self.epoch + Duration::from_secs(entry.second.into()),
                session: entry.session()?,
            })
        })
    }
}

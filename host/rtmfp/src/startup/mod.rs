//! How sessions begin (RFC 7016 §3.5.1), on both sides, as far as no session is needed for it.

pub(crate) mod backoff;
pub(crate) mod candidates;
mod cookie_table;
pub(crate) mod earnings;
pub(crate) mod fragments;
pub(crate) mod initiation;
pub(crate) mod initiator_keying;
pub(crate) mod keying_job;
pub(crate) mod revealed_keys;
pub(crate) mod sealer;
pub(crate) mod used_cookies;

//! How sessions begin (RFC 7016 §3.5.1): what both ends need before there is a session.
//!
//! An initiator has an `initiation`, which sends hellos to `candidates`. A responder remembers `used_cookies`, and makes an
//! `initiator_keying` of what is worth an answer. Both have their public-key work done in a `keying_job`.

pub(crate) mod backoff;
pub(crate) mod candidates;
mod cookie_table;
pub(crate) mod earnings;
pub(crate) mod fragments;
pub(crate) mod initiation;
pub(crate) mod initiator_keying;
pub(crate) mod keying_job;
pub(crate) mod long_hellos;
pub(crate) mod revealed_keys;
pub(crate) mod sealer;
pub(crate) mod used_cookies;

//! Whether peers that the server introduced have met.
//!
//! An initiator sends its hello, with the same tag, to every address that it knows, the server's among them, and repeats it until a responder
//! answers (RFC 7016 §3.5.1.1.1; `client-facts-and-baselines.md`, "Repeats"). So the server sees no meeting, but it sees when the repeats
//! stop. `attempts` follows each attempt of an asker, by its address and tag, until it is quiet; `outcome` says what a quiet attempt
//! means; `counts` counts the outcomes by the kinds of NAT at both ends (`nat_kind`), for the administration.
//!
//! The server cannot tell everything. An asker that leaves before it repeats its hello counts as met, and so does one whose packets reach the
//! target but whose handshake fails after that.

pub mod advice;
mod attempts;
mod counts;
mod deciding_policy;
mod mixer;
mod nat_kind;
mod outcome;
mod outlook;
mod places;
mod verdict_counts;

pub use attempts::{Attempt, Attempts, Ends, Followed, MAX_ATTEMPTS, MAX_STRANGERS};
pub use counts::{Meetings, PairCount, pairs};
pub use deciding_policy::DecidingPolicy;
pub use nat_kind::NatKind;
pub use outcome::{LookupAnswer, Outcome};
pub use outlook::{Outlook, Sight, outlook};
pub use verdict_counts::{VerdictCount, VerdictCounts};

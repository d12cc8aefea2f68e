//! The cryptography profile for Flash communication (RFC 7425 §4).
//!
//! Nothing here holds a source of randomness: callers pass a [`rand_core::CryptoRng`].

pub mod certificate;
pub mod cipher;
pub mod component;
pub mod cookie;
pub mod dh;
pub mod epd;
mod error;
pub mod identity;
mod keyed_hmac;
pub mod keying;
pub mod peer_id;
pub mod replay;
pub mod session_keys;
pub mod signature;

pub use certificate::Certificate;
pub use cipher::{Opener, Rejected, Sealer};
pub use component::{HmacPreference, Preferences, SequencePreference};
pub use cookie::{CookieJar, CookieVerdict};
pub use dh::{Group, KeyPair, SharedSecret};
pub use epd::Epd;
pub use error::{KeyingError, UnacceptableKey};
pub use identity::Identity;
pub(crate) use keyed_hmac::KeyedHmac;
pub use keying::{Offer, Response, respond};
pub use peer_id::PeerId;
pub use session_keys::{KeyLog, SessionKeys};
pub use signature::{Password, Signing};

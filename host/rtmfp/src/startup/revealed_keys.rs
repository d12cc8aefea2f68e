//! What is recorded of a session, so that its traffic can be read later.

use crate::crypto::{KeyLog, SessionKeys};

/// All the secrets of a session: with them its packets can be read and forged.
#[derive(Debug)]
pub struct RevealedKeys {
    /// The Diffie-Hellman secret and what it was made of.
    pub log: KeyLog,
    /// Whether the near end was the initiator.
    pub is_initiator: bool,
    /// The Session Key Initiator Component.
    pub initiator_component: Vec<u8>,
    /// The Session Key Responder Component.
    pub responder_component: Vec<u8>,
    /// The initiator's certificate.
    pub initiator_certificate: Vec<u8>,
    /// The responder's certificate.
    pub responder_certificate: Vec<u8>,
    /// The keys, as the near end uses them.
    pub keys: SessionKeys,
}

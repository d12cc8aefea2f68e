//! The sessions of a recording.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use rtmfp::RevealedKeys;
use rtmfp::crypto::component::Settled;
use rtmfp::crypto::{Certificate, SessionKeys};
use rtmfp::wire::{Malformed, Mode};

/// An end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It opened the session.
    Initiator,
    /// It answered.
    Responder,
}

impl Role {
    pub(super) const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }

    /// What marks the packets that this end sends (RFC 7016 §2.2.4).
    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Initiator => Mode::Initiator,
            Self::Responder => Mode::Responder,
        }
    }
}

/// Where an end of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndPlace {
    /// Its address.
    pub address: SocketAddr,
    /// The id that it chose for the session, that is the one on packets sent to it. If it is not known, it is taken from the
    /// recorded IIKeying or RIKeying.
    pub session_id: Option<u32>,
}

/// One end of a recorded session.
#[derive(Clone, PartialEq, Eq)]
pub struct EndRecord {
    /// Where it is.
    pub place: EndPlace,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its session keying component.
    pub component: Vec<u8>,
    /// Its Diffie-Hellman private key, if known.
    pub dh_private: Option<Vec<u8>>,
    /// The key that it encrypts with, in full (RFC 7425 §4.6.3).
    pub encrypt_key: [u8; 32],
    /// The key of the HMACs that it sends (§4.6.4).
    pub hmac_key: [u8; 32],
    /// The length of the HMACs that it sends; 0: it sends the checksum.
    pub hmac_length: u8,
    /// Whether it sends session sequence numbers (§4.6.6).
    pub sequence_numbers: bool,
    /// Its near nonce (§4.6.5).
    pub nonce: [u8; 32],
}

/// A session with all its secrets.
#[derive(Clone)]
pub struct SessionRecord {
    /// The number of the Diffie-Hellman group.
    pub dh_group: u64,
    /// DH_SECRET (§4.6.2).
    pub dh_secret: Vec<u8>,
    /// The end that opened the session.
    pub initiator: EndRecord,
    /// The end that answered.
    pub responder: EndRecord,
    /// The end that reported all this.
    pub reported_by: Role,
}

impl SessionRecord {
    /// The record of a session from what an endpoint reveals of it.
    ///
    /// # Errors
    /// If a certificate is not one.
    pub fn from_revealed(revealed: &RevealedKeys, near: EndPlace, far: EndPlace) -> Result<Self, Malformed> {
        let (keys, log) = (&revealed.keys, &revealed.log);
        let near_role = if revealed.is_initiator { Role::Initiator } else { Role::Responder };
        let end = |role: Role| {
            let (certificate, component) = match role {
                Role::Initiator => (&revealed.initiator_certificate, &revealed.initiator_component),
                Role::Responder => (&revealed.responder_certificate, &revealed.responder_component),
            };
            let (certificate, component) = (Certificate::parse(certificate)?, component.clone());
            let settled = &keys.verification;
            Ok(if role == near_role {
                EndRecord {
                    place: near,
                    certificate,
                    component,
                    dh_private: Some(log.dh_private.clone()),
                    encrypt_key: log.encrypt_key,
                    hmac_key: keys.hmac_send_key,
                    hmac_length: settled.hmac_send_length,
                    sequence_numbers: settled.sequence_send,
                    nonce: keys.near_nonce,
                }
            } else {
                EndRecord {
                    place: far,
                    certificate,
                    component,
                    dh_private: None,
                    encrypt_key: log.decrypt_key,
                    hmac_key: keys.hmac_receive_key,
                    hmac_length: settled.hmac_receive_length,
                    sequence_numbers: settled.sequence_receive,
                    nonce: keys.far_nonce,
                }
            })
        };
        Ok(Self {
            dh_group: log.group,
            dh_secret: log.dh_secret.clone(),
            initiator: end(Role::Initiator)?,
            responder: end(Role::Responder)?,
            reported_by: near_role,
        })
    }

    pub(super) fn end(&self, role: Role) -> &EndRecord {
        match role {
            Role::Initiator => &self.initiator,
            Role::Responder => &self.responder,
        }
    }

    fn end_mut(&mut self, role: Role) -> &mut EndRecord {
        match role {
            Role::Initiator => &mut self.initiator,
            Role::Responder => &mut self.responder,
        }
    }

    /// The keys as the receiver of what `sender` sends uses them.
    pub(super) fn keys_from(&self, sender: Role) -> SessionKeys {
        let (far, near) = (self.end(sender), self.end(sender.other()));
        let first_half = |key: &[u8; 32]| key.first_chunk().copied().unwrap_or_default();
        SessionKeys {
            encrypt_key: first_half(&near.encrypt_key),
            decrypt_key: first_half(&far.encrypt_key),
            hmac_send_key: near.hmac_key,
            hmac_receive_key: far.hmac_key,
            near_nonce: near.nonce,
            far_nonce: far.nonce,
            verification: Settled {
                hmac_send_length: near.hmac_length,
                hmac_receive_length: far.hmac_length,
                sequence_send: near.sequence_numbers,
                sequence_receive: far.sequence_numbers,
            },
        }
    }
}

impl fmt::Debug for SessionRecord {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("initiator", &self.initiator.place)
            .field("responder", &self.responder.place)
            .field("reported_by", &self.reported_by)
            .finish_non_exhaustive()
    }
}

/// A session as its ends reported it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) record: SessionRecord,
    /// Not only the end that [`SessionRecord::reported_by`] names has reported it.
    pub(super) both_reported: bool,
    /// The ends do not agree about the secrets.
    pub(super) disagreement: bool,
}

/// All sessions, in the order in which they were first reported.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Vec<Session>,
    /// The sessions' positions in `all` by their two components, which two sessions have in common only by intention.
    by_components: HashMap<(Vec<u8>, Vec<u8>), Vec<usize>>,
}

impl Sessions {
    /// Adds a session, or completes it if its other end has reported it. False if there are `limit` sessions already.
    pub(super) fn add(&mut self, mut record: SessionRecord, limit: usize) -> bool {
        for role in Role::BOTH {
            let place = &mut record.end_mut(role).place;
            place.address = canonical(place.address);
        }
        let components = (record.initiator.component.clone(), record.responder.component.clone());
        for place in self.by_components.get(&components).into_iter().flatten() {
            if let Some(known) = self.all.get_mut(*place).filter(|known| known.may_be(&record)) {
                known.complete(record);
                return true;
            }
        }
        if self.all.len() >= limit {
            return false;
        }
        self.by_components.entry(components).or_default().push(self.all.len());
        self.all.push(Session { record, both_reported: false, disagreement: false });
        true
    }

    /// Whether there is a session of which an end's id was not reported.
    pub(super) fn have_unknown_ids(&self) -> bool {
        let unknown = |session: &Session, role| session.record.end(role).place.session_id.is_none();
        self.all.iter().any(|session| Role::BOTH.into_iter().any(|role| unknown(session, role)))
    }

    /// Fills in session ids that were not reported. `id_of` finds the one that the sender of a keying component chose.
    /// Returned are the sessions of which both are known, and how many others there were.
    pub(super) fn resolved(self, id_of: impl Fn(Role, &[u8]) -> Option<u32>) -> (Vec<Session>, usize) {
        let count = self.all.len();
        let mut all = self.all;
        all.retain_mut(|session| {
            Role::BOTH.into_iter().all(|role| {
                let end = session.record.end_mut(role);
                end.place.session_id = end.place.session_id.or_else(|| id_of(role, &end.component));
                end.place.session_id.is_some()
            })
        });
        let lost = count - all.len();
        (all, lost)
    }
}

impl Session {
    /// Whether the record, which has the same components, is of this session.
    fn may_be(&self, record: &SessionRecord) -> bool {
        Role::BOTH.into_iter().all(|role| {
            let ids = (self.record.end(role).place.session_id, record.end(role).place.session_id);
            !matches!(ids, (Some(known), Some(reported)) if known != reported)
        })
    }

    fn complete(&mut self, reported: SessionRecord) {
        self.both_reported |= self.record.reported_by != reported.reported_by;
        self.disagreement |= self.record.dh_secret != reported.dh_secret || self.record.dh_group != reported.dh_group;
        let SessionRecord { initiator, responder, .. } = reported;
        for (role, reported) in [(Role::Initiator, initiator), (Role::Responder, responder)] {
            let known = self.record.end_mut(role);
            known.place.session_id = known.place.session_id.or(reported.place.session_id);
            if known.dh_private.is_none() {
                known.dh_private.clone_from(&reported.dh_private);
            }
            // Addresses may differ, for there may be a NAT between the ends. An end can only have one private key.
            let same = EndRecord {
                place: known.place,
                dh_private: reported.dh_private.clone().or_else(|| known.dh_private.clone()),
                ..reported
            };
            self.disagreement |= same != *known;
        }
    }
}

/// The address with an IPv4 address that is mapped into IPv6 as what it is.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

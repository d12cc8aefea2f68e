//! Keying a session: the public-key work of both ends (RFC 7425 §4.5, §4.6).
//!
//! All of it is plain values that can move to another thread: an initiator makes an [`Offer`] and completes it with what the
//! responder sent; a responder calls [`respond`] once.

use rand_core::CryptoRng;

use super::certificate::Certificate;
use super::component;
use super::component::{Component, Negotiation, Preferences, Settled};
use super::dh::{Group, KeyPair, SharedSecret, check_public_key};
use super::error::KeyingError;
use super::identity::{Identity, group_value};
use super::session_keys::{KeyLog, SessionKeys, derive};
use crate::wire::option;

/// How much Extra Randomness a static identity adds to a component: §4.5.2.2 wants 16 to 64 bytes.
const RANDOMNESS_LEN: usize = 64;

/// What an initiator sends, and what it has to remember until the answer comes.
#[derive(Debug)]
pub struct Offer {
    /// The Session Key Initiator Component.
    pub component: Vec<u8>,
    group: Group,
    /// A fresh pair, or a copy of the one in the identity, so that an offer stands alone.
    pair: KeyPair,
    /// The responder's static public key, where it has one.
    responder_key: Option<Box<[u8]>>,
    negotiation: Negotiation,
    preferences: Preferences,
}

impl Offer {
    /// Composes the initiator's component for a responder with this certificate, in the first of
    /// this identity's groups that the certificate has too.
    ///
    /// `ready` is a fresh key pair made beforehand; it is used if it is of the right group and this identity's keys are ephemeral,
    /// otherwise dropped.
    pub fn new(
        identity: &Identity,
        responder: &Certificate,
        preferences: &Preferences,
        ready: Option<KeyPair>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, KeyingError> {
        let group = common_group(identity, responder).ok_or(KeyingError::NoCommonGroup)?;
        let responder_key = responder.static_key(group).map(Box::from);
        let mut component = Vec::new();
        let pair = match identity.static_key(group) {
            // §4.6.1.3, §4.6.1.4: the selection, and randomness to salt the keys.
            Some(keys) => {
                option::put(component::GROUP_SELECT, &group_value(group, &[]), &mut component);
                put_randomness(&mut component, rng);
                keys.clone()
            }
            // §4.6.1.1, §4.6.1.2: the key says which group.
            None => {
                let keys = fresh(group, ready, rng);
                option::put(component::EPHEMERAL_KEY, &group_value(group, keys.public()), &mut component);
                keys
            }
        };
        let negotiation = Negotiation::propose(preferences);
        negotiation.put(&mut component);
        Ok(Self { component, group, pair, responder_key, negotiation, preferences: *preferences })
    }

    /// The group chosen.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Computes the session's keys from the Session Key Responder Component.
    pub fn complete(&self, responder_component: &[u8]) -> Result<Completed, KeyingError> {
        self.complete_with(responder_component, None)
    }

    /// The same. `beforehand` is the secret that comes of [`Self::agreement`] with this component, if it was computed already.
    pub(crate) fn complete_with(
        &self,
        responder_component: &[u8],
        beforehand: Option<SharedSecret>,
    ) -> Result<Completed, KeyingError> {
        let far = Component::parse(responder_component)?;
        let verification = self.negotiation.settle(&far.negotiation, &self.preferences)?;
        let secret = match beforehand {
            Some(secret) => secret,
            None => self.pair.agree(self.their_public(&far)?)?,
        };
        Ok(finish(&self.pair, &secret, &self.component, responder_component, verification, &self.preferences))
    }

    /// The key pair and the responder's public key that the secret is made of; `None` if [`Self::complete`] refuses the component.
    pub(crate) fn agreement<'a>(&'a self, responder_component: &'a [u8]) -> Option<(&'a KeyPair, &'a [u8])> {
        let far = Component::parse(responder_component).ok()?;
        self.negotiation.settle(&far.negotiation, &self.preferences).ok()?;
        Some((&self.pair, self.their_public(&far).ok()?))
    }

    fn their_public<'a>(&'a self, far: &Component<'a>) -> Result<&'a [u8], KeyingError> {
        if let Some(key) = &self.responder_key {
            return Ok(&**key);
        }
        let (group, key) = far.ephemeral_key.ok_or(KeyingError::KeyMissing)?;
        if group == self.group.id() { Ok(key) } else { Err(KeyingError::NoCommonGroup) }
    }
}

/// The outcome of keying.
#[derive(Debug)]
pub struct Completed {
    /// What packets are sealed and opened with.
    pub keys: SessionKeys,
    /// The secrets behind the keys, if [`Preferences::log_keys`] asks for them.
    pub log: Option<Box<KeyLog>>,
}

/// What a responder sends, and the keys that follow from it.
#[derive(Debug)]
pub struct Response {
    /// The Session Key Responder Component.
    pub component: Vec<u8>,
    /// What packets are sealed and opened with.
    pub keys: SessionKeys,
    /// The secrets behind the keys, if [`Preferences::log_keys`] asks for them.
    pub log: Option<Box<KeyLog>>,
}

/// Answers an initiator's component: the whole public-key work of a responder.
///
/// `ready` is a fresh key pair made beforehand; it is used if it is of the group that the initiator chose and this end's keys are
/// ephemeral, otherwise dropped. Our component is always written in the order HMAC, sequence numbers, key: librtmfp reads
/// it by position.
pub fn respond(
    identity: &Identity,
    initiator: &Certificate,
    initiator_component: &[u8],
    preferences: &Preferences,
    ready: Option<KeyPair>,
    rng: &mut impl CryptoRng,
) -> Result<Response, KeyingError> {
    respond_with(identity, initiator, initiator_component, preferences, (ready, None), rng)
}

/// As [`respond`]. `beforehand` is a fresh key pair, and the secret that was agreed on with it, or with the identity's own one, as
/// [`agreement`] says.
pub(crate) fn respond_with(
    identity: &Identity,
    initiator: &Certificate,
    initiator_component: &[u8],
    preferences: &Preferences,
    beforehand: (Option<KeyPair>, Option<SharedSecret>),
    rng: &mut impl CryptoRng,
) -> Result<Response, KeyingError> {
    let (ready, agreed) = beforehand;
    let Acceptable { group, their_public, negotiation, verification } =
        accept(identity, initiator, initiator_component, preferences)?;

    let mut component = Vec::new();
    negotiation.put(&mut component);
    let made;
    let pair = match identity.static_key(group) {
        Some(keys) => {
            put_randomness(&mut component, rng);
            keys
        }
        None => {
            made = fresh(group, ready, rng);
            option::put(component::EPHEMERAL_KEY, &group_value(group, made.public()), &mut component);
            &made
        }
    };
    let secret = match agreed {
        Some(secret) => secret,
        None => pair.agree(their_public)?,
    };
    let Completed { keys, log } = finish(pair, &secret, &component, initiator_component, verification, preferences);
    Ok(Response { component, keys, log })
}

/// The key pair and the initiator's public key with which [`respond`] agrees on a secret; `None` where it makes the key pair itself or
/// refuses.
pub(crate) fn agreement<'a>(
    identity: &'a Identity,
    initiator: &'a Certificate,
    initiator_component: &'a [u8],
    preferences: &Preferences,
    ready: Option<&'a KeyPair>,
) -> Option<(&'a KeyPair, &'a [u8])> {
    let Acceptable { group, their_public, .. } = accept(identity, initiator, initiator_component, preferences).ok()?;
    let pair = identity.static_key(group).or(ready.filter(|pair| pair.group() == group))?;
    Some((pair, their_public))
}

/// The group that an initiator chooses: the first of its own that the responder's certificate has too, be it with a static key or for
/// ephemeral ones.
pub(crate) fn common_group(initiator: &Identity, responder: &Certificate) -> Option<Group> {
    let usable = |group: &Group| responder.has_ephemeral_group(*group) || responder.static_key(*group).is_some();
    initiator.groups().iter().copied().find(usable)
}

/// What a responder reads from an initiator's keying before it computes anything.
pub(crate) struct Acceptable<'a> {
    /// The group that the initiator chose.
    pub(crate) group: Group,
    their_public: &'a [u8],
    negotiation: Negotiation,
    verification: Settled,
}

/// Makes every test of an initiator's component that needs no exponentiation: what passes is worth a computation.
pub(crate) fn accept<'a>(
    identity: &Identity,
    initiator: &'a Certificate,
    initiator_component: &'a [u8],
    preferences: &Preferences,
) -> Result<Acceptable<'a>, KeyingError> {
    let far = Component::parse(initiator_component)?;
    let negotiation = Negotiation::answer(preferences, &far.negotiation);
    let verification = negotiation.settle(&far.negotiation, preferences)?;
    // §4.6.1: an initiator with static keys selects one of them, any other sends a key.
    let (group, their_public) = if initiator.has_static_keys() {
        let group = known_group(identity, far.group_select.ok_or(KeyingError::KeyMissing)?)?;
        (group, initiator.static_key(group).ok_or(KeyingError::KeyMissing)?)
    } else {
        let (group, key) = far.ephemeral_key.ok_or(KeyingError::KeyMissing)?;
        (known_group(identity, group)?, key)
    };
    check_public_key(group, their_public)?;
    Ok(Acceptable { group, their_public, negotiation, verification })
}

/// The group of this number, if this end's identity offers it.
fn known_group(identity: &Identity, id: u64) -> Result<Group, KeyingError> {
    Group::from_id(id).filter(|group| identity.groups().contains(group)).ok_or(KeyingError::NoCommonGroup)
}

fn fresh(group: Group, ready: Option<KeyPair>, rng: &mut impl CryptoRng) -> KeyPair {
    ready.filter(|keys| keys.group() == group).unwrap_or_else(|| KeyPair::generate(group, rng))
}

fn put_randomness(component: &mut Vec<u8>, rng: &mut impl CryptoRng) {
    let mut randomness = [0; RANDOMNESS_LEN];
    rng.fill_bytes(&mut randomness);
    option::put(component::EXTRA_RANDOMNESS, &randomness, component);
}

fn finish(
    pair: &KeyPair,
    secret: &SharedSecret,
    near: &[u8],
    far: &[u8],
    verification: Settled,
    preferences: &Preferences,
) -> Completed {
    let (keys, full) = derive(secret, near, far, verification);
    let log = preferences.log_keys.then(|| {
        Box::new(KeyLog {
            group: pair.group().id(),
            dh_secret: secret.expose().to_vec(),
            dh_private: pair.expose_private().to_vec(),
            encrypt_key: full.encrypt,
            decrypt_key: full.decrypt,
        })
    });
    Completed { keys, log }
}

#[cfg(test)]
mod tests;

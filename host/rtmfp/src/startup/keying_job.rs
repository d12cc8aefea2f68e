//! Public-key work as a value: the endpoint makes it, and the driver runs it on any thread.

use std::net::SocketAddr;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::initiation::Completion;
use super::initiator_keying::InitiatorKeying;
use super::revealed_keys::RevealedKeys;
use crate::config::Config;
use crate::crypto::keying::{Completed, agreement, common_group, respond_with};
use crate::crypto::{
    Certificate, Group, Identity, KeyPair, KeyingError, Offer, Preferences, SessionKeys, SharedSecret, Signing,
};
use crate::session_id::SessionId;
use crate::wire::chunk::RIKeying;

/// One piece of public-key work, some 0.1 to 5 ms long.
pub struct KeyingJob {
    seed: [u8; 32],
    preferences: Preferences,
    ready: Option<KeyPair>,
    /// The secret of a session, if it was computed together with those of others.
    secret: Option<SharedSecret>,
    work: Work,
}

enum Work {
    /// A responder's whole part.
    Respond { identity: Arc<Identity>, keying: Box<InitiatorKeying> },
    /// An initiator's first part: its own keys.
    Offer { session: SessionId, identity: Arc<Identity>, responder: Certificate },
    /// An initiator's second part: the session's keys.
    Complete {
        session: SessionId,
        completion: Box<Completion>,
        rikeying: Vec<u8>,
        near_certificate: Vec<u8>,
        signing: Arc<Signing>,
    },
}

/// The result of a [`KeyingJob`].
pub struct KeyingDone(pub(crate) Outcome);

pub(crate) enum Outcome {
    Responded {
        keying: Box<InitiatorKeying>,
        response: Result<Box<Responded>, KeyingError>,
    },
    /// The driver has dropped an initiator's keying.
    Refused {
        keying: Box<InitiatorKeying>,
    },
    Offered {
        session: SessionId,
        identity: Arc<Identity>,
        offer: Result<Box<Offer>, KeyingError>,
    },
    Completed {
        session: SessionId,
        completion: Box<Completion>,
        result: Result<Box<Keyed>, KeyingError>,
    },
}

/// A responder's answer, and the session that it makes.
pub(crate) struct Responded {
    pub(crate) component: Vec<u8>,
    pub(crate) keys: SessionKeys,
    pub(crate) revealed: Option<Box<RevealedKeys>>,
}

/// The session that a responder's answer makes.
pub(crate) struct Keyed {
    pub(crate) far_id: u32,
    pub(crate) keys: SessionKeys,
    pub(crate) revealed: Option<Box<RevealedKeys>>,
}

impl std::fmt::Debug for KeyingJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyingJob").finish_non_exhaustive()
    }
}

impl KeyingJob {
    pub(crate) fn respond(seed: [u8; 32], config: &Config, identity: Arc<Identity>, keying: InitiatorKeying) -> Self {
        let work = Work::Respond { identity, keying: Box::new(keying) };
        Self { seed, preferences: config.keying, ready: None, secret: None, work }
    }

    pub(crate) fn offer(
        seed: [u8; 32],
        config: &Config,
        session: SessionId,
        identity: Arc<Identity>,
        responder: Certificate,
    ) -> Self {
        let work = Work::Offer { session, identity, responder };
        Self { seed, preferences: config.keying, ready: None, secret: None, work }
    }

    pub(crate) fn complete(
        seed: [u8; 32],
        config: &Config,
        session: SessionId,
        completion: Completion,
        rikeying: &[u8],
        near_certificate: &[u8],
    ) -> Self {
        let work = Work::Complete {
            session,
            completion: Box::new(completion),
            rikeying: rikeying.to_vec(),
            near_certificate: near_certificate.to_vec(),
            signing: Arc::clone(&config.signing),
        };
        Self { seed, preferences: config.keying, ready: None, secret: None, work }
    }

    /// The address of the initiator whose keying this answers; `None` for a session that this end begins.
    pub fn initiator(&self) -> Option<SocketAddr> {
        match &self.work {
            Work::Respond { keying, .. } => Some(keying.transmit.to),
            _ => None,
        }
    }

    /// The group that the work is done in, which says how much work it is. `None` for the first part of a session that this end opens.
    pub fn group(&self) -> Option<Group> {
        match &self.work {
            Work::Respond { keying, .. } => Some(keying.group),
            Work::Offer { .. } => None,
            Work::Complete { completion, .. } => Some(completion.offer.group()),
        }
    }

    /// Gives up answering an initiator, which will repeat its keying. Hand the result to
    /// [`Endpoint::keying_done`](crate::Endpoint::keying_done).
    ///
    /// # Errors
    /// For a session that this end begins the job comes back: run it, or give the session up.
    pub fn refuse(self) -> Result<KeyingDone, Box<Self>> {
        match self.work {
            Work::Respond { keying, .. } => Ok(KeyingDone(Outcome::Refused { keying })),
            work => Err(Box::new(Self { work, ..self })),
        }
    }

    /// The group in which a fresh key pair will be made, if one will: a driver that keeps some in store can give one to
    /// [`Self::with_key_pair`] and so halve the work.
    pub fn wants_key_pair(&self) -> Option<Group> {
        let (identity, group) = match &self.work {
            Work::Respond { identity, keying } => (identity, keying.group),
            Work::Offer { identity, responder, .. } => (identity, common_group(identity, responder)?),
            Work::Complete { .. } => return None,
        };
        identity.static_key(group).is_none().then_some(group)
    }

    /// Whether it has been given a key pair.
    pub fn has_key_pair(&self) -> bool {
        self.ready.is_some()
    }

    /// Gives the job a fresh key pair, if there is one: made with strong randomness and never used before.
    #[must_use]
    pub fn with_key_pair(mut self, ready: impl Into<Option<KeyPair>>) -> Self {
        self.ready = ready.into().or(self.ready);
        self
    }

    /// Does the work of these jobs, as [`Self::run`] does it for each. The secrets of responders that have their key pairs, and those of initiators,
    /// are computed together, which takes less time than one after the other.
    pub fn run_all(mut jobs: Vec<Self>) -> Vec<KeyingDone> {
        let (places, keys): (Vec<usize>, Vec<_>) =
            jobs.iter().enumerate().filter_map(|(place, job)| Some((place, job.agreement()?))).unzip();
        for (place, secret) in places.into_iter().zip(KeyPair::agree_each(&keys)) {
            // Without a secret the job fails by itself, and says why.
            if let Some(job) = jobs.get_mut(place) {
                job.secret = secret.ok();
            }
        }
        jobs.into_iter().map(Self::run).collect()
    }

    fn agreement(&self) -> Option<(&KeyPair, &[u8])> {
        match &self.work {
            Work::Respond { identity, keying } => {
                agreement(identity, &keying.certificate, &keying.component, &self.preferences, self.ready.as_ref())
            }
            Work::Offer { .. } => None,
            Work::Complete { completion, rikeying, .. } => {
                completion.offer.agreement(RIKeying::parse(rikeying).ok()?.component)
            }
        }
    }

    /// Does the work.
    pub fn run(self) -> KeyingDone {
        let mut rng = ChaCha20Rng::from_seed(self.seed);
        KeyingDone(match self.work {
            Work::Respond { identity, keying } => {
                let initiator = &keying.certificate;
                let component = &keying.component[..];
                let beforehand = (self.ready, self.secret);
                let response = respond_with(&identity, initiator, component, &self.preferences, beforehand, &mut rng);
                let response = response.map(|response| {
                    let revealed = response.log.map(|log| {
                        Box::new(RevealedKeys {
                            log: *log,
                            is_initiator: false,
                            initiator_component: component.to_vec(),
                            responder_component: response.component.clone(),
                            initiator_certificate: initiator.as_bytes().to_vec(),
                            responder_certificate: identity.certificate().as_bytes().to_vec(),
                            keys: response.keys.clone(),
                        })
                    });
                    let (component, keys) = (response.component, response.keys);
                    Box::new(Responded { component, keys, revealed })
                });
                Outcome::Responded { keying, response }
            }
            Work::Offer { session, identity, responder } => {
                let offer = Offer::new(&identity, &responder, &self.preferences, self.ready, &mut rng).map(Box::new);
                Outcome::Offered { session, identity, offer }
            }
            Work::Complete { session, completion, rikeying, near_certificate, signing } => {
                let result = complete(&completion, &rikeying, near_certificate, &signing, self.secret).map(Box::new);
                Outcome::Completed { session, completion, result }
            }
        })
    }
}

fn complete(
    completion: &Completion,
    payload: &[u8],
    near_certificate: Vec<u8>,
    signing: &Signing,
    secret: Option<SharedSecret>,
) -> Result<Keyed, KeyingError> {
    let rikeying = RIKeying::parse(payload)?;
    // RFC 7016 §2.3.8: the responder signs its portion and the component that it answers.
    let signed = [rikeying.signed_portion, &completion.offer.component].concat();
    if !signing.accepts_responder(rikeying.signature, &signed) {
        return Err(KeyingError::SignatureRequired);
    }
    let Completed { keys, log } = completion.offer.complete_with(rikeying.component, secret)?;
    let revealed = log.map(|log| {
        Box::new(RevealedKeys {
            log: *log,
            is_initiator: true,
            initiator_component: completion.offer.component.clone(),
            responder_component: rikeying.component.to_vec(),
            initiator_certificate: near_certificate,
            responder_certificate: completion.certificate.as_bytes().to_vec(),
            keys: keys.clone(),
        })
    });
    Ok(Keyed { far_id: rikeying.session_id, keys, revealed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Group::{Modp2, Modp14};
    use crate::test_clock::test_clock;
    use crate::transmit::{InterfaceId, Transmit};
    use crate::wire::chunk::IIKeying;

    fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn ephemeral(groups: &[Group]) -> Arc<Identity> {
        Arc::new(Identity::ephemeral(groups, None, true, &mut rng(1)))
    }

    fn fixed(groups: &[Group], seed: u64) -> Arc<Identity> {
        Arc::new(Identity::fixed(groups, &mut rng(seed)))
    }

    fn offer_job(initiator: &Arc<Identity>, responder: &Identity) -> KeyingJob {
        let (config, session) = (Config::peer(Arc::clone(initiator)), SessionId(1 << 22));
        KeyingJob::offer([1; 32], &config, session, Arc::clone(initiator), responder.certificate().clone())
    }

    fn respond_job(initiator: &Identity, responder: &Arc<Identity>) -> KeyingJob {
        let config = Config::server(vec![Arc::clone(responder)]);
        let offer = Offer::new(initiator, responder.certificate(), &config.keying, None, &mut rng(3)).unwrap();
        let chunk = IIKeying {
            session_id: 1,
            cookie_echo: &[],
            certificate: &[],
            component: &offer.component,
            signature: &[],
            signed_parameters: &[],
        };
        let transmit = Transmit { interface: InterfaceId(0), to: ([192, 0, 2, 1], 1935).into() };
        let certificate = initiator.certificate().clone();
        let keying = InitiatorKeying::new(&chunk, [0; 16], test_clock(), transmit, certificate, offer.group());
        KeyingJob::respond([2; 32], &config, Arc::clone(responder), keying)
    }

    /// The component that a job sends.
    fn component(done: KeyingDone) -> Vec<u8> {
        match done.0 {
            Outcome::Offered { offer: Ok(offer), .. } => offer.component.clone(),
            Outcome::Responded { response: Ok(response), .. } => response.component,
            _ => panic!("no component"),
        }
    }

    /// What the job wants is `expected`, it sends the key pair that it is given, and makes one of its own otherwise.
    fn check(what: &str, job: impl Fn() -> KeyingJob, expected: Option<Group>) {
        assert_eq!(job().wants_key_pair(), expected, "{what}");
        for group in [Modp2, Modp14] {
            let pair = KeyPair::generate(group, &mut rng(4));
            let sent = component(job().with_key_pair(pair.clone()).run());
            let is_sent = sent.windows(pair.public().len()).any(|bytes| bytes == pair.public());
            assert_eq!(is_sent, expected == Some(group), "{what}: {group:?}");
        }
    }

    /// By it a driver tells little work from much.
    #[test]
    fn an_answer_is_computed_in_the_group_that_the_initiator_chose() {
        for group in [Modp2, Modp14] {
            let job = respond_job(&ephemeral(&[group]), &ephemeral(&[Modp2, Modp14]));
            assert_eq!(job.group(), Some(group));
        }
        assert_eq!(offer_job(&ephemeral(&[Modp2]), &ephemeral(&[Modp2])).group(), None);
    }

    #[test]
    fn a_fresh_key_pair_is_wanted_in_the_agreed_group_where_this_ends_keys_are_ephemeral() {
        // The initiator's order decides, and the responder's certificate says what can be used.
        let groups = [Modp14, Modp2];
        for responder in [ephemeral(&[Modp2, Modp14]), fixed(&[Modp2, Modp14], 2)] {
            check("an offer", || offer_job(&ephemeral(&groups), &responder), Some(Modp14));
            check("an offer with a static key", || offer_job(&fixed(&groups, 5), &responder), None);
        }
        for responder in [ephemeral(&[Modp2]), fixed(&[Modp2], 2)] {
            check("an offer of the second choice", || offer_job(&ephemeral(&groups), &responder), Some(Modp2));
        }
        for initiator in [ephemeral(&groups), fixed(&groups, 5)] {
            check("an answer", || respond_job(&initiator, &ephemeral(&[Modp2, Modp14])), Some(Modp14));
            check("an answer in the only group", || respond_job(&initiator, &ephemeral(&[Modp2])), Some(Modp2));
            check("an answer with a static key", || respond_job(&initiator, &fixed(&[Modp2, Modp14], 2)), None);
        }
        for responder in [ephemeral(&[Group::Modp5]), fixed(&[Group::Modp5], 2)] {
            assert_eq!(offer_job(&ephemeral(&groups), &responder).wants_key_pair(), None, "no group in common");
        }
    }

    #[test]
    fn many_jobs_at_once_have_the_outcomes_that_each_has_alone() {
        let initiators = [1, 2, 3].map(|seed| Identity::ephemeral(&[Modp2], None, false, &mut rng(seed)));
        let (fixed, fresh) = (fixed(&[Modp2], 7), ephemeral(&[Modp2, Modp14]));
        let jobs = || {
            let mut jobs: Vec<_> =
                initiators.iter().flat_map(|one| [respond_job(one, &fixed), respond_job(one, &fresh)]).collect();
            // One that has its key pair, and one that will be refused.
            jobs.push(respond_job(&initiators[0], &fresh).with_key_pair(KeyPair::generate(Modp2, &mut rng(8))));
            let mut wrong = respond_job(&initiators[0], &fresh);
            if let Work::Respond { keying, .. } = &mut wrong.work {
                keying.component.clear();
            }
            jobs.push(wrong);
            jobs.push(offer_job(&fresh, &fixed));
            jobs
        };
        let outcome = |done: KeyingDone| match done.0 {
            Outcome::Responded { response: Ok(response), .. } => format!("{:02x?}", response.component),
            Outcome::Responded { response: Err(error), .. } => error.to_string(),
            Outcome::Offered { offer: Ok(offer), .. } => format!("{:02x?}", offer.component),
            _ => panic!("it was no such job"),
        };
        let alone: Vec<_> = jobs().into_iter().map(|job| outcome(job.run())).collect();
        let together: Vec<_> = KeyingJob::run_all(jobs()).into_iter().map(outcome).collect();
        assert_eq!(together, alone);
    }

    #[test]
    fn secrets_of_initiators_are_agreed_on_together_and_are_those_that_each_finds_alone() {
        let responder = ephemeral(&[Modp2]);
        let preferences = Preferences { log_keys: true, ..Preferences::default() };
        let sides: Vec<_> = (1..=9)
            .map(|seed| {
                let initiator = Identity::ephemeral(&[Modp2], None, false, &mut rng(seed));
                let offer =
                    Offer::new(&initiator, responder.certificate(), &preferences, None, &mut rng(seed)).unwrap();
                let (component, own) = (&offer.component, initiator.certificate());
                let beforehand = (None, None);
                let answer =
                    respond_with(&responder, own, component, &preferences, beforehand, &mut rng(seed)).unwrap();
                (offer, answer.component)
            })
            .collect();
        let pairs: Vec<_> = sides.iter().map(|(offer, answer)| offer.agreement(answer).unwrap()).collect();
        for ((offer, answer), secret) in sides.iter().zip(KeyPair::agree_each(&pairs)) {
            let together = offer.complete_with(answer, Some(secret.unwrap())).unwrap().keys;
            assert_eq!(format!("{together:?}"), format!("{:?}", offer.complete(answer).unwrap().keys));
        }
        let (offer, answer) = &sides[0];
        assert!(offer.agreement(&answer[..answer.len() - 1]).is_none() && offer.agreement(&[]).is_none());
    }

    #[test]
    fn secrets_that_are_agreed_on_together_open_the_session() {
        let (initiator, responder) = (ephemeral(&[Modp2]), fixed(&[Modp2], 5));
        let offer =
            Offer::new(&initiator, responder.certificate(), &Preferences::default(), None, &mut rng(3)).unwrap();
        let own = initiator.certificate();
        let (pair, theirs) =
            agreement(&responder, own, &offer.component, &Preferences::default(), None).expect("its key is its own");
        let secret = KeyPair::agree_each(&[(pair, theirs)]).pop().unwrap().unwrap();
        let preferences = Preferences { log_keys: true, ..Preferences::default() };
        let with = |secret| {
            let beforehand = (None, secret);
            let response = respond_with(&responder, own, &offer.component, &preferences, beforehand, &mut rng(4));
            format!("{:?}", response.unwrap().log)
        };
        assert_eq!(with(Some(secret)), with(None));
    }
}

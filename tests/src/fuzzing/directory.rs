//! The directory with ids that come, go, are copied and fall silent, compared with a model.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use introd::introducer::directory::MAX_WAITING;
use introd::introducer::{Arrival, Departure, Directory};
use rtmfp::{PeerId, SessionId};

use super::input::Input;

/// Ids with an odd number have static keys.
const IDS: u8 = 4;

/// The sessions of one id that are connected.
#[derive(Default)]
struct Model {
    /// The sessions in the order in which they came, and whether each answers.
    sessions: Vec<(SessionId, bool)>,
    /// The sessions that did not answer a ping and lost the id.
    passed_over: Vec<SessionId>,
    /// Whether there were too many sessions, so that the directory has forgotten some.
    has_forgotten: bool,
}

impl Model {
    fn answers(&self, session: SessionId) -> bool {
        self.sessions.iter().any(|(known, answers)| *known == session && *answers)
    }
}

/// Reads the bytes as a sequence of events of sessions.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let directory = Directory::new();
    let mut models: BTreeMap<u8, Model> = BTreeMap::new();
    let mut number = 0u32;
    while !input.is_empty() {
        let (what, which) = (input.u8(), input.below(IDS.into()) as u8);
        let (id, is_proven) = (PeerId([which; 32]), which % 2 == 1);
        let model = models.entry(which).or_default();
        let before = holder(&directory, id);
        let chosen = (!model.sessions.is_empty()).then(|| usize::from(what >> 3) % model.sessions.len());
        match (what & 7, chosen) {
            (0 | 1, _) => {
                number += 1;
                let session = SessionId::from_wire(number);
                let arrival = directory.connect(id, session, 0, address(number), is_proven);
                model.sessions.push((session, true));
                model.has_forgotten |= model.sessions.len() > 1 + MAX_WAITING;
                match before {
                    None => assert_eq!(arrival, Arrival::Holds),
                    Some(before) if is_proven => assert_eq!(arrival, Arrival::Replaced(before)),
                    Some(before) => assert!(matches!(arrival, Arrival::Waits { holder, .. } if holder == before)),
                }
                let now = if is_proven { Some(session) } else { before.or(Some(session)) };
                assert_eq!(holder(&directory, id), now, "an id moves on proof alone");
            }
            (2, Some(chosen)) => {
                let (session, _) = model.sessions.remove(chosen);
                model.passed_over.retain(|known| *known != session);
                let departure = directory.remove(&id, session);
                assert_eq!(departure != Departure::Nothing, before == Some(session));
                if before != Some(session) {
                    assert_eq!(holder(&directory, id), before, "a session without the id does not take it along");
                }
            }
            (3, Some(chosen)) => {
                let session = &mut model.sessions[chosen];
                session.1 = false;
                directory.set_silent(&id, session.0, what & 0x80 != 0);
            }
            (4 | 5, Some(chosen)) => {
                model.sessions[chosen].1 = true;
                let session = model.sessions[chosen].0;
                directory.set_silent(&id, session, false);
                if let Some(at) = model.passed_over.iter().position(|known| *known == session) {
                    model.passed_over.remove(at);
                    if directory.take_back(&id, session).is_none() {
                        assert_eq!(holder(&directory, id), before);
                    }
                }
            }
            (6, _) => ask(&directory, id, model),
            _ => {
                if let Some(before) = before {
                    directory.set_observed(&id, before, address(before.get()));
                }
            }
        }
        let found = directory.lookup(&id);
        assert!(found.is_some() || model.sessions.is_empty() || model.has_forgotten, "a connected peer is not found");
        if let Some(found) = found {
            assert!(
                model.sessions.iter().any(|(session, _)| *session == found.owner),
                "a session that is gone is found"
            );
            assert_eq!(found.observed, address(found.owner.get()));
        }
        if model.sessions.is_empty() {
            *model = Model::default();
        }
    }
    for (which, mut model) in models {
        let id = PeerId([which; 32]);
        ask(&directory, id, &mut model);
        if let Some(found) = holder(&directory, id)
            && model.sessions.iter().any(|(_, answers)| *answers)
            && !model.has_forgotten
        {
            assert!(model.answers(found), "a session that answers is not found");
        }
        for (session, _) in model.sessions {
            directory.remove(&id, session);
        }
    }
    assert!(directory.is_empty());
}

/// Pings the holder of an id, and each session that holds the id after it.
fn ask(directory: &Directory, id: PeerId, model: &mut Model) {
    while let Some(session) = holder(directory, id).filter(|session| !model.answers(*session)) {
        if directory.pass_over(&id, session).is_none() {
            break;
        }
        model.passed_over.push(session);
    }
}

fn holder(directory: &Directory, id: PeerId) -> Option<SessionId> {
    directory.lookup(&id).map(|peer| peer.owner)
}

fn address(number: u32) -> SocketAddr {
    SocketAddr::from((number.to_be_bytes(), 1))
}

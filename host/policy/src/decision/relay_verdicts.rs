//! The verdicts of policies that ask for a relay, until it is known who the target is.

use rtmfp::PeerId;

use crate::{InstanceId, Introduction, Peer, RelayTerms, RelayWish};

/// What a policy of one application said.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// The application's instance; `None` for the default application without one.
    instance: Option<InstanceId>,
    /// Whether the asker is a client of it.
    is_of_asker: bool,
    /// The peer that the policy had in mind.
    peer: Option<PeerId>,
    terms: RelayTerms,
}

/// What the policies of the applications that were asked about a lookup said of a relay: at most one verdict of each application.
#[derive(Clone, Debug, Default)]
pub(super) struct RelayVerdicts(Vec<Said>);

impl RelayVerdicts {
    /// Notes the verdict of an application's policy about an introduction to a peer.
    pub(super) fn add(
        &mut self,
        instance: Option<InstanceId>,
        is_of_asker: bool,
        peer: Option<PeerId>,
        terms: RelayTerms,
    ) {
        self.0.push(Said { instance, is_of_asker, peer, terms });
    }

    /// The introduction of the asker to a target. A verdict counts for the sides whose client belongs to the application that gave it, and only
    /// for the peer that it was about.
    pub(super) fn introduction(&self, id: Option<PeerId>, target: Peer) -> Introduction {
        let mut relay = RelayWish::default();
        let joined = |known: Option<RelayTerms>, terms: RelayTerms| known.map_or(terms, |known| known.stricter(terms));
        for said in self.0.iter().filter(|said| said.peer == id) {
            if said.is_of_asker {
                relay.asker = Some(joined(relay.asker, said.terms));
            }
            if said.instance.is_some_and(|instance| instance.0 == target.instance) {
                relay.target = Some(joined(relay.target, said.terms));
            }
        }
        Introduction { target, relay }
    }
}

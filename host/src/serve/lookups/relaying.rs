//! Offers a relay to two peers that cannot meet directly, if the applications of both permit it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use introd_config::{Application, RelayMode};
use introd_policy::{InstanceId, Introduction, RelayTerms};
use introd_relay::{Attempt, Client, Party, RelayPorts, Terms};
use rtmfp::{InterfaceId, Origin, SessionId, TaggedAddress};
use smallvec::SmallVec;

use super::Decision;
use crate::relay::{Faces, MAX_FACES, Relay};
use crate::serve::clients::Clients;
use crate::serve::turn::Turn;

/// The asking from which on peers count as unable to meet: two introductions have not led to a session, the last one seconds ago.
const FAILED_AT: u32 = 3;
/// How many addresses of a redirect librtmfp and rtmfp-cpp keep, those of all redirects together.
const KEPT_ADDRESSES: usize = 7;

/// The addresses of a redirect.
type Redirect = SmallVec<[TaggedAddress; 4]>;

/// Whether an introduction is made with a relay.
#[derive(Debug)]
pub(super) enum Offer {
    /// The applications do not permit one, or there is no room for another pair.
    None,
    /// Not yet: the peers may still meet directly.
    Later,
    /// The asker is sent to these addresses too, and the target is told of a hello from its port.
    Now {
        asker: Faces,
        target_port: u16,
        /// Whether the direct ways have failed.
        is_fallback: bool,
    },
}

/// When one of the two sides permits a relay, the soonest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Now,
    Later,
    Never,
}

fn when(wish: Option<RelayTerms>, mode: RelayMode, attempt: u32) -> When {
    match mode {
        _ if wish.is_some() => When::Now,
        RelayMode::None => When::Never,
        RelayMode::All => When::Now,
        RelayMode::Fallback if attempt >= FAILED_AT => When::Now,
        RelayMode::Fallback => When::Later,
    }
}

/// What the settings and the policies of both sides permit a pair at most.
fn terms(settings: &[&Application], wishes: [Option<RelayTerms>; 2]) -> Option<Terms> {
    let of_settings = settings.iter().map(|settings| RelayTerms {
        bytes_per_second: Some(settings.relay_limits.bytes_per_second),
        lifetime: Some(settings.relay_limits.lifetime),
    });
    let all = wishes.into_iter().flatten().chain(of_settings).reduce(RelayTerms::stricter)?;
    Some(Terms { bytes_per_second: all.bytes_per_second?, lifetime: all.lifetime? })
}

/// Makes a pair for an introduction, if it is time for one.
pub(super) fn offer(turn: &Turn<'_>, clients: &Clients, decision: &Decision, introduction: &Introduction) -> Offer {
    let (services, lookup) = (turn.services(), decision.lookup());
    let (target, wish, attempt) = (&introduction.target, introduction.relay, decision.attempt());
    let Some(relay) = &services.relay else {
        if wish.asker.or(wish.target).is_some() {
            static SAID: Once = Once::new();
            SAID.call_once(|| tracing::warn!("a policy wants two peers to be relayed, and the server has no ports for that: name some in RTMFP/Relay/Ports of Adaptor.xml"));
        }
        return Offer::None;
    };
    let Some(target_id) = lookup.target else { return Offer::None };
    let Some(of_target) = services.applications.instance(InstanceId(target.instance)) else { return Offer::None };
    let of_target = of_target.settings();
    let of_asker = lookup.asker.and_then(|asker| Some((clients.peer(asker)?, clients.instance(asker)?.settings())));
    let for_asker = match &of_asker {
        Some((_, settings)) => when(wish.asker, settings.relay_mode, attempt),
        // It may be a client of another server, whose settings this one does not know.
        None if services.announcer.is_some() => when(wish.target, of_target.relay_mode, attempt),
        None => When::Never,
    };
    match when(wish.target, of_target.relay_mode, attempt).max(for_asker) {
        When::Never => return Offer::None,
        When::Later => return Offer::Later,
        When::Now => (),
    }
    let settings: SmallVec<[&Application; 2]> =
        [Some(&*of_target), of_asker.as_ref().map(|(_, settings)| &**settings)].into_iter().flatten().collect();
    let Some(terms) = terms(&settings, [wish.asker, wish.target]) else { return Offer::None };
    let asker = Party {
        client: of_asker.as_ref().map_or(Client::Stranger(lookup.initiator), |(peer, _)| Client::Peer(*peer)),
        address: lookup.initiator,
        // An asker with a session has proven its address.
        is_proven: of_asker.is_some(),
    };
    let target = Party { client: Client::Peer(target_id), address: target.observed, is_proven: true };
    match relay.allocate(turn.now, &Attempt { asker, target, tag: &lookup.tag }, terms) {
        Ok(RelayPorts { asker: port, target: target_port }) => {
            let asker = turn.relay_faces(relay, port, lookup.interface, lookup.initiator.ip());
            Offer::Now { asker, target_port, is_fallback: attempt >= FAILED_AT }
        }
        Err(refusal) => {
            tracing::debug!(?lookup, reason = refusal.label(), "no relay for two peers that have not met");
            Offer::None
        }
    }
}

impl Offer {
    /// The place of the relay's port at which the target may answer.
    pub(super) fn target_port(&self) -> Option<u16> {
        match self {
            Self::Now { target_port, .. } => Some(*target_port),
            Self::None | Self::Later => None,
        }
    }

    /// The addresses of a redirect, with those of the relay. The direct ones come first unless they have failed. Where a relay may be needed later,
    /// they leave a place for it.
    pub(super) fn redirect(&self, mut direct: Redirect) -> Redirect {
        // The peer itself answers there, and no introducer: so the address has the origin of a peer's own.
        let tagged = |address: &SocketAddr| TaggedAddress::new(*address, Origin::Observed);
        match self {
            Self::None => direct,
            Self::Later => {
                direct.truncate(KEPT_ADDRESSES - MAX_FACES);
                direct
            }
            Self::Now { asker, is_fallback, .. } => {
                direct.truncate(KEPT_ADDRESSES - asker.len());
                let relay = asker.iter().map(tagged);
                if *is_fallback { relay.chain(direct).collect() } else { direct.into_iter().chain(relay).collect() }
            }
        }
    }
}

impl Turn<'_> {
    /// The addresses of a port of the relay, for the peer whose packets come from `peer` by that interface.
    fn relay_faces(&self, relay: &Relay, port: u16, interface: InterfaceId, peer: IpAddr) -> Faces {
        let here = self.ports.address_of(interface).map(|address| address.ip());
        let public_ips = &self.standing.public_ips;
        let public =
            self.listener(interface).and_then(|listener| listener.public_address(public_ips)).map(|public| public.ip());
        relay.faces(port, peer, here, public)
    }

    /// The addresses of a port of the relay, for the peer of an open session of this worker.
    pub(in crate::serve) fn faces_for(&self, session: SessionId, port: u16) -> Faces {
        let Some(relay) = &self.info.services.relay else { return Faces::new() };
        let Some(info) = self.endpoint.session(session) else { return Faces::new() };
        self.relay_faces(relay, port, info.interface, info.far_address.ip())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use introd_config::{Config, RelayLimits};

    use super::*;

    #[test]
    fn a_relay_is_for_who_has_failed_unless_it_is_wanted_from_the_start() {
        let wish = Some(RelayTerms::default());
        for (wish, mode, expected) in [
            (None, RelayMode::None, [When::Never, When::Never, When::Never]),
            (None, RelayMode::Fallback, [When::Later, When::Later, When::Now]),
            (None, RelayMode::All, [When::Now, When::Now, When::Now]),
            (wish, RelayMode::None, [When::Now, When::Now, When::Now]),
            (wish, RelayMode::Fallback, [When::Now, When::Now, When::Now]),
        ] {
            assert_eq!([1, 2, 3].map(|attempt| when(wish, mode, attempt)), expected, "{wish:?} {mode:?}");
        }
    }

    #[test]
    fn the_strictest_of_all_limits_counts() {
        let application = |bytes_per_second, seconds| {
            let defaults = Config::built_in().default_adaptor.default_vhost.defaults;
            let relay_limits = RelayLimits { bytes_per_second, lifetime: Duration::from_secs(seconds) };
            Application { relay_limits, ..(*defaults).clone() }
        };
        let (one, other) = (application(1000, 90), application(2000, 60));
        let shown = |settings: &[&Application], wishes| {
            terms(settings, wishes).map(|terms| (terms.bytes_per_second, terms.lifetime.as_secs()))
        };
        assert_eq!(shown(&[&one, &other], [None, None]), Some((1000, 60)));
        let wish = RelayTerms { bytes_per_second: Some(500), lifetime: None };
        assert_eq!(shown(&[&one], [Some(wish), None]), Some((500, 90)));
        let more = RelayTerms { bytes_per_second: Some(5000), lifetime: Some(Duration::from_secs(7)) };
        assert_eq!(shown(&[&one], [None, Some(more)]), Some((1000, 7)));
    }

    #[test]
    fn no_client_has_to_keep_more_addresses_than_it_can() {
        let direct: Redirect =
            (1..=16).map(|host| TaggedAddress::new(([192, 0, 2, host], 5).into(), Origin::Reported)).collect();
        let relay: SocketAddr = ([198, 51, 100, 1], 19400).into();
        let now = |is_fallback| Offer::Now { asker: Faces::from_slice(&[relay]), target_port: 0, is_fallback };
        let shown = |offer: Offer| -> Vec<SocketAddr> {
            offer.redirect(direct.clone()).iter().map(|tagged| tagged.address).collect()
        };
        assert_eq!(shown(Offer::None).len(), 16);
        assert_eq!(shown(Offer::Later), direct[..5].iter().map(|tagged| tagged.address).collect::<Vec<_>>());
        let (fallback, all) = (shown(now(true)), shown(now(false)));
        assert_eq!((fallback.len(), fallback[0]), (7, relay));
        assert_eq!((all.len(), all[6], all[0]), (7, relay, direct[0].address));
        assert!(now(true).redirect(direct.clone()).iter().all(|tagged| tagged.origin != Origin::Relay));
    }
}

//! Members without a server introduce their neighbours to each other (RFC 7016 §3.5.1.4, §3.5.1.5), so that members behind NATs, which
//! no server introduces, find each other through a member that both know (WIRE.md §4.2).
//!
//! Only a hello that comes from a neighbour's own address, for another neighbour of the same group, is answered: nobody learns of a
//! peer that does not know the groupspec. What one neighbour may ask for is bounded here, and what reaches one neighbour by
//! [`Config::max_forwards`](rtmfp::Config::max_forwards).

use rtmfp::{Lookup, Origin, Rate, TaggedAddress};

use super::context::EndpointContext;
use super::state::Participant;

/// How many hellos of one neighbour are passed on.
const RATE: Rate = Rate { burst: 64, per_second: 4 };

impl Participant {
    pub(super) fn introduce(&mut self, context: &mut EndpointContext<'_>, lookup: &Lookup) {
        // Clients of a server leave introductions to it.
        if self.server.is_some() {
            return;
        }
        let (Some(target), Some(asker)) = (lookup.target, lookup.asker) else { return };
        let Some(target_session) = self.by_peer.get(&target).copied() else { return };
        let Some(asking) = self.sessions.get_mut(&asker) else { return };
        let peer = asking.peer;
        let is_neighbor_of_both =
            self.memberships.values().any(|own| own.member.is_neighbor(&peer) && own.member.is_neighbor(&target));
        let Some(info) = context.endpoint.session(target_session).filter(|_| is_neighbor_of_both && peer != target)
        else {
            return;
        };
        if !asking.lookups.take(context.now.saturating_duration_since(asking.since), RATE, 1) {
            self.counters.introductions_refused += 1;
            return;
        }
        self.counters.introductions += 1;
        context.endpoint.redirect(lookup, &[TaggedAddress::new(info.far_address, Origin::Observed)]);
        if let Err(error) = context.endpoint.forward(context.now, target_session, lookup) {
            tracing::debug!(%target, %error, "a hello for a neighbour is not forwarded");
        }
    }
}

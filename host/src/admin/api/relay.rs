//! The relay: its pairs, what it has passed on, and what it has refused.

use std::time::Instant;

use introd_relay::{Client, DropReason, End, PairView, Refusal};
use serde_json::{Map, Value, json};

use super::events::text;
use super::paging::{Page, next, not_from_here};
use super::problem::Problem;
use super::{Answer, Ask};
use crate::relay::RelayFigures;

impl Ask<'_> {
    /// What the relay did since the start, and the pairs that it has now.
    pub(super) fn relay(&self) -> Answer {
        let page = Page::read(self.query)?;
        let from = page.after.as_deref().map_or(Ok(0), after)?;
        let relay = self.inspector.services.relay.as_ref();
        let figures = relay.map(|relay| relay.figures()).unwrap_or_default();
        // One more than the page has, to see whether it is the last.
        let views = relay.map(|relay| relay.views(Instant::now(), from, page.limit + 1)).unwrap_or_default();
        let following = views.get(page.limit).map(|(place, _)| next(&(*place as u64).to_be_bytes()));
        let counts = &figures.counts;
        Ok(json!({
            "is_on": relay.is_some(),
            "pairs": figures.pairs,
            "open": figures.open,
            "made": counts.made,
            "opened": counts.opened,
            "datagrams": counts.datagrams,
            "bytes": counts.bytes,
            "ended": by_name(End::ALL, End::label, |cause| counts.ended(cause)),
            "refused": by_name(Refusal::ALL, Refusal::label, |refusal| counts.refused(refusal)),
            "dropped": by_name(DropReason::ALL, DropReason::label, |reason| counts.dropped(reason)),
            "list": views.iter().take(page.limit).map(|(_, pair)| view(pair)).collect::<Vec<Value>>(),
            "next": following,
        }))
    }

    /// The same in a few figures; null if there is no relay.
    pub(super) fn relay_summary(&self) -> Value {
        let Some(relay) = &self.inspector.services.relay else { return Value::Null };
        let RelayFigures { pairs, open, counts } = relay.figures();
        let refused: u64 = Refusal::ALL.into_iter().map(|refusal| counts.refused(refusal)).sum();
        json!({"pairs": pairs, "open": open, "bytes": counts.bytes, "refused": refused})
    }
}

/// The place from which a page begins.
fn after(bytes: &[u8]) -> Result<usize, Problem> {
    let place = bytes.try_into().ok().and_then(|bytes| usize::try_from(u64::from_be_bytes(bytes)).ok());
    place.ok_or_else(not_from_here)
}

/// Counters by their names.
fn by_name<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
    count: impl Fn(T) -> u64,
) -> Map<String, Value> {
    all.into_iter().map(|one| (name(one).to_owned(), count(one).into())).collect()
}

fn view(pair: &PairView) -> Value {
    // An asker that is no client of this server has an address only.
    let id = |client: &Client| match client {
        Client::Peer(peer) => Value::from(peer.to_string()),
        Client::Stranger(_) => Value::Null,
    };
    json!({
        "asker": id(&pair.asker),
        "asker_address": text(pair.asker_address.as_ref()),
        "target": id(&pair.target),
        "target_address": text(pair.target_address.as_ref()),
        "is_open": pair.is_open,
        "seconds": pair.age.as_secs_f64(),
        "datagrams": pair.datagrams,
        "bytes": pair.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_at_the_place_that_the_page_before_gave() {
        for place in [0, 7, u32::MAX as usize] {
            let given = hex::decode(next(&(place as u64).to_be_bytes())).unwrap();
            assert_eq!(after(&given).ok(), Some(place));
        }
        for wrong in [&[][..], &[1], &[0; 9]] {
            assert!(after(wrong).is_err(), "{wrong:?}");
        }
    }
}

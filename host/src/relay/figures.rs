//! What the relay did and has, with the names that the log and metrics use.

use introd_relay::{Counts, DropReason, End, Refusal};

/// What the relay did since the start, and what it has now. Without a relay all of it is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayFigures {
    /// How many pairs there are.
    pub pairs: usize,
    /// How many of them have sessions.
    pub open: usize,
    /// The counters.
    pub counts: Counts,
}

impl RelayFigures {
    /// The counters with their names, as the log has them when the server stops.
    pub fn named(&self) -> Vec<(String, u64)> {
        let counts = &self.counts;
        let mut named = vec![
            ("relay_pairs_made".to_owned(), counts.made),
            ("relay_pairs_opened".to_owned(), counts.opened),
            ("relay_datagrams".to_owned(), counts.datagrams),
            ("relay_bytes".to_owned(), counts.bytes),
        ];
        named.extend(End::ALL.map(|cause| (format!("relay_pairs_ended_{}", cause.label()), counts.ended(cause))));
        named.extend(
            Refusal::ALL.map(|reason| (format!("relay_pairs_refused_{}", reason.label()), counts.refused(reason))),
        );
        named.extend(
            DropReason::ALL
                .map(|reason| (format!("relay_datagrams_dropped_{}", reason.label()), counts.dropped(reason))),
        );
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_a_name_of_its_own() {
        let mut figures = RelayFigures::default();
        figures.counts.refuse(Refusal::NoPort);
        figures.counts.lose(7);
        let named = figures.named();
        let names: std::collections::BTreeSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), named.len());
        let told: Vec<_> = named.iter().filter(|(_, count)| *count > 0).cloned().collect();
        let expected = [("relay_pairs_refused_port", 1), ("relay_datagrams_dropped_unsent", 7)];
        assert_eq!(told, expected.map(|(name, count)| (name.to_owned(), count)));
    }
}

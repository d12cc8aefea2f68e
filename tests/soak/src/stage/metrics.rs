//! The numbers that a server shows to Prometheus, and what they must add up to.

use std::collections::BTreeMap;

/// All samples of one answer, with the sum over all workers and all labels for each name.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    sums: BTreeMap<String, f64>,
    /// Lookups by what was done about them.
    pub(crate) verdicts: BTreeMap<String, u64>,
}

impl Metrics {
    /// Reads the text format of Prometheus.
    pub(crate) fn read(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let name = series.split('{').next().unwrap_or_default();
            *metrics.sums.entry(name.to_owned()).or_default() += value;
            if name == "introd_lookup_verdicts_total"
                && let Some((_, rest)) = series.split_once("verdict=\"")
            {
                let verdict = rest.split('"').next().unwrap_or_default();
                *metrics.verdicts.entry(verdict.to_owned()).or_default() += value as u64;
            }
        }
        metrics
    }

    /// The value of a metric; 0 if there is none of that name.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.sums.get(name).map_or(0, |sum| *sum as u64)
    }

    /// Lookups less those of which it is known what was done about them: those that wait, when nothing is counted meanwhile.
    pub(crate) fn undecided(&self) -> i64 {
        self.get("introd_rtmfp_lookups_total") as i64 - self.verdicts.values().sum::<u64>() as i64
    }

    /// Accepted clients less those that are gone and those that are there: 0, when nothing is counted meanwhile.
    pub(crate) fn unaccounted(&self) -> i64 {
        let known = self.get("introd_disconnects_total") + self.get("introd_clients");
        self.get("introd_connects_total") as i64 - known as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_labels() {
        let text = "# HELP introd_connects Clients\nintrod_connects_total{worker=\"0\"} 5\nintrod_connects_total{worker=\"1\"} 7\n\
                    introd_disconnects_total{worker=\"0\"} 3\nintrod_clients 8\nintrod_rtmfp_lookups_total{worker=\"0\"} 10\n\
                    introd_lookup_verdicts_total{policy=\"script\",verdict=\"redirected\"} 4\n\
                    introd_lookup_verdicts_total{policy=\"the server\",verdict=\"redirected\"} 2\n\
                    introd_lookup_verdicts_total{policy=\"registry\",verdict=\"unknown_peer\"} 2\n# EOF\n";
        let metrics = Metrics::read(text);
        assert_eq!(metrics.get("introd_connects_total"), 12);
        assert_eq!(metrics.get("nothing"), 0);
        assert_eq!((metrics.verdicts["redirected"], metrics.verdicts["unknown_peer"]), (6, 2));
        assert_eq!((metrics.undecided(), metrics.unaccounted()), (2, 1));
    }
}

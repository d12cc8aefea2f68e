//! The configuration.

use std::sync::Arc;

use serde::Deserialize;

use crate::list::{ListError, Watched};
use crate::rate::Rates;
use crate::rule::{Action, Rule};

/// What `<Config>` holds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Asked in this order: the first that matches holds.
    rule: Vec<RuleSettings>,
    /// What holds if none does.
    #[serde(rename = "default")]
    pub(crate) otherwise: Action,
    rate: Option<RateSettings>,
}

/// A rule: all that it names must match. A value that begins with `@` is a file with one value a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSettings {
    pub(crate) action: Action,
    pub(crate) target: Option<String>,
    pub(crate) asker: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) application: Option<String>,
}

/// How often one address may look up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RateSettings {
    per_second: f64,
    burst: Option<u32>,
    #[serde(default = "deny")]
    action: Action,
}

fn deny() -> Action {
    Action::Deny
}

impl Settings {
    pub(crate) fn rules(
        &self,
        mut list: impl FnMut(&str) -> Result<Arc<Watched>, ListError>,
    ) -> Result<Vec<Rule>, String> {
        let rules =
            self.rule.iter().enumerate().map(|(place, rule)| {
                Rule::new(rule, &mut list).map_err(|error| format!("rule {}: {error}", place + 1))
            });
        rules.collect()
    }

    pub(crate) fn rates(&self) -> Result<Option<(Rates, Action)>, String> {
        let Some(rate) = &self.rate else { return Ok(None) };
        if !(rate.per_second > 0.0 && rate.per_second <= 1e6) {
            return Err(format!("<rate> per-second is a number over 0 and up to 1000000, not {}", rate.per_second));
        }
        let burst = rate.burst.unwrap_or(rate.per_second.ceil() as u32).max(1);
        Ok(Some((Rates::new(rate.per_second, burst), rate.action)))
    }
}

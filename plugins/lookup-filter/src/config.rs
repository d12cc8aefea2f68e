//! The settings of the plugin, as they stand in `<Config>`.

use serde::Deserialize;

/// The content of `<Config>`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The first rule that matches a lookup decides.
    #[serde(rename = "rule")]
    pub(crate) rules: Vec<RuleSettings>,
    /// What happens to a lookup that no rule matches.
    #[serde(rename = "default")]
    pub(crate) default_action: Action,
    pub(crate) rate: Option<RateSettings>,
}

/// What happens to a lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The next plugin, the script or the server decides.
    #[default]
    Allow,
    /// The asker gets no answer, and the refusal is counted.
    Deny,
    /// The asker gets no answer.
    Ignore,
}

/// A rule. It matches a lookup if everything that it names matches. A value that begins with `@` is a file with one value a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSettings {
    pub(crate) action: Action,
    pub(crate) target: Option<String>,
    pub(crate) asker: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) application: Option<String>,
}

/// How many lookups one source may make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RateSettings {
    pub(crate) per_second: f64,
    pub(crate) burst: Option<u32>,
    /// What happens to a lookup beyond that.
    #[serde(default = "deny")]
    pub(crate) action: Action,
}

fn deny() -> Action {
    Action::Deny
}

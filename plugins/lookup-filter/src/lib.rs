//! A plugin that allows and denies lookups by peer, address and application, and limits the rate of lookups.
//!
//! It uses nothing of the server but the SDK (`introd-plugin`), and never waits: it decides from what it has in memory. Begin reading
//! with `Plugin::lookup` below; `rule` matches lookups, `rate` limits them, `list` reads the files that rules name, and `config` is
//! the `<Config>` element, which `README.md` describes.
#![forbid(unsafe_code)]

mod config;
mod list;
mod range;
mod rate;
mod rule;

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::{
    Config, Counter, CreateError, Host, Later, Level, Lookup, LookupVerdict, Plugin, Reply, TimerPlugin, Token,
};

use config::{Action, Settings};
use list::ListFile;
use rate::RateLimits;
use rule::{LookupFacts, Rule, rules};

/// How often the list files are checked for changes.
const CHECK_EVERY: Duration = Duration::from_secs(1);

struct LookupFilter {
    host: Host,
    rules: Vec<Rule>,
    default_action: Action,
    /// The limits, and what happens to a lookup beyond them.
    limits: Option<(RateLimits, Action)>,
    lists: Vec<Arc<ListFile>>,
    counters: Option<Counters>,
}

struct Counters {
    denied: Counter,
    ignored: Counter,
    over_rate: Counter,
}

impl Counters {
    fn new(host: Host) -> Option<Self> {
        Some(Self {
            denied: host.counter("denied", "Lookups that a rule denied").ok()?,
            ignored: host.counter("ignored", "Lookups that a rule ignored").ok()?,
            over_rate: host.counter("over_rate", "Lookups beyond the rate limit of their source").ok()?,
        })
    }
}

impl Plugin for LookupFilter {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let settings: Settings = config.parse()?;
        let mut lists = Vec::new();
        let rules = rules(&settings.rules, |path| {
            let path = config.path(path);
            if let Some(known) = lists.iter().find(|known: &&Arc<ListFile>| known.path() == path) {
                return Ok(Arc::clone(known));
            }
            let list = Arc::new(ListFile::read(path)?);
            lists.push(Arc::clone(&list));
            Ok(list)
        })?;
        if !lists.is_empty() {
            host.start_timer(CHECK_EVERY, Some(CHECK_EVERY), 0)?;
        }
        let limits = match &settings.rate {
            Some(rate) => Some((RateLimits::from_settings(rate)?, rate.action)),
            None => None,
        };
        let default_action = settings.default_action;
        Ok(Self { host, rules, default_action, limits, lists, counters: Counters::new(host) })
    }

    fn lookup(&self, lookup: &Lookup<'_>, _: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        let facts = LookupFacts {
            target: lookup.target(),
            asker: lookup.asker().map(|asker| asker.peer),
            address: lookup.initiator().ip(),
            application: lookup.application(),
        };
        let action = self.rules.iter().find(|rule| rule.matches(&facts)).map_or(self.default_action, Rule::action);
        // A lookup that two applications decide about takes one token.
        if action == Action::Allow
            && !lookup.is_asked_again()
            && let Some((limits, action)) = &self.limits
            && !limits.permits(facts.address, Instant::now())
        {
            if let Some(counters) = &self.counters {
                counters.over_rate.increment();
            }
            return verdict(*action).into();
        }
        if let Some(counters) = &self.counters {
            match action {
                Action::Allow => (),
                Action::Deny => counters.denied.increment(),
                Action::Ignore => counters.ignored.increment(),
            }
        }
        verdict(action).into()
    }
}

fn verdict(action: Action) -> LookupVerdict {
    match action {
        Action::Allow => LookupVerdict::Continue,
        Action::Deny => LookupVerdict::Deny,
        Action::Ignore => LookupVerdict::Ignore,
    }
}

impl TimerPlugin for LookupFilter {
    fn on_timer(&self, _: Token, _: u64) {
        for list in &self.lists {
            match list.refresh() {
                Ok(None) => (),
                Ok(Some(entries)) => {
                    self.host.log(Level::Info, &format!("{} has changed: {entries} entries", list.path().display()));
                }
                // Logged once: the old entries stay in force until the file is readable again.
                Err(error) => self.host.log(Level::Warn, &format!("{error}; its previous entries stay in force")),
            }
        }
    }
}

introd_plugin::export!(LookupFilter, timer);

//! Allows and denies lookups by peer, address and application, and limits their rate. `README.md` has the configuration.

mod config;
mod list;
mod rate;
mod rule;

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::{
    Config, Counter, CreateError, Host, Later, Level, Lookup, LookupVerdict, Plugin, Reply, TimerPlugin, Token,
};

use config::Settings;
use list::Watched;
use rate::Rates;
use rule::{Action, Asked, Rule};

/// How often list files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The plugin.
struct LookupFilter {
    host: Host,
    rules: Vec<Rule>,
    otherwise: Action,
    rates: Option<(Rates, Action)>,
    watched: Vec<Arc<Watched>>,
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
            over_rate: host.counter("over_rate", "Lookups that came too soon after others of their source").ok()?,
        })
    }
}

impl Plugin for LookupFilter {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let settings: Settings = config.parse()?;
        let mut watched = Vec::new();
        let rules = settings.rules(|path| {
            let path = config.path(path);
            if let Some(known) = watched.iter().find(|known: &&Arc<Watched>| known.path() == path) {
                return Ok(Arc::clone(known));
            }
            let list = Arc::new(Watched::read(path)?);
            watched.push(Arc::clone(&list));
            Ok(list)
        })?;
        if !watched.is_empty() {
            host.start_timer(LOOK_EVERY, Some(LOOK_EVERY), 0)?;
        }
        let rates = settings.rates()?;
        Ok(Self { host, rules, otherwise: settings.otherwise, rates, watched, counters: Counters::new(host) })
    }

    fn lookup(&self, lookup: &Lookup<'_>, _: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        let asked = Asked {
            target: lookup.target(),
            asker: lookup.asker().map(|asker| asker.peer),
            address: lookup.initiator().ip(),
            application: lookup.application(),
        };
        let action = self.rules.iter().find(|rule| rule.matches(&asked)).map_or(self.otherwise, Rule::action);
        // A lookup that two applications are asked about counts once.
        if action == Action::Allow
            && !lookup.is_asked_again()
            && let Some((rates, action)) = &self.rates
            && !rates.permits(asked.address, Instant::now())
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
        for list in &self.watched {
            match list.refresh() {
                Ok(None) => (),
                Ok(Some(entries)) => {
                    self.host.log(Level::Info, &format!("{} has changed: {entries} entries", list.path().display()));
                }
                // Told of once: the old entries hold until the file is in order again.
                Err(error) => self.host.log(Level::Warn, &format!("{error}; what it said before holds")),
            }
        }
    }
}

introd_plugin::export!(LookupFilter, timer);

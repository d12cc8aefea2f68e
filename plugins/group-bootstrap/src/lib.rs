//! Names members of groups to each other: ring neighbours, the newest, or any. `README.md` has the configuration.

use introd_plugin::{
    Client, Config, Counter, CreateError, GroupEvent, GroupPlugin, GroupVerdict, Hint, Host, Level, Members, Plugin,
};
use serde::Deserialize;

/// The most members of each kind that one join leads to.
const MOST: usize = 32;

/// What `<Config>` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Ring neighbours, on both sides together.
    neighbors: usize,
    /// The newest members.
    newest: usize,
    /// Any members.
    random: usize,
    /// How members are advised to take each other.
    how: How,
    /// Who is told.
    tell: Tell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Hints,
    Neighbors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tell {
    Newcomer,
    Both,
}

impl Default for Settings {
    /// As the server does by itself: three neighbours on each side, and three members anywhere.
    fn default() -> Self {
        Self { neighbors: 6, newest: 0, random: 3, how: How::Hints, tell: Tell::Both }
    }
}

struct GroupBootstrap {
    host: Host,
    settings: Settings,
    hints: Option<Counter>,
    lost: Option<Counter>,
}

impl GroupBootstrap {
    fn hint(&self, event: &GroupEvent<'_>, how: Hint, to: Client, about: Client) {
        let counter = match self.host.hint(event.id(), how, to, about.peer) {
            Ok(()) => &self.hints,
            Err(_) => &self.lost,
        };
        if let Some(counter) = counter {
            counter.increment();
        }
    }
}

impl Plugin for GroupBootstrap {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let settings: Settings = config.parse()?;
        for (name, count) in
            [("neighbors", settings.neighbors), ("newest", settings.newest), ("random", settings.random)]
        {
            if count > MOST {
                return Err(format!("<{name}> is a number up to {MOST}, not {count}").into());
            }
        }
        if settings.neighbors + settings.newest + settings.random == 0 {
            host.log(Level::Warn, "no member is told of any other: groups do not start");
        }
        let counter = |name, help| host.counter(name, help).ok();
        Ok(Self {
            host,
            settings,
            hints: counter("hints", "Members named to others"),
            lost: counter("hints_lost", "Members that could not be named, for a worker had too much to do"),
        })
    }
}

impl GroupPlugin for GroupBootstrap {
    fn join(&self, event: &GroupEvent<'_>) -> GroupVerdict {
        let Settings { neighbors, newest, random, how, tell } = self.settings;
        let how = match how {
            How::Hints => Hint::Member,
            How::Neighbors => Hint::Neighbor,
        };
        let newcomer = event.client();
        let mut named: Vec<Client> = Vec::new();
        for (which, count) in [(Members::Neighbors, neighbors), (Members::Newest, newest), (Members::Random, random)] {
            if count == 0 {
                continue;
            }
            for member in event.members(which, count) {
                if named.contains(&member) {
                    continue;
                }
                named.push(member);
                self.hint(event, how, newcomer, member);
                // Members at random places have enough of them, and would be told of each newcomer.
                if tell == Tell::Both && which != Members::Random {
                    self.hint(event, how, member, newcomer);
                }
            }
        }
        GroupVerdict::Handled
    }
}

introd_plugin::export!(GroupBootstrap, groups);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_the_server_does_it() {
        let parse = |xml: &str| Config::new(xml, "").parse::<Settings>();
        assert_eq!(parse("<Config></Config>").unwrap(), Settings::default());
        let all = "<Config><neighbors>2</neighbors><newest>5</newest><random>1</random><how>neighbors</how><tell>newcomer</tell></Config>";
        let settings = Settings { neighbors: 2, newest: 5, random: 1, how: How::Neighbors, tell: Tell::Newcomer };
        assert_eq!(parse(all).unwrap(), settings);
        for bad in ["<Config><neighbours>2</neighbours></Config>", "<Config><how>x</how></Config>"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

//! A plugin that starts NetGroups: it names members to each client that joins a group, and the client to members.
//!
//! It uses nothing of the server but the SDK (`introd-plugin`), keeps nothing between two calls, and never waits: the host chooses the
//! members and sends the messages. Begin reading with `GroupPlugin::join` below; `Settings` is the `<Config>` element, which
//! `README.md` describes.
#![forbid(unsafe_code)]

use introd_plugin::{
    Client, Config, Counter, CreateError, GroupEvent, GroupPlugin, GroupVerdict, Hint, Host, Level, MemberChoice,
    Plugin,
};
use serde::Deserialize;

/// The largest number of members of each kind: it bounds the work of one join.
const MAX_MEMBERS: usize = 32;

/// The content of `<Config>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How many ring neighbours, on both sides together.
    neighbors: usize,
    /// How many of the newest members.
    newest: usize,
    /// How many random members.
    random: usize,
    how: HintKind,
    tell: Recipients,
}

/// What the recipient of a hint is advised to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HintKind {
    Hints,
    Neighbors,
}

/// Which clients receive hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Recipients {
    Newcomer,
    Both,
}

impl Default for Settings {
    /// What the server does without a plugin: three neighbours on each side, and three random members.
    fn default() -> Self {
        Self { neighbors: 6, newest: 0, random: 3, how: HintKind::Hints, tell: Recipients::Both }
    }
}

struct GroupBootstrap {
    host: Host,
    settings: Settings,
    sent: Option<Counter>,
    lost: Option<Counter>,
}

impl GroupBootstrap {
    fn hint(&self, event: &GroupEvent<'_>, how: Hint, to: Client, about: Client) {
        let counter = match self.host.hint(event.id(), how, to, about.peer) {
            Ok(()) => &self.sent,
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
            if count > MAX_MEMBERS {
                return Err(format!("<{name}> must be a number up to {MAX_MEMBERS}, not {count}").into());
            }
        }
        if settings.neighbors + settings.newest + settings.random == 0 {
            host.log(
                Level::Warn,
                "neighbors, newest and random are all 0: no member learns of any other, and groups do not start",
            );
        }
        let counter = |name, help| host.counter(name, help).ok();
        Ok(Self {
            host,
            settings,
            sent: counter("hints", "Hints sent: members named to other members"),
            lost: counter("hints_lost", "Hints lost because the queue of a worker was full"),
        })
    }
}

impl GroupPlugin for GroupBootstrap {
    fn join(&self, event: &GroupEvent<'_>) -> GroupVerdict {
        let Settings { neighbors, newest, random, how, tell } = self.settings;
        let how = match how {
            HintKind::Hints => Hint::Member,
            HintKind::Neighbors => Hint::Neighbor,
        };
        let newcomer = event.client();
        let mut named: Vec<Client> = Vec::new();
        for (which, count) in
            [(MemberChoice::Neighbors, neighbors), (MemberChoice::Newest, newest), (MemberChoice::Random, random)]
        {
            if count == 0 {
                continue;
            }
            for member in event.members(which, count) {
                if named.contains(&member) {
                    continue;
                }
                named.push(member);
                self.hint(event, how, newcomer, member);
                // Random members are not told: each of them would learn of newcomers again and again, and needs none.
                if tell == Recipients::Both && which != MemberChoice::Random {
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
    fn missing_settings_are_those_of_the_server_itself() {
        let parse = |xml: &str| Config::new(xml, "").parse::<Settings>();
        assert_eq!(parse("<Config></Config>").unwrap(), Settings::default());
        let all = "<Config><neighbors>2</neighbors><newest>5</newest><random>1</random><how>neighbors</how><tell>newcomer</tell></Config>";
        let settings =
            Settings { neighbors: 2, newest: 5, random: 1, how: HintKind::Neighbors, tell: Recipients::Newcomer };
        assert_eq!(parse(all).unwrap(), settings);
        for bad in ["<Config><neighbours>2</neighbours></Config>", "<Config><how>x</how></Config>"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

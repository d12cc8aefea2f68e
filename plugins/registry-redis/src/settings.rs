//! The settings of the plugin, as they stand in Server.xml.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The content of `PeerRegistry/Plugin/Config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The address of Redis: `redis://host:port/db`, or `rediss://` for TLS. May be repeated for `cluster` and `sentinel`.
    pub url: Vec<String>,
    /// The kind of Redis.
    pub mode: Mode,
    /// The name by which sentinels know the master.
    pub master: String,
    /// The user to log in as; empty is the default user. The URL may name it instead.
    pub username: String,
    /// The password; empty is none. The URL may hold it instead.
    pub password: String,
    /// The user to log in as at the sentinels.
    pub sentinel_username: String,
    /// The password for the sentinels.
    pub sentinel_password: String,
    /// A file with the certificates of the authorities that are trusted to sign Redis's certificate; if it is missing, the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with this server's own certificate, if Redis requires one.
    pub certificate_file: Option<PathBuf>,
    /// A file with the private key of that certificate.
    pub key_file: Option<PathBuf>,
    /// The prefix of all keys. Servers with the same namespace share a registry.
    pub namespace: String,
    /// The name of this server in the registry; no two servers may have the same. Empty: a random name at each start.
    pub server: String,
    /// Milliseconds. A server that dies is noticed within twice this time.
    pub heartbeat: u64,
    /// Milliseconds that a command may take before the connection counts as broken.
    pub timeout: u64,
    /// Milliseconds for which a peer that was found is cached.
    pub positive_cache: u64,
    /// Milliseconds for which it is cached that a peer was not found.
    pub negative_cache: u64,
    /// The largest number of peers that are cached, found or not.
    pub cache_entries: usize,
    /// The largest number of lookups that wait for Redis at a time.
    pub max_pending: usize,
    /// The largest number of peers that this server publishes.
    pub max_entries: usize,
    /// The largest number of memberships in groups that this server publishes.
    pub max_memberships: usize,
    /// Seconds for which Redis keeps an entry that its server neither renews nor withdraws, because it is dead.
    pub entry_lifetime: u64,
    /// Seconds in which each entry is verified once: what Redis has lost is written again.
    pub sweep: u64,
}

/// The kind of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// One server.
    #[default]
    Single,
    /// A master with replicas, and sentinels that know which server is the master.
    Sentinel,
    /// A cluster.
    Cluster,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Vec::new(),
            mode: Mode::Single,
            master: String::new(),
            username: String::new(),
            password: String::new(),
            sentinel_username: String::new(),
            sentinel_password: String::new(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            namespace: "introd".to_owned(),
            server: String::new(),
            heartbeat: 2000,
            timeout: 1000,
            positive_cache: 2000,
            negative_cache: 500,
            cache_entries: 100_000,
            max_pending: 8192,
            max_entries: 2_000_000,
            max_memberships: 2_000_000,
            entry_lifetime: 86_400,
            sweep: 300,
        }
    }
}

/// Why a registry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is invalid.
    #[error("{0}")]
    Value(String),
    /// A file cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, std::io::Error),
    /// The Redis client refuses the settings.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The operating system gives no thread or no random numbers.
    #[error("the operating system: {0}")]
    System(String),
}

impl Settings {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is invalid, and what would be valid.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |text: &str| Err(SettingsError::Value(text.to_owned()));
        if self.url.is_empty() {
            return wrong("<url> is missing: give the address of Redis, like redis://127.0.0.1:6379");
        }
        match self.mode {
            Mode::Single if self.url.len() > 1 => {
                return wrong("there are several <url>: set <mode> to cluster or sentinel, or give only one");
            }
            Mode::Sentinel if self.master.is_empty() => {
                return wrong("<master> is missing: the name by which the sentinels know the master");
            }
            _ => (),
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return wrong("<certificateFile> and <keyFile> go together");
        }
        for (name, value, min, max) in [
            ("heartbeat", self.heartbeat, 100, 600_000),
            ("timeout", self.timeout, 10, 60_000),
            ("positiveCache", self.positive_cache, 0, 600_000),
            ("negativeCache", self.negative_cache, 0, 600_000),
            ("maxPending", self.max_pending as u64, 1, 1_000_000),
            ("cacheEntries", self.cache_entries as u64, 0, 100_000_000),
            ("maxEntries", self.max_entries as u64, 1, 100_000_000),
            ("maxMemberships", self.max_memberships as u64, 1, 100_000_000),
            ("entryLifetime", self.entry_lifetime, 60, 30 * 86_400),
            ("sweep", self.sweep, 1, 86_400),
        ] {
            if !(min..=max).contains(&value) {
                return Err(SettingsError::Value(format!("<{name}> is {value}: give a number from {min} to {max}")));
            }
        }
        if self.server.len() > 64 {
            return wrong("<server> is longer than 64 bytes");
        }
        Ok(())
    }

    /// These settings with the connection of others: where Redis is, and the login there. The connection may change while the registry
    /// runs, and all else takes effect at the next start.
    pub(crate) fn with_connection_of(&self, other: &Self) -> Self {
        let Self {
            url,
            master,
            username,
            password,
            sentinel_username,
            sentinel_password,
            ca_file,
            certificate_file,
            key_file,
            ..
        } = other.clone();
        Self {
            url,
            master,
            username,
            password,
            sentinel_username,
            sentinel_password,
            ca_file,
            certificate_file,
            key_file,
            ..self.clone()
        }
    }

    /// The time between two heartbeats of this server.
    pub(crate) fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat / 2)
    }

    /// The time for which a heartbeat is valid: two of them may be lost.
    pub(crate) fn heartbeat_lifetime(&self) -> Duration {
        Duration::from_millis(self.heartbeat * 3 / 2)
    }

    /// The time for which the state of another server is cached. Together with [`Self::heartbeat_lifetime`] it is less than twice the
    /// heartbeat.
    pub(crate) fn liveness_cache(&self) -> Duration {
        Duration::from_millis(self.heartbeat / 4)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Settings {
        Settings { url: vec!["redis://127.0.0.1:1".to_owned()], ..Settings::default() }
    }

    #[test]
    fn the_connection_can_change_by_itself() {
        let old = valid();
        let new = Settings { password: "p".to_owned(), url: vec!["redis://b".to_owned()], sweep: 7, ..valid() };
        let mixed = old.with_connection_of(&new);
        assert_eq!((mixed.password.as_str(), &mixed.url, mixed.sweep), ("p", &new.url, old.sweep));
        assert_eq!(new.with_connection_of(&mixed), new);
    }

    fn problem(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = valid();
        change(&mut settings);
        settings.check().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_number_has_a_range() {
        type Set = fn(&mut Settings, u64);
        let numbers: [(&str, Set, u64, u64); 10] = [
            ("heartbeat", |settings, number| settings.heartbeat = number, 100, 600_000),
            ("timeout", |settings, number| settings.timeout = number, 10, 60_000),
            ("positiveCache", |settings, number| settings.positive_cache = number, 0, 600_000),
            ("negativeCache", |settings, number| settings.negative_cache = number, 0, 600_000),
            ("maxPending", |settings, number| settings.max_pending = number as usize, 1, 1_000_000),
            ("cacheEntries", |settings, number| settings.cache_entries = number as usize, 0, 100_000_000),
            ("maxEntries", |settings, number| settings.max_entries = number as usize, 1, 100_000_000),
            ("maxMemberships", |settings, number| settings.max_memberships = number as usize, 1, 100_000_000),
            ("entryLifetime", |settings, number| settings.entry_lifetime = number, 60, 30 * 86_400),
            ("sweep", |settings, number| settings.sweep = number, 1, 86_400),
        ];
        for (name, set, min, max) in numbers {
            for number in [min, max] {
                assert_eq!(problem(|settings| set(settings, number)), "", "{name} {number}");
            }
            for number in min.checked_sub(1).into_iter().chain([max + 1]) {
                let expected = format!("<{name}> is {number}: give a number from {min} to {max}");
                assert_eq!(problem(|settings| set(settings, number)), expected);
            }
        }
    }

    #[test]
    fn what_goes_together_must_be_there() {
        let second = || "redis://127.0.0.1:2".to_owned();
        assert!(problem(|settings| settings.url.clear()).contains("<url> is missing"));
        assert!(problem(|settings| settings.url.push(second())).contains("several <url>"));
        let cluster =
            |settings: &mut Settings| (settings.mode, settings.url) = (Mode::Cluster, vec![second(), second()]);
        assert_eq!(problem(cluster), "");
        assert!(problem(|settings| settings.mode = Mode::Sentinel).contains("<master> is missing"));
        for with in [(true, false), (false, true), (true, true)] {
            let problem = problem(|settings| {
                settings.certificate_file = with.0.then(|| "a".into());
                settings.key_file = with.1.then(|| "b".into());
            });
            assert_eq!(problem.contains("go together"), with.0 != with.1, "{with:?}");
        }
        for (length, is_taken) in [(0, true), (64, true), (65, false)] {
            assert_eq!(problem(|settings| settings.server = "x".repeat(length)).is_empty(), is_taken, "{length}");
        }
    }

    /// A server that dies is noticed within twice the heartbeat, and two of its heartbeats may be lost before.
    #[test]
    fn heartbeats_are_valid_long_enough_and_not_too_long() {
        for heartbeat in [100, 2000, 600_000] {
            let settings = Settings { heartbeat, ..valid() };
            let (interval, lifetime) = (settings.heartbeat_interval(), settings.heartbeat_lifetime());
            assert!(lifetime >= 3 * interval);
            assert!(lifetime + settings.liveness_cache() < Duration::from_millis(2 * heartbeat));
            assert!(settings.liveness_cache() > Duration::ZERO);
        }
    }
}

//! What the plugin is told in Server.xml.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The content of `PeerRegistry/Plugin/Config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where Redis is: `redis://host:port/db`, or `rediss://` for TLS. Several for `cluster` and `sentinel`.
    pub url: Vec<String>,
    /// What is there.
    pub mode: Mode,
    /// The name by which sentinels know the master.
    pub master: String,
    /// Who to log in as; empty is the default user. It may stand in the URL too.
    pub username: String,
    /// The password; empty is none. It may stand in the URL too.
    pub password: String,
    /// The same for sentinels.
    pub sentinel_username: String,
    /// The same for sentinels.
    pub sentinel_password: String,
    /// A file with the certificates of those who may have signed the server's; else the system's count.
    pub ca_file: Option<PathBuf>,
    /// A file with this client's certificate, if the server wants one.
    pub certificate_file: Option<PathBuf>,
    /// A file with its key.
    pub key_file: Option<PathBuf>,
    /// What all keys begin with: servers with the same one share a registry.
    pub namespace: String,
    /// What this server is called in it; empty: a name that nobody else has, another one at each start.
    pub server: String,
    /// How long a server may be dead before its peers count as gone: half of the time within which that is noticed at the
    /// latest, in milliseconds.
    pub heartbeat: u64,
    /// How long a command may take before the connection counts as broken, in milliseconds.
    pub timeout: u64,
    /// How long a peer that was found is remembered, in milliseconds.
    pub positive_cache: u64,
    /// How long it is remembered that a peer was not found, in milliseconds.
    pub negative_cache: u64,
    /// Peers remembered, found or not.
    pub cache_entries: usize,
    /// Lookups that may wait for Redis at a time.
    pub max_pending: usize,
    /// Peers that this server may publish.
    pub max_entries: usize,
    /// How long an entry stays if nobody takes it back, in seconds: what servers that died leave behind. Entries of servers that
    /// live are renewed in time.
    pub entry_lifetime: u64,
}

/// What kind of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// One.
    #[default]
    Single,
    /// One, and sentinels that know which.
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
            entry_lifetime: 86_400,
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// One of them makes no sense.
    #[error("{0}")]
    Value(String),
    /// A file cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, std::io::Error),
    /// The redis client does not like them.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// This machine does not give what is needed.
    #[error("this machine: {0}")]
    Machine(String),
}

impl Settings {
    /// # Errors
    /// What makes no sense, and what would.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |text: &str| Err(SettingsError::Value(text.to_owned()));
        if self.url.is_empty() {
            return wrong("<url> is missing: give the address of Redis, like redis://127.0.0.1:6379");
        }
        match self.mode {
            Mode::Single if self.url.len() > 1 => {
                return wrong("several <url>: say <mode>cluster</mode> or <mode>sentinel</mode>, or leave one");
            }
            Mode::Sentinel if self.master.is_empty() => {
                return wrong("<master> is missing: the name by which the sentinels know the master");
            }
            _ => (),
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return wrong("<certificateFile> and <keyFile> go together");
        }
        for (name, value, least, most) in [
            ("heartbeat", self.heartbeat, 100, 600_000),
            ("timeout", self.timeout, 10, 60_000),
            ("positiveCache", self.positive_cache, 0, 600_000),
            ("negativeCache", self.negative_cache, 0, 600_000),
            ("maxPending", self.max_pending as u64, 1, 1_000_000),
            ("cacheEntries", self.cache_entries as u64, 0, 100_000_000),
            ("maxEntries", self.max_entries as u64, 1, 100_000_000),
            ("entryLifetime", self.entry_lifetime, 60, 30 * 86_400),
        ] {
            if !(least..=most).contains(&value) {
                return Err(SettingsError::Value(format!("<{name}> is {value}: give a number from {least} to {most}")));
            }
        }
        if self.server.len() > 64 {
            return wrong("<server> is longer than 64 bytes");
        }
        Ok(())
    }

    /// How often the server says that it lives.
    pub(crate) fn beat(&self) -> Duration {
        Duration::from_millis(self.heartbeat / 2)
    }

    /// How long it counts as living after it has said so: two beats may be lost.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_millis(self.heartbeat * 3 / 2)
    }

    /// How long what was heard of another server's life counts. Together with [`Self::life`] less than twice the heartbeat.
    pub(crate) fn trust(&self) -> Duration {
        Duration::from_millis(self.heartbeat / 4)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

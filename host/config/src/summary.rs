//! What would run, for people.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::adaptor::Adaptor;
use super::application::Application;
use super::choices::{ConnectDefault, GroupScope, JoinLeaveMode, LookupMode, LookupsFrom, RelayMode};
use super::config::Config;
use super::idle::IdleClients;
use super::relay::Relay;
use super::rtmfp::Rtmfp;
use super::server::{AdminServer, Server};
use super::users::Users;
use super::vhost::Vhost;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)?;
        write_administration(f, &self.server.admin, &self.users)?;
        self.all_adaptors().try_for_each(|adaptor| adaptor.fmt(f))?;
        self.relay().map_or(Ok(()), |relay| relay.fmt(f))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = |count: usize| if count == 0 { "one for each core".to_owned() } else { count.to_string() };
        writeln!(f, "server")?;
        writeln!(
            f,
            "  workers: {}; for scripts: {}; for handshakes: {}",
            threads(self.workers),
            self.script_threads,
            threads(self.keying_threads)
        )?;
        if !self.busy_poll.is_zero() {
            writeln!(f, "  workers look for datagrams for {:?} before they sleep", self.busy_poll)?;
        }
        if let Some(public) = &self.public_ip {
            writeln!(f, "  others reach it at: {public}")?;
        }
        match &self.registry.plugin {
            Some(plugin) => writeln!(f, "  registry of peers: {}", plugin.display())?,
            None => writeln!(f, "  registry of peers: in memory, this server only")?,
        }
        let limits = &self.limits;
        writeln!(
            f,
            "  sessions: {}, from one address: {}; opened in a second: {}, from one address: {}; \
             lookups in a second from one address: {}; hellos forwarded to one client: {}; work of one client: {}",
            limit(limits.max_sessions),
            limit(limits.max_sessions_per_address),
            limit(limits.max_connection_rate),
            limit(limits.max_connection_rate_per_address),
            limit(limits.max_lookup_rate_per_address),
            limit(limits.max_forward_rate),
            limit(limits.max_session_work),
        )?;
        let megabytes = |bytes: u64| format!("{} MB", bytes >> 20);
        let memory = self.max_script_memory.map_or_else(|| "without limit".to_owned(), megabytes);
        writeln!(f, "  memory of all scripts: {memory}")
    }
}

fn write_administration(f: &mut fmt::Formatter<'_>, admin: &AdminServer, users: &Users) -> fmt::Result {
    if !admin.enable || admin.listen.is_empty() {
        return writeln!(f, "  administration: none");
    }
    let listen: Vec<String> = admin.listen.iter().map(|listen| format!("TCP {listen}")).collect();
    write!(f, "  administration: {}, for {}; ", listen.join(", "), admin.access)?;
    let users: Vec<&str> = users.with_passwords().map(|user| user.name.as_str()).collect();
    if users.is_empty() {
        writeln!(f, "nobody has a password: programs of this machine may read, and nothing else is permitted")
    } else {
        writeln!(f, "with the passwords of {}", users.join(", "))
    }
}

impl fmt::Display for Adaptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "adaptor {}", self.name)?;
        if self.listen.is_empty() {
            writeln!(f, "  RTMFP: off")?;
        }
        for listen in &self.listen {
            writeln!(f, "  RTMFP: UDP {listen}")?;
        }
        for set in &self.core_ports {
            writeln!(f, "  for each worker, one of: UDP {set}")?;
        }
        writeln!(f, "  clients: {}", self.access)?;
        self.rtmfp.fmt(f)?;
        self.all_vhosts().try_for_each(|vhost| vhost.fmt(f))
    }
}

impl fmt::Display for Rtmfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, nat) = (self.keepalive_no_nat, self.keepalive_nat);
        writeln!(
            f,
            "  keepalives: to the server every {}, to peers every {}; behind a NAT {} and {}; gone after {}",
            seconds(open.server),
            seconds(open.peers),
            seconds(nat.server),
            seconds(nat.peers),
            seconds(self.dead_peer_timeout),
        )?;
        let groups: Vec<String> = self.dh_groups.iter().map(u64::to_string).collect();
        writeln!(f, "  Diffie-Hellman groups: {}", groups.join(", "))
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "relay for peers that cannot meet")?;
        writeln!(f, "  UDP {}", self.set)?;
        let bytes = Some(self.bytes_per_second).filter(|bytes| *bytes != u64::MAX);
        writeln!(
            f,
            "  pairs: {}, of one client: {}, from one address: {}; bytes in a second: {}; idle ones end after {}",
            self.max_pairs,
            self.max_pairs_per_client,
            self.max_pairs_per_address,
            limit(bytes),
            seconds(self.idle_timeout)
        )
    }
}

impl fmt::Display for Vhost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  virtual host {}", self.name)?;
        if !self.aliases.is_empty() {
            write!(f, ", also {}", self.aliases.join(", "))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "    clients: {}, at most {} in {} instances, {} with scripts from one address; idle ones: {}",
            self.access,
            limit(self.max_connections),
            limit(self.max_app_instances),
            limit(self.max_app_instances_per_address),
            self.idle_clients
        )?;
        let others = if self.accepts_unregistered { "any other application" } else { "no other application" };
        writeln!(f, "    applications in {}, and {others}", paths(&self.apps_dirs))?;
        writeln!(f, "      by default: {}", self.defaults)?;
        for (name, registered) in &self.applications {
            let own = match &registered.closed {
                Some(why) => format!("rejects clients and lookups: {why}"),
                None if registered.settings == self.defaults => "as by default".into(),
                None => registered.settings.to_string(),
            };
            writeln!(f, "      {name}: {own}")?;
        }
        Ok(())
    }
}

/// In one line.
impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookups = match self.peer_lookup_events {
            LookupMode::None => "the server",
            LookupMode::Partial => "the server for its own peers, else the script",
            LookupMode::All => "the script",
            LookupMode::Denied => "nobody",
        };
        let groups = match self.join_leave_events {
            JoinLeaveMode::None => match self.group_scope {
                GroupScope::Server => "the server",
                GroupScope::Application => "the server within the application",
                GroupScope::Instance => "the server within each instance",
            },
            JoinLeaveMode::All => "the script",
        };
        write!(f, "lookups by {lookups}, groups by {groups}")?;
        if self.lookups_from == LookupsFrom::Clients {
            f.write_str(", lookups from clients only")?;
        }
        let mode = match self.relay_mode {
            RelayMode::None => "",
            RelayMode::Fallback => ", relayed if they do not meet",
            RelayMode::All => ", relayed from the first lookup on",
        };
        f.write_str(mode)?;
        if self.script.connect_default == ConnectDefault::Pending {
            f.write_str(", clients wait if onConnect returns nothing")?;
        }
        let plugins: Vec<String> = self.plugins.iter().map(|plugin| plugin.path.display().to_string()).collect();
        if !plugins.is_empty() {
            write!(f, ", plugins {}", plugins.join(", "))?;
        }
        let time = self.script.time.map_or_else(|| "any time".into(), seconds);
        write!(f, ", scripts {} kB and {time}", self.script.memory / 1024)
    }
}

impl fmt::Display for IdleClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.enable { write!(f, "closed after {}", seconds(self.max_idle_time)) } else { f.write_str("stay") }
    }
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(" and ")
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "any number".into(), |limit| limit.to_string())
}

//! The options that several kinds of load have in common.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use introd_flash::uri::DEFAULT_PORT;
use rtmfp::crypto::Group;

use super::bounds::Bounds;
use super::client::{FleetOptions, TargetServer};
use super::process::Process;

/// The longest time that an option may name.
const MAX_TIME: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub(super) struct Common {
    /// The address of the server. Given several times, the clients use the addresses by turns: `--server 127.0.0.1:1935 --server '[::1]:1935'`
    /// loads a server by both address families.
    #[arg(long = "server", value_name = "HOST:PORT", required = true, value_parser = addresses)]
    servers: Vec<Addresses>,
    /// Use the first IPv4 address of each name. With --ipv6, use both by turns.
    #[arg(long)]
    ipv4: bool,
    /// Use the first IPv6 address of each name. With --ipv4, use both by turns.
    #[arg(long)]
    ipv6: bool,
    /// The server's process id, if it runs on this machine: the report then has its CPU time and memory.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// The application to connect to.
    #[arg(long, value_name = "PATH", default_value = "bench")]
    app: String,
    /// The Diffie-Hellman group.
    #[arg(long, value_name = "2|5|14|16", default_value = "2", value_parser = group)]
    group: Group,
    /// Request neither HMACs nor sequence numbers, as the smallest clients do.
    #[arg(long)]
    plain: bool,
    /// Print one line of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct Timed {
    /// The longest time that the run may take.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,
    /// The largest number of operations.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Common {
    /// # Errors
    /// If a name has no address of a family that is asked for.
    pub(super) fn options(&self) -> anyhow::Result<FleetOptions> {
        let mut servers = Vec::new();
        for Addresses { name, all } in &self.servers {
            for address in chosen(all, self.ipv4, self.ipv6).with_context(|| format!("{name} has no such address"))? {
                servers.push(TargetServer { address, uri: format!("rtmfp://{address}/{}", self.app) });
            }
        }
        Ok(FleetOptions { servers, group: self.group, plain: self.plain })
    }

    pub(super) fn process(&self) -> Option<Process> {
        self.pid.map(Process)
    }
}

impl Timed {
    pub(super) fn bounds(&self, window: u32) -> Bounds {
        Bounds { duration: self.duration, count: self.count, window: window as usize }
    }
}

/// The addresses of a name.
#[derive(Clone, Debug)]
struct Addresses {
    name: String,
    all: Vec<SocketAddr>,
}

/// `HOST:PORT` or `HOST`, resolved.
fn addresses(text: &str) -> Result<Addresses, String> {
    let some = |found: std::io::Result<std::vec::IntoIter<SocketAddr>>| {
        found.map(Iterator::collect).ok().filter(|all: &Vec<_>| !all.is_empty())
    };
    let all = some(text.to_socket_addrs())
        .or_else(|| some((text.trim_matches(['[', ']']), DEFAULT_PORT).to_socket_addrs()))
        .ok_or_else(|| "not a server's name or address: give something like 127.0.0.1:1935".to_owned())?;
    Ok(Addresses { name: text.to_owned(), all })
}

/// The first address of each family that is asked for, or the first of all if none is; `None` if there is none of a family.
fn chosen(all: &[SocketAddr], ipv4: bool, ipv6: bool) -> Option<Vec<SocketAddr>> {
    let first = |fits: fn(&SocketAddr) -> bool| all.iter().copied().find(fits);
    let mut wanted: Vec<fn(&SocketAddr) -> bool> = Vec::new();
    if ipv4 {
        wanted.push(SocketAddr::is_ipv4);
    }
    if ipv6 {
        wanted.push(SocketAddr::is_ipv6);
    }
    if wanted.is_empty() {
        wanted.push(|_| true);
    }
    wanted.into_iter().map(first).collect()
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed.filter(|duration| *duration <= MAX_TIME).ok_or_else(|| "not a number of seconds up to 3600".to_owned())
}

fn group(text: &str) -> Result<Group, String> {
    text.parse().ok().and_then(Group::from_id).ok_or_else(|| "the groups are 2, 5, 14 and 16".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_each_family_that_is_asked_for_is_chosen() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (four, six, other) = (parse("192.0.2.1:1935"), parse("[2001:db8::1]:1935"), parse("192.0.2.2:1935"));
        let all = [six, four, other];
        assert_eq!(chosen(&all, false, false), Some(vec![six]));
        assert_eq!(chosen(&all, true, false), Some(vec![four]));
        assert_eq!(chosen(&all, false, true), Some(vec![six]));
        assert_eq!(chosen(&all, true, true), Some(vec![four, six]));
        assert_eq!(chosen(&[four], true, true), None);
    }

    #[test]
    fn a_server_may_be_named_without_a_port_and_with_brackets() {
        let first = |text| addresses(text).unwrap().all[0].to_string();
        assert_eq!(first("127.0.0.1"), "127.0.0.1:1935");
        assert_eq!(first("[::1]:7"), "[::1]:7");
        assert_eq!(first("[::1]"), "[::1]:1935");
        assert!(addresses("no such name").is_err());
    }
}

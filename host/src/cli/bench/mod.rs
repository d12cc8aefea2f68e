//! `introd bench`: loads a server with bounded work, and reports what the work cost the server.
//!
//! The server may be any that speaks RTMFP. One at an IPv4 loopback address sees each client at an address of its own
//! (127.0.0.0/8 is large); elsewhere each client takes a port, and so a file descriptor.

mod bounds;
mod client;
mod fleet;
mod flow;
mod handshakes;
mod lookups;
mod process;
mod report;
mod sessions;
mod sources;

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::{Args, Subcommand};
use rtmfp::crypto::Group;

use self::bounds::Bounds;
use self::client::{FleetOptions, Goal};
use self::process::Process;
use super::output;
use introd_flash::uri::DEFAULT_PORT;

#[derive(Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Look up connected peers: the server answers each IHello with a redirect, and forwards it to the peer.
    Lookups {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timed: Timed,
        /// Lookups under way at a time.
        #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        window: u32,
        /// Peers to connect and look up in turn.
        #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        targets: u32,
        /// Addresses to send lookups from.
        #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        askers: u32,
    },
    /// Open sessions, and close each at once.
    Handshakes {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timed: Timed,
        /// Handshakes under way at a time.
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
        window: u32,
    },
    /// Send messages to the server on one flow, as fast as it takes them.
    Flow {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timed: Timed,
        /// Messages under way at a time.
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
        window: u32,
        /// The length of each message, in bytes.
        #[arg(long, value_name = "BYTES", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        size: u32,
    },
    /// Connect many clients and keep them idle.
    Sessions {
        #[command(flatten)]
        common: Common,
        /// The number of clients.
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
        /// Clients that connect at a time.
        #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
        window: u32,
        /// How long to keep them idle before the server's memory is measured.
        #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
        idle: Duration,
    },
}

#[derive(Args)]
struct Common {
    /// The address of the server.
    #[arg(long, value_name = "HOST:PORT", value_parser = server_address)]
    server: SocketAddr,
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
    json: bool,
}

#[derive(Args)]
struct Timed {
    /// The longest time that the run may take.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,
    /// The largest number of operations.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// The timeout for all clients to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(3600);

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    output::start_logging("warn");
    let (common, report) = match &args.work {
        Work::Lookups { common, timed, window, targets, askers } => {
            let (targets, askers) = (*targets as usize, *askers as usize);
            (common, lookups::run(common.options(), &timed.bounds(*window), targets, askers, common.process())?)
        }
        Work::Handshakes { common, timed, window } => {
            (common, handshakes::run(common.options(), &timed.bounds(*window), common.process())?)
        }
        Work::Flow { common, timed, window, size } => {
            (common, flow::run(&common.options(), &timed.bounds(*window), *size as usize, common.process())?)
        }
        Work::Sessions { common, count, window, idle } => {
            let bounds = Bounds { duration: CONNECT_LIMIT, count: Some(u64::from(*count)), window: *window as usize };
            (common, sessions::run(common.options(), &bounds, *idle, common.process())?)
        }
    };
    report.print(common.json)
}

impl Common {
    fn options(&self) -> FleetOptions {
        FleetOptions {
            server: self.server,
            uri: format!("rtmfp://{}/{}", self.server, self.app),
            group: self.group,
            plain: self.plain,
            goal: Goal::Connected,
        }
    }

    fn process(&self) -> Option<Process> {
        self.pid.map(Process)
    }
}

impl Timed {
    fn bounds(&self, window: u32) -> Bounds {
        Bounds { duration: self.duration, count: self.count, window: window as usize }
    }
}

/// `HOST:PORT` or `HOST`, resolved.
fn server_address(text: &str) -> Result<SocketAddr, String> {
    let first =
        |addresses: std::io::Result<std::vec::IntoIter<SocketAddr>>| addresses.ok().and_then(|mut all| all.next());
    first(text.to_socket_addrs())
        .or_else(|| first((text.trim_matches(['[', ']']), DEFAULT_PORT).to_socket_addrs()))
        .ok_or_else(|| "not a server's name or address: give something like 127.0.0.1:1935".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed.filter(|duration| *duration <= CONNECT_LIMIT).ok_or_else(|| "not a number of seconds up to 3600".to_owned())
}

fn group(text: &str) -> Result<Group, String> {
    text.parse().ok().and_then(Group::from_id).ok_or_else(|| "the groups are 2, 5, 14 and 16".to_owned())
}

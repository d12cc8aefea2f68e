//! `introd bench`: loads a server with bounded work, and reports what the work cost the server.
//!
//! The server may be any that speaks RTMFP. One at an IPv4 loopback address sees each client at an address of its own
//! (127.0.0.0/8 is large); elsewhere each client takes a port, and so a file descriptor.

mod bounds;
mod client;
mod fleet;
mod flow;
mod handshakes;
mod hellos;
mod lookup_load;
mod lookups;
mod mix;
mod options;
mod process;
mod report;
mod sessions;
mod sources;
mod storm;
mod storm_report;

use std::time::Duration;

use clap::{Args, Subcommand};

use self::bounds::Bounds;
use self::lookups::CONNECT_TIMEOUT;
use self::mix::Shares;
use self::options::{Common, Timed};
use self::storm::StormOptions;
use super::output;

#[derive(Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Look up connected peers: the server answers each IHello with a redirect, and forwards it to the peer.
    Lookups(AmongPeers),
    /// Do lookups, handshakes and messages at the same time.
    Mix {
        #[command(flatten)]
        among_peers: AmongPeers,
        /// How many of each kind of operation are begun for how many of the others. The kinds are `lookups`, `handshakes` (a session is opened
        /// and closed at once) and `messages` (a connected client sends a small message, which the server acknowledges).
        #[arg(long, value_name = "NAME=SHARE,...", default_value = "lookups=8,handshakes=1,messages=1", value_parser = mix::shares)]
        shares: Shares,
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
        #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = options::seconds)]
        idle: Duration,
    },
    /// Let the clients of a server that was started again come back all at once, while others look each other up.
    ///
    /// Each client opens a session, connects, sends setPeerInfo, joins a group and looks a peer up. What is not answered it sends again as real
    /// clients do: after 1 s, 2.5 s later, 4 s later and so on, for 95 s. Start the server anew for each run.
    Storm {
        #[command(flatten)]
        common: Common,
        /// The clients that come back.
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        clients: u32,
        /// The clients that are connected before.
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
        others: u32,
        /// How often each of them looks another one up.
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = options::seconds)]
        every: Duration,
        /// The time over which the clients come back: 0 is all at once.
        #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = options::seconds)]
        over: Duration,
        /// The groups that the clients join: 1 means that all are members of one.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        groups: u32,
        /// The longest time that the storm may take.
        #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = options::seconds)]
        duration: Duration,
    },
}

/// The options of loads that have lookups in them.
#[derive(Args)]
struct AmongPeers {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timed: Timed,
    /// Operations under way at a time.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: u32,
    /// The peers that are connected meanwhile, and looked up in turn.
    #[arg(long, alias = "targets", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// The addresses to send lookups from.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    askers: u32,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    output::start_logging("warn");
    let (common, report) = match &args.work {
        Work::Lookups(AmongPeers { common, timed, window, connections, askers }) => {
            let (connections, askers) = (*connections as usize, *askers as usize);
            (common, lookups::run(common.options()?, &timed.bounds(*window), connections, askers, common.process())?)
        }
        Work::Mix { among_peers: AmongPeers { common, timed, window, connections, askers }, shares } => {
            let (bounds, connections, askers) = (timed.bounds(*window), *connections as usize, *askers as usize);
            (common, mix::run(common.options()?, &bounds, *shares, connections, askers, common.process())?)
        }
        Work::Handshakes { common, timed, window } => {
            (common, handshakes::run(common.options()?, &timed.bounds(*window), common.process())?)
        }
        Work::Flow { common, timed, window, size } => {
            (common, flow::run(&common.options()?, &timed.bounds(*window), *size as usize, common.process())?)
        }
        Work::Sessions { common, count, window, idle } => {
            let bounds = Bounds { duration: CONNECT_TIMEOUT, count: Some(u64::from(*count)), window: *window as usize };
            (common, sessions::run(common.options()?, &bounds, *idle, common.process())?)
        }
        Work::Storm { common, clients, others, every, over, groups, duration } => {
            let storm = StormOptions {
                newcomers: *clients as usize,
                others: *others as usize,
                interval: *every,
                spread: *over,
                groups: *groups as usize,
                limit: *duration,
            };
            return storm::run(common.options()?, &storm, common.process())?.print(common.json);
        }
    };
    report.print(common.json)
}

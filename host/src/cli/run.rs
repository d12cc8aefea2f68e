//! `introd run`: the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::configuration;
use crate::log;
use crate::server::{DEFAULT_PORT, Server, ServerSettings};

#[derive(Args)]
pub(super) struct RunArgs {
    /// Read the configuration from this folder [default: conf, if there is one; else the built-in defaults].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Listen here instead of where the configuration says; repeat for more. `:PORT` means every IPv4 address.
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    listen: Vec<SocketAddr>,
    /// Threads that share the clients, 1 to 64 [default: one per processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: Option<u8>,
    /// Write all traffic into this file, with its keys: whoever has the file can read everything.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Log lines of one kind and application that are written in ten seconds; further ones are counted. 0: no limit.
    #[arg(long, value_name = "N", default_value_t = log::DEFAULT_LIMIT)]
    log_limit: u32,
}

/// `ADDR:PORT`, `ADDR`, `:PORT` or `PORT`.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT));
    }
    match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        Err(_) => Err("not an address and port: give something like 0.0.0.0:1935 or [::]:1935".to_owned()),
    }
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<()> {
    log::start("info", args.log_limit);
    let loaded = configuration::load_at_start(args.conf.as_deref()).context("nothing was started")?;
    let mut files = loaded.files;
    let recorder = super::recorder(args.record.as_deref(), "introd run")?;
    let settings = ServerSettings {
        recorder: recorder.clone(),
        listen: args.listen.clone(),
        config: loaded.config,
        workers: args.workers.map(usize::from),
        registry: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        // Before the server starts, so that a signal that comes early is not lost.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut server = Server::start(&settings)?;
        announce(server.addresses());
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => log::say(&configuration::reload(&server, args.conf.as_deref(), &mut files)),
            }
        }
        log::say(&format!("introd stops: closing {} clients\n", server.peers()));
        server.stop();
        let counters = server.counters();
        for (name, count) in counters.iter() {
            tracing::info!(name, count, "total");
        }
        for figure in server.plugin_figures() {
            tracing::info!(name = figure.name, count = figure.value, "total");
        }
        if let Some(recorder) = recorder {
            super::finish_recording(&recorder)?;
        }
        Ok(())
    })
}

/// Says where the server listens, and what to do next.
fn announce(addresses: &[SocketAddr]) {
    for address in addresses {
        log::say(&format!("introd {} listens on UDP {address}\n", env!("CARGO_PKG_VERSION")));
    }
    let Some(first) = addresses.first() else { return };
    let reachable = match first.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let host = SocketAddr::new(reachable, first.port());
    let authority = if first.port() == DEFAULT_PORT {
        host.to_string().trim_end_matches(&format!(":{DEFAULT_PORT}")).to_owned()
    } else {
        host.to_string()
    };
    log::say(&format!(
        "try it from another shell:  introd probe --meet rtmfp://{authority}/any/room\nstop it with Ctrl-C\n"
    ));
}

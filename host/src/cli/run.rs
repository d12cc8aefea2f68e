//! `introd run`: the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::new_program::Program;
use super::starting::{self, Started};
use super::{configuration, recording};
use crate::memory::limit_free_memory;
use crate::server::{Reconfiguration, Server, ServerSettings, has_spare_descriptors};
use crate::service_manager::{PassedSockets, ServiceManager};
use crate::takeover::{self, ReservedSocket, Successors};
use introd_config::Config;
use introd_flash::uri::DEFAULT_PORT;
use introd_liveness::{AtStandstill, Supervisor};

/// Fewer than the smallest server takes: without descriptors code may panic, and not say why.
const MIN_DESCRIPTORS: usize = 16;
/// A server that has not stopped by then is taken to hang.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

#[derive(Args)]
pub(super) struct RunArgs {
    /// Read the configuration from this folder [default: conf, if there is one; else the built-in defaults].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Listen at this address instead of those in the configuration. Repeat the option for more addresses. `:PORT` means every IPv4 address.
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    listen: Vec<SocketAddr>,
    /// Where the administration listens by TCP, instead of the addresses in the configuration; `none`: there is no administration. Repeat
    /// the option for more addresses.
    #[arg(long, value_name = "ADDR:PORT|none", value_parser = admin_address)]
    admin: Vec<AdminAddress>,
    /// Number of worker threads, which share the clients: 1 to 64 [default: one per processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: Option<u8>,
    /// Take over the sockets and sessions of the server that listens at this Unix socket, if there is one, and listen there for the next
    /// process that takes over [default: introd-takeover.sock in systemd's runtime directory, or in the user's].
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true)]
    takeover: Option<Option<PathBuf>>,
    /// Write all traffic and its keys into this file. Anyone with the file can read all of the traffic. Not together with --takeover: keys of
    /// sessions that come over are not recorded.
    #[arg(long, value_name = "FILE", conflicts_with = "takeover")]
    record: Option<PathBuf>,
    /// Write at most this many log lines of one kind and application in ten seconds, and count the others. 0: no limit.
    #[arg(long, value_name = "N", default_value_t = introd_log::DEFAULT_LIMIT)]
    log_limit: u32,
    /// Write the log as text, or as an object of JSON for each record.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormatName::Text)]
    log_format: LogFormatName,
}

/// The form of the log on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormatName {
    Text,
    Json,
}

impl From<LogFormatName> for introd_log::LogFormat {
    fn from(name: LogFormatName) -> Self {
        match name {
            LogFormatName::Text => Self::Text,
            LogFormatName::Json => Self::Json,
        }
    }
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

/// An address of the administration on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdminAddress {
    Nowhere,
    At(SocketAddr),
}

/// `ADDR:PORT` or `none`.
fn admin_address(text: &str) -> Result<AdminAddress, String> {
    if text == "none" {
        return Ok(AdminAddress::Nowhere);
    }
    text.parse()
        .map(AdminAddress::At)
        .map_err(|_| "neither `none` nor an address and port, as 127.0.0.1:1111".to_owned())
}

/// Where the administration listens: as the command line says, or else as the configuration does.
fn admin_addresses(args: &[AdminAddress], config: &Config) -> Vec<SocketAddr> {
    if args.is_empty() {
        let admin = &config.server.admin;
        return admin.listen.iter().map(|listen| listen.local).filter(|_| admin.enable).collect();
    }
    let at = args.iter().filter_map(|address| match address {
        AdminAddress::Nowhere => None,
        AdminAddress::At(address) => Some(*address),
    });
    at.collect()
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<()> {
    // Before the process has another thread.
    let passed = PassedSockets::from_environment()?;
    limit_free_memory();
    introd_log::start("info", args.log_limit, args.log_format.into());
    let mut manager = ServiceManager::from_environment();
    let program = Program::of_this_process();
    raise_descriptor_limit();
    has_spare_descriptors(MIN_DESCRIPTORS)
        .context("there are too few file descriptors to serve: raise the limit of open files (`ulimit -n`)")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let mut survived = {
        let _runtime = runtime.enter();
        Survived::install()?
    };
    let loaded = configuration::load_at_start(args.conf.as_deref()).context("nothing was started")?;
    let files = Arc::new(Mutex::new(loaded.files));
    let recorder = recording::start(args.record.as_deref(), "introd run")?;
    let settings = ServerSettings {
        recorder: recorder.clone(),
        listen: args.listen.clone(),
        admin: admin_addresses(&args.admin, &loaded.config),
        config: loaded.config,
        workers: args.workers.map(usize::from),
        can_be_taken_over: args.takeover.is_some(),
        passed,
        registry: None,
    };
    runtime.block_on(async {
        // Before the server starts, so that a signal that comes early is not lost.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let takeover = args.takeover.as_ref().map(takeover_socket).transpose()?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        };
        // Passed sockets that the server does not use are closed then.
        let path = takeover.as_ref().map(|socket| socket.path().to_owned());
        let Started { mut server, is_to_stop } = starting::start(settings, path, stop).await?;
        let mut successors = match (takeover, server.estate()) {
            // It serves already, and may have the clients of another process.
            (Some(socket), Some(estate)) => Successors::wait_at(socket, estate)
                .inspect_err(|error| tracing::error!("no other process can take over from this one: {error:#}"))
                .ok(),
            _ => None,
        };
        let mut supervisor = Supervisor::start().context("the supervisor's thread cannot be started")?;
        announce(server.addresses(), server.admin_addresses());
        manager.tell_ready(&status(&server));
        let pulse = introd_liveness::this_thread("main", AtStandstill::EndProcess);
        let mut beats = tokio::time::interval(introd_liveness::BEAT);
        // A reload reads disks, which may hang: signals are obeyed meanwhile.
        let mut reloading: Option<tokio::sync::oneshot::Receiver<String>> = None;
        let mut is_reload_wanted = false;
        let ending = loop {
            if is_to_stop {
                break Ending::Stop;
            }
            let replaced = async {
                match &mut successors {
                    Some(successors) => successors.replaced().await,
                    None => std::future::pending().await,
                }
            };
            let reloaded = async {
                match &mut reloading {
                    Some(reloading) => reloading.await.unwrap_or_else(|_| "the reload has failed".to_owned()),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => break Ending::Stop,
                _ = terminate.recv() => break Ending::Stop,
                () = supervisor.failed() => break Ending::Failed,
                process = replaced => break Ending::Replaced { process },
                _ = beats.tick() => {
                    pulse.beat();
                    manager.tick(Instant::now(), supervisor.good_looks(), &status(&server));
                    if server.has_drained() {
                        introd_log::say("introd has drained\n");
                        break Ending::Stop;
                    }
                }
                _ = survived.hangup.recv() => is_reload_wanted = true,
                answer = reloaded => {
                    reloading = None;
                    manager.tell_ready(&answer);
                }
            }
            if is_reload_wanted && reloading.is_none() {
                is_reload_wanted = false;
                manager.tell_reloading();
                // What is put in force is what is on the disk: the configuration, and the program if another one can take over.
                reloading = match successors.as_ref().filter(|_| program.is_replaced()) {
                    Some(successors) => program.start_successor(successors.is_under_way()),
                    None => start_reload(server.reconfiguration(), args.conf.clone(), Arc::clone(&files)),
                };
                if reloading.is_none() {
                    manager.tell_ready("the old program and configuration stay");
                }
            }
        };
        pulse.end();
        let ending = match successors.take_if(|_| ending == Ending::Stop) {
            // A process that takes over at this moment may have the clients already.
            Some(successors) => successors.end().await.map_or(Ending::Stop, |process| Ending::Replaced { process }),
            None => ending,
        };
        if let Ending::Replaced { process } = ending {
            manager.tell_successor(process);
        } else {
            manager.tell_stopping(&format!("closing {}", clients(server.peers())));
        }
        supervisor.stop_within(STOP_LIMIT);
        if ending == Ending::Failed {
            server.stop();
            supervisor.end();
        }
        if matches!(ending, Ending::Replaced { .. }) {
            introd_log::say("introd ends: another process has taken over\n");
            server.leave();
            return Ok(());
        }
        drop(successors);
        introd_log::say(&format!("introd stops: closing {} clients\n", server.peers()));
        server.stop();
        let counters = server.counters();
        for (name, count) in counters.iter() {
            tracing::info!(name, count, "total");
        }
        for (name, count) in server.net_connection_counters().iter() {
            tracing::info!(name, count, "total");
        }
        for (name, count) in server.relay_figures().iter().flat_map(crate::relay::RelayFigures::named) {
            tracing::info!(name, count, "total");
        }
        for metric in server.plugin_metrics() {
            tracing::info!(name = metric.name, count = metric.value, "total");
        }
        if let Some(recorder) = recorder {
            // A long recording takes its time.
            supervisor.stop_within(std::time::Duration::MAX);
            recording::finish(&recorder)?;
        }
        Ok(())
    })
}

/// Why the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A signal, or the end of a drain.
    Stop,
    /// A thread stands still or has panicked.
    Failed,
    /// Another process has taken over: the one of this number.
    Replaced { process: u32 },
}

/// The Unix socket for takeovers, made before the server starts.
fn takeover_socket(given: &Option<PathBuf>) -> anyhow::Result<ReservedSocket> {
    let path = given.clone().or_else(takeover::default_path);
    let none = "--takeover: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set: give a path, as --takeover=/run/introd/takeover.sock";
    ReservedSocket::make(&path.context(none)?)
}

/// How the server is, in a few words.
fn status(server: &Server) -> String {
    let clients = clients(server.peers());
    if server.is_draining() { format!("draining: {clients} left") } else { clients }
}

fn clients(count: usize) -> String {
    if count == 1 { "1 client".to_owned() } else { format!("{count} clients") }
}

/// Signals that would end the process if it did not wait for them.
struct Survived {
    /// A reload. If it comes before the server has started, it happens after the start.
    hangup: Signal,
    /// A file is as large as it may be (`RLIMIT_FSIZE`): the write fails as with other errors.
    _file_size: Signal,
}

impl Survived {
    fn install() -> anyhow::Result<Self> {
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Self { hangup: signal(SignalKind::hangup())?, _file_size: signal(file_size)? })
    }
}

/// As many file descriptors as the system allows: each socket, script and connection to a registry takes one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        tracing::debug!(?limit, "the limit of file descriptors stays as it is");
    }
}

/// Starts a reload on a thread of its own, and gives back what becomes of it. `files` are those that the configuration in force was read
/// from.
fn start_reload(
    server: Reconfiguration,
    dir: Option<PathBuf>,
    files: Arc<Mutex<Vec<PathBuf>>>,
) -> Option<tokio::sync::oneshot::Receiver<String>> {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let started = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
        // There is one reload at a time.
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = configuration::reload(&server, dir.as_deref(), &mut files);
        introd_log::say(&answer);
        let _ = done.send(answer);
    });
    match started {
        Ok(_) => Some(is_done),
        Err(error) => {
            tracing::error!(%error, "the old configuration stays: no thread can be started to read another");
            introd_log::say("introd keeps its old configuration\n");
            None
        }
    }
}

/// Says where the server listens, and what to do next.
fn announce(addresses: &[SocketAddr], admin: &[SocketAddr]) {
    for address in addresses {
        introd_log::say(&format!("introd {} listens on UDP {address}\n", env!("CARGO_PKG_VERSION")));
    }
    for address in admin {
        introd_log::say(&format!("its administration is at http://{address}/\n"));
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
    introd_log::say(&format!(
        "try it from another shell:  introd probe --meet rtmfp://{authority}/any/room\nstop it with Ctrl-C\n"
    ));
}

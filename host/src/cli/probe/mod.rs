//! `introd probe`: tests a server as a real client.

mod failure;
mod group;
mod playing;
mod report;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, HmacPreference, Identity, SequencePreference};
use rtmfp::{Config, Event, PeerId};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::record::PeerRecording;
use failure::{STAY_CHECK, local_failure};
use group::GroupProbe;
use introd_client::{Client, ClientFailure, ClientStep, Destination, EchoReply, PeerEndpoint};
use introd_flash::client::ConnectOptions;
use introd_netgroup::Groupspec;
use introd_udp::{BufferSizes, UdpSocket};
use playing::Playing;
use report::Report;

#[derive(Args)]
pub(super) struct ProbeArgs {
    /// The server and application: rtmfp://host[:port]/application/instance. The port is 1935 if not given.
    uri: String,
    /// Look this peer up, open a session with it, and send it a message. It is connected to the same server.
    #[arg(long, value_name = "ID", value_parser = peer_id)]
    peer: Option<PeerId>,
    /// Play this stream of the peer, instead of sending it a message.
    #[arg(long, value_name = "STREAM", requires = "peer")]
    play: Option<String>,
    /// Start two peers: one finds the other through the server and exchanges a message with it directly.
    #[arg(long, conflicts_with_all = ["peer", "stay"])]
    meet: bool,
    /// Join this group through the server, reach the members that it names, and post something if the group allows that.
    #[arg(long, value_name = "GROUPSPEC", value_parser = groupspec, conflicts_with_all = ["peer", "meet"])]
    group: Option<Groupspec>,
    /// Stay connected as a peer for others to find, and a member of the group, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Print one JSON object instead of text. With --stay it comes as soon as the peer is connected, with --group as soon as
    /// the members that the server names are reached.
    #[arg(long)]
    json: bool,
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 only.
    #[arg(short = '6', long)]
    ipv6: bool,
    /// How long each step may take.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Neither send HMACs nor ask for them: packets carry the simple checksum.
    #[arg(long)]
    no_hmac: bool,
    /// Neither send session sequence numbers nor ask for them.
    #[arg(long)]
    no_sequence: bool,
    /// As --no-hmac and --no-sequence: what the oldest clients do.
    #[arg(long)]
    plain: bool,
    /// Use an identity that makes a new key for each session. Without this option it has lasting Diffie-Hellman keys, and its peer id
    /// cannot be used by anyone else.
    #[arg(long)]
    ephemeral: bool,
    /// Use an identity with lasting Diffie-Hellman keys, which is the default.
    #[arg(long, hide = true, conflicts_with = "ephemeral")]
    static_keys: bool,
    /// Appear to others like a Flash Player: as --plain, with one lasting key, in group 2. librtmfp accepts no other peers.
    #[arg(long, conflicts_with = "ephemeral")]
    flash: bool,
    /// Write all traffic and its keys into this file: with the file, everything can be read.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

fn peer_id(text: &str) -> Result<PeerId, String> {
    text.parse().map_err(|_| "a peer id is 64 hexadecimal digits".to_owned())
}

fn groupspec(text: &str) -> Result<Groupspec, String> {
    Groupspec::parse(text).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 0.1..=3600.0;
    match text.parse::<f64>() {
        Ok(seconds) if RANGE.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give a number of seconds from 0.1 to 3600".to_owned()),
    }
}

pub(super) fn run(args: &ProbeArgs) -> ExitCode {
    crate::cli::output::start_logging("warn");
    let mut report = Report::new(&args.uri);
    if args.meet || args.peer.is_some() {
        report.expect_meeting(args.play.is_some());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => recorded(args, &mut report, &runtime),
        Err(error) => Err(local_failure(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report.fail(&failure);
            // The report of the connection is printed although a later step failed.
            if !report.is_printed && (args.json || report.connected) {
                report.print(args.json);
            }
            introd_log::complain(&format!("introd probe: {failure}\ncheck {}\n", failure.check));
            ExitCode::FAILURE
        }
    }
}

/// Runs the probe, and writes its recording if there is one, however the probe ends.
fn recorded(args: &ProbeArgs, report: &mut Report, runtime: &Runtime) -> Result<(), ClientFailure> {
    let file = |error: anyhow::Error| {
        ClientFailure::new(ClientStep::Resolve, format!("{error:#}"), "the file named by --record")
    };
    let recorder = crate::cli::recording::recorder(args.record.as_deref(), "introd probe").map_err(file)?;
    let recording = recorder.clone().map(PeerRecording::new);
    let result = runtime.block_on(probe(&Setup { args, recording }, report));
    match recorder.map_or(Ok(()), |recorder| crate::cli::recording::finish_recording(&recorder)) {
        Err(error) if result.is_ok() => Err(file(error)),
        _ => result,
    }
}

/// What all clients of a probe are made from.
struct Setup<'a> {
    args: &'a ProbeArgs,
    recording: Option<PeerRecording>,
}

async fn probe(setup: &Setup<'_>, report: &mut Report) -> Result<(), ClientFailure> {
    let args = setup.args;
    // Signals are caught before anything is opened, so that all is closed in an orderly way however early a signal comes.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(local_failure)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(local_failure)?;
    let destination = Destination::resolve(&args.uri, |address| wants(args, address.ip())).await?;
    let mut client = None;
    let result = tokio::select! {
        result = steps(setup, destination, report, &mut client) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    if let Some(client) = client {
        client.close().await;
    }
    result
}

/// Runs all steps from the handshake on. The client is left in `kept`, so that it is closed whatever happens.
async fn steps(
    setup: &Setup<'_>,
    destination: Destination,
    report: &mut Report,
    kept: &mut Option<Client>,
) -> Result<(), ClientFailure> {
    let args = setup.args;
    if args.meet {
        meet(setup, destination, report).await?;
        report.print(args.json);
        return Ok(());
    }
    let client = kept.insert(connect(setup, destination).await?);
    report.connected(client);
    if let Some(peer) = args.peer {
        introduce(args, client, peer, report).await?;
    }
    let mut group = None;
    if let Some(spec) = &args.group {
        let member = group.insert(GroupProbe::new(spec));
        let result = member.run(client, spec, args.timeout).await;
        report.group = Some(member.report(client));
        result?;
    }
    report.print(args.json);
    if !args.stay {
        return Ok(());
    }
    if !args.json {
        let id = client.id();
        crate::cli::output::say(&format!(
            "staying connected; find this peer with:\n  introd probe --peer {id} {}\n",
            args.uri
        ));
        crate::cli::output::say("stop it with Ctrl-C\n");
    }
    match &mut group {
        Some(member) => Err(member.stay(client, !args.json).await),
        None => stay(client, args.json).await,
    }
}

/// Connects two clients, of which one looks for the other.
async fn meet(setup: &Setup<'_>, destination: Destination, report: &mut Report) -> Result<(), ClientFailure> {
    let mut target = connect(setup, destination.clone()).await?;
    let target_id = target.id();
    let asking = async {
        let mut asker = connect(setup, destination).await?;
        report.connected(&asker);
        let met = introduce(setup.args, &mut asker, target_id, report).await;
        let id = asker.id();
        asker.close().await;
        met.map(|()| id)
    };
    let asker_id = tokio::select! {
        result = asking => result?,
        failure = target.stay() => return Err(failure),
    };
    // The other half of the exchange: it was the target that answered the asker.
    if !target.echoed_peers().contains(&asker_id) {
        let problem = "the answer did not come from the peer that was looked for";
        return Err(ClientFailure::new(ClientStep::Message, problem, "what stands between the two peers"));
    }
    target.close().await;
    Ok(())
}

async fn introduce(
    args: &ProbeArgs,
    client: &mut Client,
    peer: PeerId,
    report: &mut Report,
) -> Result<(), ClientFailure> {
    report.looking_for(peer);
    let meeting = client.meet(peer, args.timeout).await?;
    report.introduced(&meeting);
    if let Some(name) = &args.play {
        let playing = report.playing.insert(Playing { name: name.clone(), ..Playing::default() });
        return playing::play(client, meeting.session, args.timeout, playing).await;
    }
    let answer = client.echo(meeting.session, args.timeout).await?;
    report.message_exchanged = Some(answer == EchoReply::Echoed);
    if args.meet && answer != EchoReply::Echoed {
        return Err(ClientFailure::new(
            ClientStep::Message,
            "the peer rejected the message",
            "what stands between the two peers",
        ));
    }
    Ok(())
}

async fn stay(client: &mut Client, is_quiet: bool) -> Result<(), ClientFailure> {
    loop {
        match client.next().await.map_err(local_failure)? {
            Event::Closed { session, reason } if session == client.session() => {
                let problem = format!("the connection to the server ended: {reason}");
                return Err(ClientFailure::new(ClientStep::Stay, problem, STAY_CHECK));
            }
            Event::Opened { session, .. } if !is_quiet => {
                if let Some(info) = client.peer().endpoint.session(session) {
                    crate::cli::output::say(&format!("peer {} is here, from {}\n", info.peer_id, info.far_address));
                }
            }
            _ => (),
        }
    }
}

async fn connect(setup: &Setup<'_>, destination: Destination) -> Result<Client, ClientFailure> {
    let args = setup.args;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(local_failure)?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    const GROUPS: [Group; 3] = [Group::Modp2, Group::Modp5, Group::Modp14];
    let identity = Arc::new(match (args.flash, args.ephemeral) {
        (true, _) => Identity::fixed(&GROUPS[..1], &mut rng),
        (_, true) => Identity::ephemeral(&GROUPS, None, false, &mut rng),
        _ => Identity::fixed(&GROUPS, &mut rng),
    });
    let id = identity.peer_id();
    let mut config = Config::peer(identity);
    if args.no_hmac || args.plain || args.flash {
        config.keying.hmac = HmacPreference::default();
    }
    if args.no_sequence || args.plain || args.flash {
        config.keying.sequence = SequencePreference::default();
    }
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let sockets = any.into_iter().filter(|ip| wants(args, *ip));
    let sockets = sockets.filter_map(|ip| UdpSocket::bind(SocketAddr::new(ip, 0), BufferSizes::default()).ok());
    config.keying.log_keys = setup.recording.is_some();
    let mut peer = PeerEndpoint::with_sockets(config, sockets.collect()).map_err(local_failure)?;
    if let Some(recording) = &setup.recording {
        recording.record(&mut peer);
    }
    Client::connect(peer, id, destination, &ConnectOptions::default(), args.timeout).await
}

fn wants(args: &ProbeArgs, ip: IpAddr) -> bool {
    if ip.is_ipv4() { !args.ipv6 } else { !args.ipv4 }
}

//! `introd probe`: a real client, to try a server with.

mod args;
mod connecting;
mod failure;
mod group;
mod group_report;
mod meeting;
mod nat;
mod playing;
mod posting;
mod report;

use std::process::ExitCode;

use rtmfp::Event;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub(super) use self::args::ProbeArgs;
use self::connecting::{Setup, connect};
use self::failure::{STAY_CHECK, local_failure};
use self::group::GroupProbe;
use self::meeting::{introduce, meet};
use self::report::Report;
use super::{output, recording};
use crate::record::PeerRecording;
use introd_client::{Client, ClientFailure, ClientStep, Destination};

pub(super) fn run(args: &ProbeArgs) -> ExitCode {
    output::start_logging("warn");
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
            // The report of the connection is useful although a later step failed.
            if !report.is_printed && (args.json || report.connected) {
                report.print(args.json);
            }
            introd_log::complain(&format!("introd probe: {failure}\ncheck {}\n", failure.check));
            ExitCode::FAILURE
        }
    }
}

/// The probe, and its recording if the user asked for one: the recording is written however the probe ends.
fn recorded(args: &ProbeArgs, report: &mut Report, runtime: &Runtime) -> Result<(), ClientFailure> {
    let file = |error: anyhow::Error| {
        ClientFailure::new(ClientStep::Resolve, format!("{error:#}"), "the file named by --record")
    };
    let recorder = recording::start(args.record.as_deref(), "introd probe").map_err(file)?;
    let recording = recorder.clone().map(PeerRecording::new);
    let result = runtime.block_on(probe(&Setup { args, recording }, report));
    match recorder.map_or(Ok(()), |recorder| recording::finish(&recorder)) {
        Err(error) if result.is_ok() => Err(file(error)),
        _ => result,
    }
}

async fn probe(setup: &Setup<'_>, report: &mut Report) -> Result<(), ClientFailure> {
    let args = setup.args;
    // Before anything is opened, so that an early signal closes it in order, too.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(local_failure)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(local_failure)?;
    let destination = Destination::resolve(&args.uri, |address| args.allows(address.ip())).await?;
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

/// Everything from the handshake on. The client is left in `kept`, so that it can be closed whatever happens.
async fn steps(
    setup: &Setup<'_>,
    destination: Destination,
    report: &mut Report,
    kept: &mut Option<Client>,
) -> Result<(), ClientFailure> {
    let args = setup.args;
    if args.nat {
        nat::diagnose(setup, destination, report).await?;
        report.print(args.json);
        return Ok(());
    }
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
        output::say(&format!("staying connected; find this peer with:\n  introd probe --peer {id} {}\n", args.uri));
        output::say("stop it with Ctrl-C\n");
    }
    match &mut group {
        Some(member) => Err(member.stay(client, !args.json).await),
        None => stay(client, args.json).await,
    }
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
                    output::say(&format!("peer {} is here, from {}\n", info.peer_id, info.far_address));
                }
            }
            _ => (),
        }
    }
}

//! `--meet` and `--peer`: an introduction, and a message between the peers.

use rtmfp::PeerId;

use super::args::ProbeArgs;
use super::connecting::{Setup, connect};
use super::playing::{self, Playing};
use super::report::Report;
use introd_client::{Client, ClientFailure, ClientStep, Destination, EchoReply};

/// What to check when the message fails.
const MESSAGE_CHECK: &str = "firewalls and NATs between the two peers";

/// Two clients, of which one looks up the other.
pub(super) async fn meet(
    setup: &Setup<'_>,
    destination: Destination,
    report: &mut Report,
) -> Result<(), ClientFailure> {
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
    let asked = tokio::select! {
        result = asking => result,
        failure = target.stay() => return Err(failure),
    };
    // The target must have answered this asker, and nothing between them.
    let met = asked.and_then(|asker_id| {
        let problem = "the answer did not come from the target";
        let no_answer = || ClientFailure::new(ClientStep::Message, problem, MESSAGE_CHECK);
        target.echoed_peers().contains(&asker_id).then_some(()).ok_or_else(no_answer)
    });
    target.close().await;
    met
}

/// Looks up a peer, and exchanges a message with it or plays its stream.
pub(super) async fn introduce(
    args: &ProbeArgs,
    client: &mut Client,
    peer: PeerId,
    report: &mut Report,
) -> Result<(), ClientFailure> {
    report.looking_for(peer);
    let meeting = client.meet(peer, args.timeout).await?;
    report.introduced(&meeting);
    report.set_path(client.path(&meeting, args.timeout).await?);
    if let Some(name) = &args.play {
        let playing = report.playing.insert(Playing { name: name.clone(), ..Playing::default() });
        return playing::play(client, meeting.session, args.timeout, playing).await;
    }
    let answer = client.echo(meeting.session, args.timeout).await?;
    report.message_exchanged = Some(answer == EchoReply::Echoed);
    if args.meet && answer != EchoReply::Echoed {
        return Err(ClientFailure::new(ClientStep::Message, "the peer rejected the message", MESSAGE_CHECK));
    }
    Ok(())
}

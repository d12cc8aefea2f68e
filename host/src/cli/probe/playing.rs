//! `--play`: a stream that the peer publishes to other peers.

use std::time::Duration;

use rtmfp::SessionId;
use serde::Serialize;

use super::failure::local_failure;
use introd_client::{Client, ClientFailure, ClientStep, PlayEvent};
use introd_flash::peer::FIRST_STREAM;

/// After so many messages it is clear that the stream plays.
const ENOUGH: u64 = 20;

/// What this peer received of a stream.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Playing {
    pub(super) name: String,
    /// Messages of audio, video and data.
    pub(super) messages: u64,
    /// Their bytes, without headers.
    pub(super) bytes: u64,
}

/// Plays a stream of the peer of `session`, until it is clear that it plays. `playing` holds what was received in any case.
pub(super) async fn play(
    client: &mut Client,
    session: SessionId,
    timeout: Duration,
    playing: &mut Playing,
) -> Result<(), ClientFailure> {
    let failure = |problem: String| {
        ClientFailure::new(ClientStep::Message, problem, "that the peer publishes this stream, and to every peer")
    };
    let mut play = client.play(session, FIRST_STREAM, &playing.name).map_err(failure)?;
    let result = tokio::time::timeout(timeout, async {
        while playing.messages < ENOUGH {
            let event = client.next().await.map_err(local_failure)?;
            for played in client.play_events(&mut play, &event) {
                match played {
                    PlayEvent::Media { payload, .. } => {
                        playing.messages += 1;
                        playing.bytes += payload.len() as u64;
                    }
                    PlayEvent::Status(status) if status.level == "error" => return Err(failure(status.description)),
                    PlayEvent::Ended => return Err(failure(format!("the peer does not publish {}", playing.name))),
                    PlayEvent::Began | PlayEvent::Status(_) => (),
                }
            }
        }
        Ok(())
    });
    let result = match result.await {
        Err(_) if playing.messages == 0 => {
            Err(failure(format!("nothing of {} came within {} s", playing.name, timeout.as_secs_f64())))
        }
        // A slow stream plays, too.
        Err(_) => Ok(()),
        Ok(result) => result,
    };
    client.stop_playing(&play);
    result
}

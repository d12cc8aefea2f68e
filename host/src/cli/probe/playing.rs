//! `introd probe --play`: plays a stream that the peer publishes.

use std::time::Duration;

use rtmfp::SessionId;
use serde::Serialize;

use introd_client::{Client, ClientFailure, ClientStep, PlayEvent};
use introd_flash::peer::FIRST_STREAM;

/// This many messages show that the stream is received.
const ENOUGH: u64 = 20;

/// What was received of a stream.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Playing {
    pub(super) name: String,
    /// How many messages of audio, video and data were received.
    pub(super) messages: u64,
    /// The bytes of these messages, without headers.
    pub(super) bytes: u64,
}

/// Plays a stream of the peer of `session` until enough messages show that it is received. What was received is in `playing`, even
/// if this fails.
pub(super) async fn play(
    client: &mut Client,
    session: SessionId,
    timeout: Duration,
    playing: &mut Playing,
) -> Result<(), ClientFailure> {
    let failure = |problem: String| {
        ClientFailure::new(
            ClientStep::Message,
            problem,
            "that the peer publishes this stream to every peer that plays it",
        )
    };
    let mut play = client.play(session, FIRST_STREAM, &playing.name).map_err(failure)?;
    let result = tokio::time::timeout(timeout, async {
        while playing.messages < ENOUGH {
            let event = client.next().await.map_err(super::failure::local_failure)?;
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
            Err(failure(format!("no message of {} arrived within {} s", playing.name, timeout.as_secs_f64())))
        }
        // A slow stream is received, too.
        Err(_) => Ok(()),
        Ok(result) => result,
    };
    client.stop_playing(&play);
    result
}

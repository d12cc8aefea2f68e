//! Opening a session with a server (RFC 7016 §3.5.1).

use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;
use rtmfp::{Event, OpenFailure, SessionId};

use crate::destination::Destination;
use crate::failure::{ClientFailure, ClientStep, list};
use crate::peer_endpoint::PeerEndpoint;
use crate::startup_observer::StartupObserver;

const CHECK: &str = "that the server runs and listens on that address and UDP port, and that no firewall on the way, on either \
                     side, drops UDP";

/// Opens a session with the first address of the server that answers.
///
/// # Errors
/// If no session opens before the timeout.
pub(super) async fn open_session(
    peer: &mut PeerEndpoint,
    destination: &Destination,
    startup: &StartupObserver,
    timeout: Duration,
) -> Result<SessionId, ClientFailure> {
    let failure = |problem: String| ClientFailure::new(ClientStep::Handshake, problem, CHECK);
    let candidates = peer.candidates(&destination.addresses);
    if candidates.is_empty() {
        return Err(failure(format!("no socket can reach {}", list(&destination.addresses))));
    }
    let opening = peer.endpoint.open(Instant::now(), Epd::ancillary(&destination.uri), &candidates);
    let opening = opening.ok_or_else(|| failure("the endpoint has no room for a session".to_owned()))?;
    let opened = tokio::time::timeout(timeout, async {
        loop {
            match peer.next().await.map_err(|error| ClientFailure::io(ClientStep::Handshake, &error))? {
                Event::Opened { session, .. } if session == opening => return Ok(session),
                Event::OpenFailed { session, reason } if session == opening => return Err(failure(reason.to_string())),
                _ => (),
            }
        }
    });
    if let Ok(result) = opened.await {
        return result;
    }
    let seconds = timeout.as_secs_f64();
    Err(match startup.observed().answered.first() {
        Some(address) => failure(OpenFailure::KeyingUnanswered(*address).to_string()),
        None => failure(format!("no answer from {} within {seconds} s", list(&destination.addresses))),
    })
}

//! Sending a message directly to a peer, which sends it back.

use std::time::{Duration, Instant};

use introd_flash::peer;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{Event, SessionId};

use crate::client::Client;
use crate::echo_message::{STREAM, is_reply, request};
use crate::failure::{ClientFailure, ClientStep};

const CHECK: &str = "firewalls between the two peers: the session opened, so some packets do pass";

/// What a peer did with the message of [`Client::echo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoReply {
    /// It sent the message back.
    Echoed,
    /// It rejected the flow: it is not a [`Client`].
    Rejected,
}

impl Client {
    /// Sends a message directly to the peer of `session`, and waits until the peer sends it back. Peers that are a [`Client`] do so.
    ///
    /// # Errors
    /// [`ClientStep::Message`] if the session ends, or no reply comes.
    pub async fn echo(&mut self, session: SessionId, timeout: Duration) -> Result<EchoReply, ClientFailure> {
        let failure = |problem: String| ClientFailure::new(ClientStep::Message, problem, CHECK);
        let text = unique_text().map_err(&failure)?;
        let flow = self.send_echo_request(session, &text).map_err(&failure)?;
        let reply = tokio::time::timeout(timeout, self.echo_reply(session, flow, &text)).await;
        let _ = self.peer().endpoint.with_flows(Instant::now(), session, |flows| flows.close(flow));
        match reply {
            Ok(result) => result.map_err(failure),
            Err(_) => Err(failure(format!("the peer did not answer within {} s", timeout.as_secs_f64()))),
        }
    }

    fn send_echo_request(&mut self, session: SessionId, text: &str) -> Result<SendFlowId, String> {
        let play = peer::play(STREAM).map_err(|error| error.to_string())?;
        let request = request(text).map_err(|error| error.to_string())?;
        let (now, endpoint) = (Instant::now(), &mut self.peer().endpoint);
        let flow = endpoint
            .open_flow(now, session, &peer::metadata(peer::FIRST_STREAM), FlowOptions::default())
            .map_err(|error| error.to_string())?;
        for message in [play, request] {
            endpoint.send(now, session, flow, message, Delivery::default()).map_err(|error| error.to_string())?;
        }
        Ok(flow)
    }

    async fn echo_reply(&mut self, session: SessionId, flow: SendFlowId, text: &str) -> Result<EchoReply, String> {
        let mut return_flow = None;
        loop {
            match self.next().await.map_err(|error| error.to_string())? {
                Event::Closed { session: closed, reason } if closed == session => {
                    return Err(format!("the session with the peer ended: {reason}"));
                }
                Event::Flow { session: of, event } if of == session => match event {
                    FlowEvent::Opened { flow: opened, return_of: Some(sent), .. } if sent == flow => {
                        return_flow = Some(opened);
                    }
                    FlowEvent::Rejected { flow: rejected, .. } if rejected == flow => return Ok(EchoReply::Rejected),
                    FlowEvent::Message { flow: on, data, .. } if return_flow == Some(on) && is_reply(&data, text) => {
                        return Ok(EchoReply::Echoed);
                    }
                    _ => (),
                },
                _ => (),
            }
        }
    }
}

/// A text that no earlier message had.
fn unique_text() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(hex::encode(bytes))
}

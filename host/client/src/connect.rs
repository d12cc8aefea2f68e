//! Connecting to a server (RFC 7425 §5.3).

use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use introd_flash::client::{self as messages, CLIENT_ADDRESS, CONNECT_TRANSACTION, ConnectOptions, Incoming, Status};
use introd_flash::command::Encoding;
use rtmfp::flow::{Delivery, FlowEvent};
use rtmfp::{CloseReason, Event, PeerId};

use crate::client::Client;
use crate::destination::Destination;
use crate::failure::{ClientFailure, ClientStep};
use crate::handshake::open_session;
use crate::peer_endpoint::PeerEndpoint;
use crate::startup_observer::StartupObserver;

const CHECK: &str = "the application's name in the URI, and the server's log: it may refuse this client";

/// How long messages may come after the server has ended the connection.
const ENDING_TIMEOUT: Duration = Duration::from_secs(1);

impl Client {
    /// Connects: opens a session, sends `connect`, and when that is accepted `setPeerInfo`. The timeout holds for each step.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn connect(
        mut peer: PeerEndpoint,
        id: PeerId,
        destination: Destination,
        options: &ConnectOptions,
        timeout: Duration,
    ) -> Result<Self, ClientFailure> {
        let startup = StartupObserver::watch(&mut peer.ports);
        let started = Instant::now();
        let session = open_session(&mut peer, &destination, &startup, timeout).await?;
        let handshake = started.elapsed();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| {
            ClientFailure::new(ClientStep::Connect, error.to_string(), "this machine's source of randomness")
        })?;
        let mut client = Self::new(peer, id, session, handshake, startup, seed)
            .ok_or_else(|| ClientFailure::new(ClientStep::Connect, "the session ended at once", "the server's log"))?;
        client.ask_to_connect(&destination.uri, options, timeout).await?;
        client.report_addresses(timeout).await?;
        Ok(client)
    }

    async fn ask_to_connect(
        &mut self,
        uri: &str,
        options: &ConnectOptions,
        timeout: Duration,
    ) -> Result<(), ClientFailure> {
        let message = messages::connect(uri, options).map_err(|error| failure(error.to_string()))?;
        self.send_to_server(message).map_err(|error| failure(error.to_string()))?;
        let (status, values) = tokio::time::timeout(timeout, self.connect_result()).await.unwrap_or_else(|_| {
            Err(failure(format!("the server did not answer connect within {} s", timeout.as_secs_f64())))
        })?;
        let seen = status.info.as_ref().and_then(|info| info.get(CLIENT_ADDRESS)).and_then(Value::as_str);
        let version = values.iter().find_map(|value| value.get("fmsVer")).and_then(Value::as_str);
        let seen = seen.and_then(|text| text.parse().ok());
        self.set_accepted(seen, version.map(str::to_owned), status.info.clone());
        Ok(())
    }

    async fn connect_result(&mut self) -> Result<(Status, Vec<Value>), ClientFailure> {
        loop {
            let event = self.next().await.map_err(|error| ClientFailure::io(ClientStep::Connect, &error))?;
            self.fail_if_lost(&event).await?;
            match self.server_message(&event) {
                Some(Incoming::Result { transaction, status, values }) if transaction == CONNECT_TRANSACTION => {
                    return if status.code.is_empty() || status.code.ends_with(".Success") {
                        Ok((status, values))
                    } else {
                        Err(refused(&status))
                    };
                }
                Some(Incoming::Error { transaction, status }) if transaction == CONNECT_TRANSACTION => {
                    return Err(refused(&status));
                }
                _ => (),
            }
        }
    }

    /// Sends `setPeerInfo` (RFC 7425 §5.3.3), and waits until the server has received it: a peer that is told of this client from now
    /// on may rely on it, for servers introduce only clients that have sent it.
    async fn report_addresses(&mut self, timeout: Duration) -> Result<(), ClientFailure> {
        let message = messages::set_peer_info(&self.connect_info().reported, Encoding::Amf0)
            .map_err(|error| failure(error.to_string()))?;
        let (session, control) = (self.session(), self.control());
        let delivery = Delivery { notify: true, ..Delivery::default() };
        self.peer()
            .endpoint
            .send(Instant::now(), session, control, message, delivery)
            .map_err(|error| failure(error.to_string()))?;
        let delivered = tokio::time::timeout(timeout, async {
            loop {
                match self.next().await {
                    Ok(Event::Flow { session: of, event: FlowEvent::Delivered { flow, .. } })
                        if (of, flow) == (session, control) =>
                    {
                        return Ok(());
                    }
                    Ok(event) => self.fail_if_lost(&event).await?,
                    Err(error) => return Err(ClientFailure::io(ClientStep::Connect, &error)),
                }
            }
        });
        delivered.await.unwrap_or_else(|_| Err(failure("the server did not acknowledge setPeerInfo".to_owned())))
    }

    /// Fails if the connection has ended with this event.
    async fn fail_if_lost(&mut self, event: &Event) -> Result<(), ClientFailure> {
        match event {
            Event::Closed { session, reason } if *session == self.session() => Err(match reason {
                CloseReason::Far | CloseReason::FarAbrupt => self.closed_by_server(self.accepted().is_some()),
                reason => failure(reason.to_string()),
            }),
            // An exception on the control flow says that the server is ending the NetConnection (RFC 7425 §5.3.6). It may overtake messages
            // which say why, and the end of the session follows.
            Event::Flow { session, event: FlowEvent::Rejected { flow, .. } }
                if (*session, *flow) == (self.session(), self.control()) =>
            {
                Err(self.last_words().await)
            }
            _ => Ok(()),
        }
    }

    /// Why the server is ending the connection, by the messages that still come.
    async fn last_words(&mut self) -> ClientFailure {
        let (mut is_accepted, deadline) = (self.accepted().is_some(), Instant::now() + ENDING_TIMEOUT);
        while let Ok(Ok(event)) = tokio::time::timeout_at(deadline.into(), self.next()).await {
            match self.server_message(&event) {
                Some(Incoming::Result { transaction, .. }) if transaction == CONNECT_TRANSACTION => is_accepted = true,
                Some(Incoming::Error { transaction, status }) if transaction == CONNECT_TRANSACTION => {
                    return refused(&status);
                }
                _ => (),
            }
            if matches!(event, Event::Closed { session, .. } if session == self.session()) {
                break;
            }
        }
        self.closed_by_server(is_accepted)
    }

    /// What happened if the server has ended the connection: servers say why in an `onStatus` before, if they say it at all.
    fn closed_by_server(&self, is_accepted: bool) -> ClientFailure {
        let mut problem = match is_accepted {
            true => "the server accepted the connection and closed it at once".to_owned(),
            false => "the server closed the connection before it answered connect".to_owned(),
        };
        if let Some(status) = self.status() {
            problem.push_str(&format!(": {} {}", status.code, status.description));
        }
        ClientFailure { status: self.status().cloned().map(Box::new), ..failure(problem) }
    }
}

fn failure(problem: String) -> ClientFailure {
    ClientFailure::new(ClientStep::Connect, problem, CHECK)
}

fn refused(status: &Status) -> ClientFailure {
    let mut problem = format!("the server refused the connection: {} {}", status.code, status.description);
    // The property by which AMS names another server to connect to.
    let redirect = status.info.as_ref().and_then(|info| info.get("ex")).and_then(|ex| ex.get("redirect"));
    if let Some(other) = redirect.and_then(Value::as_str) {
        problem.push_str(&format!(" It names another server: {other}"));
    }
    ClientFailure { status: Some(Box::new(status.clone())), ..failure(problem) }
}

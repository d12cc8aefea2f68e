//! For how long a NAT keeps a port open that is silent (RFC 4787 §4.3).
//!
//! One port is silent for each time that is tried. When its time is over, the server sends it a packet, from the address that the port has sent
//! to: it comes if the NAT still knows the port. All ports are silent at the same time, so that the test takes no longer than the longest
//! time.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::startup_packet::{StartupPacket, new_tag, watch};
use super::subject::{TestedPort, Unasked, ask_for_ticket};
use crate::cli::output;
use crate::cli::probe::connecting::Setup;
use crate::cli::probe::failure::{STAY_CHECK, local_failure};
use introd_client::{Client, ClientFailure, ClientStep};

/// The method of the server that sends a packet to an address with a ticket.
const TEST_BINDING: &str = "introd.testBinding";
/// The times that are tried, in seconds. RFC 4787 demands two minutes at least, and many NATs have thirty seconds.
const TIMES: [u64; 13] = [2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420];
/// How often a packet is sent, and how long each is waited for: it may be lost.
const TRIES: usize = 3;
const INTERVAL: Duration = Duration::from_millis(700);
/// How long a session may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long the NAT keeps a silent port open, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::cli::probe) struct Lifetime {
    /// The longest time after which a packet still came; null if none came.
    pub(super) at_least_s: Option<u64>,
    /// The shortest time after which none came; null if all came.
    pub(super) less_than_s: Option<u64>,
}

impl Lifetime {
    pub(super) fn text(self) -> String {
        match (self.at_least_s, self.less_than_s) {
            (Some(longest), Some(shortest)) => format!("a silent port is closed after {longest} to {shortest} s"),
            (Some(longest), None) => format!("a silent port is still open after {longest} s"),
            (None, Some(shortest)) => format!("a silent port is closed before {shortest} s are over"),
            (None, None) => "unknown".to_owned(),
        }
    }
}

/// The times up to a longest one, which is among them.
fn times(longest: Duration) -> Vec<u64> {
    let longest = longest.as_secs();
    TIMES.into_iter().filter(|time| *time < longest).chain([longest]).collect()
}

/// A port that is silent.
struct SilentPort {
    seconds: u64,
    client: Client,
    packets: mpsc::Receiver<StartupPacket>,
    ticket: String,
    /// When it last sent something.
    since: Instant,
}

impl SilentPort {
    /// Connects a port, gets a ticket for it, and closes its session, so that neither end sends anything.
    async fn new(
        setup: &Setup<'_>,
        uri: &str,
        server: SocketAddr,
        port: TestedPort,
        seconds: u64,
    ) -> Result<Self, Refused> {
        let mut client = port.other().connect(setup, uri, server).await?;
        let Unasked { ticket, refusal, .. } = ask_for_ticket(&mut client, setup.args.timeout).await?;
        let ticket = ticket.ok_or(Refused::ByServer(refusal))?;
        let packets = watch(&mut client.peer().ports);
        client.peer().endpoint.close_all(std::time::Instant::now());
        let until = Instant::now() + CLOSE_TIMEOUT;
        while client.peer().endpoint.session_count() > 0 && Instant::now() < until {
            // The endpoint has no event for the end of a close.
            let turn = (Instant::now() + Duration::from_millis(5)).min(until);
            if let Ok(event) = timeout_at(turn, client.next()).await {
                event.map_err(local_failure)?;
            }
        }
        Ok(Self { seconds, client, packets, ticket, since: Instant::now() })
    }

    /// Whether a packet reaches the port, now that its time is over.
    async fn is_open(&mut self, helper: &mut Client, timeout: Duration) -> Result<bool, ClientFailure> {
        let mut tags = Vec::new();
        for _ in 0..TRIES {
            let tag = new_tag()?;
            tags.push(tag);
            let arguments = vec![self.ticket.as_str().into(), hex::encode(tag).into()];
            if let Err(status) = helper.call(TEST_BINDING, arguments, timeout).await? {
                return Err(ClientFailure::new(ClientStep::Call, status.description, STAY_CHECK));
            }
            let until = Instant::now() + INTERVAL;
            while Instant::now() < until {
                // Nothing is sent here: the session is closed.
                if let Ok(event) = timeout_at(until, self.client.next()).await {
                    event.map_err(local_failure)?;
                }
                while let Ok(packet) = self.packets.try_recv() {
                    if tags.iter().any(|tag| packet.tag[..] == tag[..]) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Why there is no result.
pub(super) enum Refused {
    /// The server does not help, for that reason.
    ByServer(Option<String>),
    Failed(ClientFailure),
}

impl From<ClientFailure> for Refused {
    fn from(failure: ClientFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Tries all times up to the one that the arguments name. It says what it does, unless the result is for programs.
pub(super) async fn lifetime(
    setup: &Setup<'_>,
    uri: &str,
    server: SocketAddr,
    port: TestedPort,
    longest: Duration,
) -> Result<Lifetime, Refused> {
    let progress = |text: String| {
        if setup.args.json {
            introd_log::complain(&format!("introd probe: {text}\n"));
        } else {
            output::say(&format!("{text}\n"));
        }
    };
    let mut helper = port.other().connect(setup, uri, server).await?;
    let mut silent = Vec::new();
    for seconds in times(longest) {
        tokio::select! {
            port = SilentPort::new(setup, uri, server, port, seconds) => silent.push(port?),
            failure = helper.stay() => return Err(failure.into()),
        }
    }
    progress(format!("silent ports: {}; the last of them is tried after {} s", silent.len(), longest.as_secs()));
    let mut lifetime = Lifetime::default();
    for port in &mut silent {
        let over = port.since + Duration::from_secs(port.seconds);
        if let Ok(failure) = timeout_at(over, helper.stay()).await {
            return Err(failure.into());
        }
        if port.is_open(&mut helper, setup.args.timeout).await? {
            progress(format!("after {} s: open", port.seconds));
            lifetime.at_least_s = Some(port.seconds);
        } else {
            progress(format!("after {} s: closed", port.seconds));
            lifetime.less_than_s = Some(port.seconds);
            break;
        }
    }
    helper.close().await;
    Ok(lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_is_tried() {
        for (longest, expected) in
            [(1, &[1][..]), (2, &[2]), (3, &[2, 3]), (30, &[2, 5, 10, 20, 30]), (31, &[2, 5, 10, 20, 30, 31])]
        {
            assert_eq!(times(Duration::from_secs(longest)), expected);
        }
        assert_eq!(times(Duration::from_secs(600)).last(), Some(&600));
    }

    #[test]
    fn the_result_is_between_two_times() {
        for (at_least_s, less_than_s, expected) in [
            (Some(30), Some(45), "closed after 30 to 45 s"),
            (Some(300), None, "still open after 300 s"),
            (None, Some(2), "closed before 2 s are over"),
            (None, None, "unknown"),
        ] {
            assert!(Lifetime { at_least_s, less_than_s }.text().contains(expected));
        }
    }
}

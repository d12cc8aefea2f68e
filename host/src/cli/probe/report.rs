//! The result of a probe, for people and for scripts.

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::PeerId;
use serde::Serialize;

use super::group_report::GroupReport;
use super::nat::NatReport;
use super::playing::Playing;
use crate::cli::output;
use introd_client::{Client, ClientFailure, ConnectInfo, Meeting, Path};

/// The object that `--json` prints. Steps that the options do not ask for are left out; unknown values are null.
#[derive(Serialize)]
pub(super) struct Report {
    uri: String,
    /// Whether the server accepted the connection.
    pub(super) connected: bool,
    /// Whether the server introduced the target: a session with it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    introduced: Option<bool>,
    /// Whether the peer got a message and its answer came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_exchanged: Option<bool>,
    /// What this peer received of the stream of `--play`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) playing: Option<Playing>,
    peer_id: Option<String>,
    server_id: Option<String>,
    server_address: Option<SocketAddr>,
    server_version: Option<String>,
    handshake_ms: Option<f64>,
    /// The address at which the server sees this client.
    seen_address: Option<SocketAddr>,
    reported_addresses: Vec<SocketAddr>,
    nat: Option<bool>,
    /// Of `--nat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nat_behavior: Option<NatReport>,
    /// The way that packets between this peer and the target take: `direct` or `relayed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    /// Of `--group`.
    #[serde(flatten)]
    pub(super) group: Option<GroupReport>,
    /// The step that failed.
    failed_step: Option<&'static str>,
    error: Option<String>,
    /// What to check then.
    check: Option<&'static str>,
    #[serde(skip)]
    pub(super) is_printed: bool,
}

/// The peer that this one looks up.
#[derive(Serialize)]
struct Target {
    peer_id: String,
    address: Option<SocketAddr>,
    introduction_ms: Option<f64>,
    /// The addresses that the server named.
    redirects: Vec<SocketAddr>,
}

impl Report {
    pub(super) fn new(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            connected: false,
            introduced: None,
            message_exchanged: None,
            playing: None,
            peer_id: None,
            server_id: None,
            server_address: None,
            server_version: None,
            handshake_ms: None,
            seen_address: None,
            reported_addresses: Vec::new(),
            nat: None,
            nat_behavior: None,
            path: None,
            target: None,
            group: None,
            failed_step: None,
            error: None,
            check: None,
            is_printed: false,
        }
    }

    /// `--meet` or `--peer` is asked of this probe, and has not happened; a message if no stream is to be played.
    pub(super) fn expect_meeting(&mut self, is_to_play: bool) {
        self.introduced = Some(false);
        self.path = Some(None);
        self.message_exchanged = (!is_to_play).then_some(false);
    }

    pub(super) fn connected(&mut self, client: &Client) {
        let ConnectInfo { server_id, server_address, server_version, handshake, seen, reported } =
            client.connect_info();
        self.connected = true;
        self.peer_id = Some(client.id().to_string());
        self.server_id = Some(server_id.to_string());
        self.server_address = Some(*server_address);
        self.server_version = server_version.clone();
        self.handshake_ms = Some(milliseconds(*handshake));
        self.seen_address = *seen;
        self.reported_addresses = reported.clone();
        self.nat = client.connect_info().nat();
    }

    pub(super) fn looking_for(&mut self, peer: PeerId) {
        let peer_id = peer.to_string();
        self.target = Some(Target { peer_id, address: None, introduction_ms: None, redirects: Vec::new() });
    }

    pub(super) fn introduced(&mut self, meeting: &Meeting) {
        self.introduced = Some(true);
        if let Some(target) = &mut self.target {
            target.address = Some(meeting.address);
            target.introduction_ms = Some(milliseconds(meeting.took));
            target.redirects = meeting.redirects.clone();
        }
    }

    pub(super) fn set_path(&mut self, path: Option<Path>) {
        self.path = Some(path.map(Path::name));
    }

    pub(super) fn fail(&mut self, failure: &ClientFailure) {
        self.failed_step = Some(failure.step.name());
        self.error = Some(failure.problem.clone());
        self.check = Some(failure.check);
    }

    pub(super) fn print(&mut self, as_json: bool) {
        if as_json {
            self.print_json();
        } else {
            output::say(&self.text());
        }
        self.is_printed = true;
    }

    fn print_json(&self) {
        match serde_json::to_string(self) {
            Ok(text) => output::say(&format!("{text}\n")),
            Err(error) => introd_log::complain(&format!("introd probe: {error}\n")),
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        if let (Some(address), Some(took)) = (self.server_address, self.handshake_ms) {
            let version = self.server_version.as_deref().map_or_else(String::new, |version| format!(" ({version})"));
            lines.push(format!("connected to {address}{version}, handshake {took:.1} ms"));
        }
        if let Some(id) = &self.peer_id {
            lines.push(format!("  this peer    {id}"));
        }
        if let Some(id) = &self.server_id {
            lines.push(format!("  the server   {id}"));
        }
        let reported = self.reported_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (self.seen_address, self.nat) {
            (Some(seen), Some(true)) => {
                lines.push(format!("  seen at      {seen}: this peer is behind a NAT (own addresses: {reported})"));
            }
            (Some(seen), _) => lines.push(format!("  seen at      {seen}: this peer is not behind a NAT")),
            (None, _) => {
                lines.push(format!(
                    "  seen at      unknown: the server does not say, so this peer may be behind a NAT (own addresses: {reported})"
                ));
            }
        }
        if let Some(Target { peer_id, address: Some(address), introduction_ms: Some(took), .. }) = &self.target {
            let path = match self.path.flatten() {
                Some("relayed") => "relayed by the server: no packet goes directly from one peer to the other",
                Some(_) => "direct",
                None => {
                    "unknown: the address is that of another server, which may relay, or the peer is on its machine"
                }
            };
            lines.push(format!(
                "introduced to {peer_id}\n  at           {address}, in {took:.1} ms\n  path         {path}"
            ));
        }
        // After a failure nothing is known about the message.
        match self.message_exchanged.filter(|_| self.failed_step.is_none()) {
            Some(true) => lines.push("  message      sent to the peer, answer received".to_owned()),
            Some(false) => lines.push("  message      rejected: the peer is not an introd probe".to_owned()),
            None => (),
        }
        lines.extend(self.group.as_ref().map(GroupReport::text));
        if let Some(Playing { name, messages, bytes }) = self.playing.as_ref().filter(|playing| playing.messages > 0) {
            lines.push(format!("  stream       {name}: {messages} messages, {bytes} bytes from the peer"));
        }
        lines.extend(self.nat_behavior.as_ref().map(NatReport::text));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn milliseconds(duration: Duration) -> f64 {
    // To the microsecond: more digits would only look exact.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

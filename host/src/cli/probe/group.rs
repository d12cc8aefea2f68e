//! `introd probe --group`: a member of a group that reports which members the server named and which of them it reached.

use std::time::{Duration, Instant};

use rtmfp::{Event, PeerId};
use serde::Serialize;

use introd_client::{Client, ClientFailure, ClientStep};
use introd_flash::amf::{AmfLimits, Decoder, Encoder, Value};
use introd_netgroup::groupspec::kind;
use introd_netgroup::member::{GroupEvent, Refusal};
use introd_netgroup::participant::Notice;
use introd_netgroup::{GroupDigest, Groupspec};

/// If the server has named no member for this long, it is taken to have named all that it names at first.
const QUIET: Duration = Duration::from_millis(1500);
/// How long the probe waits for a neighbour to request its posting: neighbours that do, do it at once.
const POSTING_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the probe checks which of the named members it has reached.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// The property of a probe's posting that holds a unique text.
const REQUEST: &str = "introdProbe";
/// The property of the posting by which another probe sends the text back.
const REPLY: &str = "introdProbeAnswer";
/// The longest text that is sent back, in bytes; the longest part of a posting that is printed, in characters.
const MAX_TEXT: usize = 256;

const JOIN_CHECK: &str = "the groupspec, and the server's log: it refuses malformed joins and those of clients that are in too many \
                          groups";
const NEIGHBORS_CHECK: &str = "that the members have exactly the same groupspec, that they accept peers like this one (try --flash), and \
                               firewalls and NATs between them and this peer";

/// What a probe knows of a group.
#[derive(Serialize, Default)]
pub(super) struct GroupReport {
    groupspec_digest: String,
    /// Whether the server received the join.
    joined: bool,
    /// The members that the server has named.
    hints: Vec<String>,
    /// The neighbours: members that the server or other members named, and that the probe is connected to.
    neighbors_connected: Vec<String>,
    /// The named members that the probe did not reach, and the peers that it refused.
    neighbors_failed: Vec<FailedNeighbor>,
    estimated_members: u64,
    /// Whether a neighbour requested the posting; null if the group allows none, or there is no neighbour.
    posting_taken: Option<bool>,
    /// Whether another probe answered the posting.
    posting_exchanged: Option<bool>,
}

#[derive(Serialize)]
struct FailedNeighbor {
    peer_id: String,
    reason: String,
}

impl GroupReport {
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        let joined = if self.joined { "joined group" } else { "not joined: group" };
        lines.push(format!("{joined} {}", self.groupspec_digest));
        lines.push(format!("  members      {} or so, with this one", self.estimated_members));
        let list = |lines: &mut Vec<String>, label: &str, peers: &[String]| {
            if peers.is_empty() {
                lines.push(format!("  {label:<12} none"));
            }
            lines.extend(peers.iter().map(|peer| format!("  {label:<12} {peer}")));
        };
        list(&mut lines, "named", &self.hints);
        list(&mut lines, "neighbour", &self.neighbors_connected);
        lines.extend(
            self.neighbors_failed.iter().map(|failed| format!("  not reached  {}: {}", failed.peer_id, failed.reason)),
        );
        match (self.posting_taken, self.posting_exchanged) {
            (_, Some(true)) => lines.push("  posting      sent, answered by a neighbour".to_owned()),
            (Some(true), _) => lines.push("  posting      sent, received by a neighbour".to_owned()),
            (Some(false), _) => {
                lines.push(
                    "  posting      sent, received by no neighbour: only introd's members are known to request postings".to_owned(),
                );
            }
            _ => (),
        }
        lines.join("\n")
    }
}

/// A member of a group.
pub(super) struct GroupProbe {
    group: GroupDigest,
    allows_posting: bool,
    hints: Vec<PeerId>,
    refused: Vec<(PeerId, Refusal)>,
    /// When the server last named a member.
    hinted: Instant,
    joined: Option<bool>,
    /// The text of the posting, whether a neighbour received it, and whether it was answered.
    posting: Option<(String, bool, bool)>,
    /// Whether events are printed.
    is_loud: bool,
}

impl GroupProbe {
    pub(super) fn new(spec: &Groupspec) -> Self {
        // Members without the password cannot post.
        let has_password = spec.suffix_options().any(|option| option.kind == kind::POSTING_AUTHORIZATION);
        let needs_password = spec.has(kind::POSTING_PASSWORD);
        Self {
            group: spec.digest(),
            allows_posting: spec.has(kind::POSTING) && (has_password || !needs_password),
            hints: Vec::new(),
            refused: Vec::new(),
            hinted: Instant::now(),
            joined: None,
            posting: None,
            is_loud: false,
        }
    }

    pub(super) fn report(&self, client: &Client) -> GroupReport {
        let neighbors = client.neighbors(&self.group);
        let is_named_in_vain = |peer: &&PeerId| !neighbors.contains(peer) && !self.is_pending(client, peer);
        let refused = self
            .refused
            .iter()
            .map(|(peer, reason)| FailedNeighbor { peer_id: peer.to_string(), reason: reason.to_string() });
        let unreached = self.hints.iter().filter(is_named_in_vain);
        let unreached = unreached.filter(|peer| !self.refused.iter().any(|(refused, _)| refused == *peer));
        let unreached =
            unreached.map(|peer| FailedNeighbor { peer_id: peer.to_string(), reason: "no session with it".to_owned() });
        GroupReport {
            groupspec_digest: self.group.to_string(),
            joined: self.joined == Some(true),
            hints: self.hints.iter().map(PeerId::to_string).collect(),
            neighbors_connected: neighbors.iter().map(PeerId::to_string).collect(),
            neighbors_failed: refused.chain(unreached).collect(),
            estimated_members: client.member(&self.group).map_or(0, |member| member.estimated_members()),
            posting_taken: self.posting.as_ref().map(|(_, is_received, _)| *is_received),
            posting_exchanged: self.posting.as_ref().map(|(_, _, is_answered)| *is_answered),
        }
    }

    /// Joins, connects to the members that the server names, and posts a value if the group allows it. The timeout holds for each step.
    pub(super) async fn run(
        &mut self,
        client: &mut Client,
        spec: &Groupspec,
        timeout: Duration,
    ) -> Result<(), ClientFailure> {
        client.join(spec);
        let deadline = Instant::now() + timeout;
        while self.joined.is_none() {
            if !self.step(client, deadline, ClientStep::Join, JOIN_CHECK).await? {
                let problem = format!("the server did not receive the join within {} s", timeout.as_secs_f64());
                return Err(ClientFailure::new(ClientStep::Join, problem, JOIN_CHECK));
            }
        }
        self.hinted = Instant::now();
        self.reach(client, timeout).await?;
        if self.allows_posting && !client.neighbors(&self.group).is_empty() {
            self.post(client, timeout).await?;
        }
        Ok(())
    }

    /// Stays a member, until the connection to the server ends.
    pub(super) async fn stay(&mut self, client: &mut Client, is_loud: bool) -> ClientFailure {
        self.is_loud = is_loud;
        loop {
            match self
                .step(client, Instant::now() + Duration::from_secs(3600), ClientStep::Stay, super::failure::STAY_CHECK)
                .await
            {
                Ok(_) => (),
                Err(failure) => return failure,
            }
        }
    }

    fn is_pending(&self, client: &Client, peer: &PeerId) -> bool {
        let member = client.member(&self.group);
        member.is_some_and(|member| member.uses(peer) && !member.neighbors().any(|neighbor| neighbor == *peer))
    }

    async fn reach(&mut self, client: &mut Client, timeout: Duration) -> Result<(), ClientFailure> {
        let deadline = Instant::now() + timeout.max(QUIET);
        loop {
            let now = Instant::now();
            let is_pending = self.hints.iter().any(|peer| self.is_pending(client, peer));
            if now >= deadline || (!is_pending && now >= self.hinted + QUIET) {
                break;
            }
            self.step(client, now + CHECK_INTERVAL, ClientStep::Neighbors, NEIGHBORS_CHECK).await?;
        }
        if self.joined == Some(false) {
            return Err(ClientFailure::new(ClientStep::Join, "the server rejected the join", JOIN_CHECK));
        }
        if self.hints.is_empty() || !client.neighbors(&self.group).is_empty() {
            return Ok(());
        }
        let why = self.refused.first().map_or_else(String::new, |(_, reason)| format!(" ({reason})"));
        let problem = format!("none of the {} members that the server named was reached{why}", self.hints.len());
        Err(ClientFailure::new(ClientStep::Neighbors, problem, NEIGHBORS_CHECK))
    }

    async fn post(&mut self, client: &mut Client, timeout: Duration) -> Result<(), ClientFailure> {
        let failure = |problem: String| ClientFailure::new(ClientStep::Posting, problem, super::failure::STAY_CHECK);
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(super::failure::local_failure)?;
        let text = hex::encode(bytes);
        let value = encode(REQUEST, &text, client.id()).ok_or_else(|| failure("it cannot be written".to_owned()))?;
        client.post(&self.group, &value).ok_or_else(|| failure("it cannot be posted".to_owned()))?;
        self.posting = Some((text, false, false));
        let deadline = Instant::now() + timeout.min(POSTING_TIMEOUT);
        let mut taken: Option<Instant> = None;
        loop {
            match (&self.posting, taken) {
                (Some((_, _, true)), _) => return Ok(()),
                // Members that are no probes do not answer.
                (_, Some(taken)) if Instant::now() >= taken + QUIET => return Ok(()),
                (Some((_, true, _)), None) => taken = Some(Instant::now()),
                // That is no failure: members that are not introd's are not known to request postings.
                _ if Instant::now() >= deadline => return Ok(()),
                _ => (),
            }
            self.step(client, Instant::now() + CHECK_INTERVAL, ClientStep::Posting, super::failure::STAY_CHECK).await?;
        }
    }

    /// Waits for the next event and handles it. False if there is none until `until`.
    async fn step(
        &mut self,
        client: &mut Client,
        until: Instant,
        step: ClientStep,
        check: &'static str,
    ) -> Result<bool, ClientFailure> {
        let event = tokio::time::timeout_at(until.into(), client.next()).await;
        while let Some((group, notice)) = client.next_notice() {
            if group == self.group {
                self.note(client, notice);
            }
        }
        match event {
            Err(_) => Ok(false),
            Ok(Err(error)) => Err(super::failure::local_failure(error)),
            Ok(Ok(Event::Closed { session, reason })) if session == client.session() => {
                Err(ClientFailure::new(step, format!("the connection to the server ended: {reason}"), check))
            }
            Ok(Ok(_)) => Ok(true),
        }
    }

    fn note(&mut self, client: &mut Client, notice: Notice) {
        match notice {
            Notice::Joined => self.joined = Some(self.joined.unwrap_or(true)),
            Notice::JoinRefused => self.joined = Some(false),
            Notice::Hint(peer) => {
                self.say(|| format!("the server names {peer}"));
                self.hinted = Instant::now();
                if !self.hints.contains(&peer) {
                    self.hints.push(peer);
                }
            }
            Notice::PostingTaken(_) => {
                if let Some((_, is_received, _)) = &mut self.posting {
                    *is_received = true;
                }
            }
            Notice::Event(GroupEvent::NeighborConnected(peer)) => self.say(|| format!("{peer} is a neighbour")),
            Notice::Event(GroupEvent::NeighborDisconnected(peer)) => {
                self.say(|| format!("{peer} is no longer a neighbour"));
            }
            Notice::Event(GroupEvent::Refused { peer, reason }) => {
                self.say(|| format!("{peer} was refused: {reason}"));
                if !self.refused.iter().any(|(known, _)| *known == peer) {
                    self.refused.push((peer, reason));
                }
            }
            Notice::Event(GroupEvent::Posting { from, value, .. }) => self.posted(client, from, &value),
        }
    }

    fn posted(&mut self, client: &mut Client, from: PeerId, value: &[u8]) {
        let Ok(value) = Decoder::new(value, AmfLimits::default()).amf0() else {
            return self.say(|| format!("a posting from {from} that is not AMF0"));
        };
        self.say(|| {
            // It may be long.
            let shown: String = format!("{value:?}").chars().take(MAX_TEXT).collect();
            format!("a posting from {from}: {shown}")
        });
        let author = value.get("peer").and_then(Value::as_str).and_then(|text| text.parse::<PeerId>().ok());
        if let (Some(text), Some((own, _, is_answered))) = (value.get(REPLY).and_then(Value::as_str), &mut self.posting)
        {
            *is_answered |= text == own;
        }
        // Only neighbours of the author answer, so that a large group is not flooded with answers.
        if let Some(text) = value.get(REQUEST).and_then(Value::as_str)
            && text.len() <= MAX_TEXT
            && author == Some(from)
            && let Some(answer) = encode(REPLY, text, client.id())
        {
            client.post(&self.group, &answer);
        }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.is_loud {
            crate::cli::output::say(&format!("{}\n", text()));
        }
    }
}

/// A posting of a probe.
fn encode(property: &str, text: &str, author: PeerId) -> Option<Vec<u8>> {
    let value = Value::object([(property, Value::from(text)), ("peer", author.to_string().into())]);
    let mut encoder = Encoder::new();
    encoder.amf0(&value).ok()?;
    Some(encoder.finish())
}

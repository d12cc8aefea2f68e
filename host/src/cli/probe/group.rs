//! `introd probe --group`: a member of a group, which reports the members that the server names and those that it reaches.

use std::time::{Duration, Instant};

use super::failure::{STAY_CHECK, local_failure};
use super::group_report::{FailedNeighbor, GroupReport};
use super::posting::{ANSWER, PROBE, ProbePosting, encode};
use crate::cli::output;
use introd_client::{Client, ClientFailure, ClientStep};
use introd_flash::amf::{AmfLimits, Decoder, Value};
use introd_netgroup::groupspec::kind;
use introd_netgroup::member::{GroupEvent, Refusal};
use introd_netgroup::participant::Notice;
use introd_netgroup::{GroupDigest, Groupspec};
use rtmfp::{Event, PeerId};

/// So long after the join, or after the last hint, the server has named all members that it names at first.
const QUIET: Duration = Duration::from_millis(1500);
/// How long a probe waits until a neighbour requests its posting: one that requests it does so at once.
const POSTING_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a probe checks the members that the server named.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The longest text that a probe answers, in bytes, and the longest part of a posting that it prints, in characters.
const MAX_TEXT: usize = 256;

const JOIN_CHECK: &str = "the groupspec, and the server's log: it refuses malformed joins, and joins of clients that are in \
                          too many groups";
const NEIGHBORS_CHECK: &str = "that the members have exactly the same groupspec, that they accept peers like this one (try --flash), and \
                               firewalls and NATs between them and this peer";

/// A member of a group.
pub(super) struct GroupProbe {
    group: GroupDigest,
    allows_posting: bool,
    hints: Vec<PeerId>,
    refused: Vec<(PeerId, Refusal)>,
    /// When the server last named a member.
    hinted: Instant,
    joined: Option<bool>,
    posting: Option<ProbePosting>,
    /// Whether to print what happens.
    is_loud: bool,
}

impl GroupProbe {
    pub(super) fn new(spec: &Groupspec) -> Self {
        // Members refuse postings without the password.
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
        let is_unreached = |peer: &&PeerId| !neighbors.contains(peer) && !self.is_pending(client, peer);
        let refused = self
            .refused
            .iter()
            .map(|(peer, reason)| FailedNeighbor { peer_id: peer.to_string(), reason: reason.to_string() });
        let unreached = self.hints.iter().filter(is_unreached);
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
            posting_taken: self.posting.as_ref().map(|posting| posting.is_taken),
            posting_exchanged: self.posting.as_ref().map(|posting| posting.is_answered),
        }
    }

    /// Joins, reaches the members that the server names, and posts something if the group allows that. Each step may take `timeout`.
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
                let problem = format!("the server did not accept the join within {} s", timeout.as_secs_f64());
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
            match self.step(client, Instant::now() + Duration::from_secs(3600), ClientStep::Stay, STAY_CHECK).await {
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
            self.step(client, now + CHECK_EVERY, ClientStep::Neighbors, NEIGHBORS_CHECK).await?;
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
        let failure = |problem: String| ClientFailure::new(ClientStep::Posting, problem, STAY_CHECK);
        let posting = ProbePosting::new()?;
        let value =
            encode(PROBE, &posting.text, client.id()).ok_or_else(|| failure("it cannot be written".to_owned()))?;
        client.post(&self.group, &value).ok_or_else(|| failure("it cannot be posted".to_owned()))?;
        self.posting = Some(posting);
        let deadline = Instant::now() + timeout.min(POSTING_TIMEOUT);
        let mut taken: Option<Instant> = None;
        loop {
            match (&self.posting, taken) {
                (Some(ProbePosting { is_answered: true, .. }), _) => return Ok(()),
                // A member that is no probe does not answer.
                (_, Some(taken)) if Instant::now() >= taken + QUIET => return Ok(()),
                (Some(ProbePosting { is_taken: true, .. }), None) => taken = Some(Instant::now()),
                // No failure: it is not known how Flash numbers postings, and members other than introd's request none.
                _ if Instant::now() >= deadline => return Ok(()),
                _ => (),
            }
            self.step(client, Instant::now() + CHECK_EVERY, ClientStep::Posting, STAY_CHECK).await?;
        }
    }

    /// Waits for the next event, and handles it. False if none comes until then.
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
            Ok(Err(error)) => Err(local_failure(error)),
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
                if let Some(posting) = &mut self.posting {
                    posting.is_taken = true;
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
            Notice::Named { .. } | Notice::Event(GroupEvent::Directed { .. } | GroupEvent::LocalCoverage) => (),
        }
    }

    fn posted(&mut self, client: &mut Client, from: PeerId, value: &[u8]) {
        let Ok(value) = Decoder::new(value, AmfLimits::default()).amf0() else {
            return self.say(|| format!("a posting from {from}, which is no AMF0"));
        };
        self.say(|| {
            // It may be long: another peer wrote it.
            let shown: String = format!("{value:?}").chars().take(MAX_TEXT).collect();
            format!("a posting from {from}: {shown}")
        });
        let author = value.get("peer").and_then(Value::as_str).and_then(|text| text.parse::<PeerId>().ok());
        if let (Some(text), Some(posting)) = (value.get(ANSWER).and_then(Value::as_str), &mut self.posting) {
            posting.is_answered |= text == posting.text;
        }
        // Only the neighbours of the author answer, so that a large group does not answer all at once.
        if let Some(text) = value.get(PROBE).and_then(Value::as_str)
            && text.len() <= MAX_TEXT
            && author == Some(from)
            && let Some(answer) = encode(ANSWER, text, client.id())
        {
            client.post(&self.group, &answer);
        }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.is_loud {
            output::say(&format!("{}\n", text()));
        }
    }
}

//! What happened recently: the events of all, and the story of one peer.

use std::net::SocketAddr;
use std::time::SystemTime;

use introd_log::text::shown;
use introd_policy::InstanceId;
use rtmfp::PeerId;
use serde_json::{Map, Value, json};

use super::clients::{brief, read_address, read_peer};
use super::paging::read_limit;
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::introducer::Listed;
use crate::stories::{Event, EventFilter, EventKind, Stories};

impl Ask<'_> {
    /// The newest events that the query describes.
    pub(super) fn events(&self) -> Answer {
        let limit = read_limit(self.query)?;
        let text = |name: &str| self.query.get(&[name]).filter(|text| !text.is_empty());
        let (ip, port) = match text("address").map(read_address).transpose()? {
            Some((ip, port)) => (Some(ip), port),
            None => (None, None),
        };
        let filter = EventFilter {
            peer: text("peer").map(read_peer).transpose()?,
            ip,
            port,
            application: text("application").map(str::to_owned),
            kind: text("kind").map(str::to_owned),
            ..EventFilter::default()
        };
        let stories = &self.inspector.services.stories;
        let found = stories.find(&filter, limit);
        Ok(json!({"events": all(stories, &found.events), "is_truncated": found.is_truncated}))
    }

    /// The story of a peer, whether it is connected or not.
    pub(super) async fn story(&self, peer: &str) -> Answer {
        let (peer, limit) = (read_peer(peer)?, read_limit(self.query)?);
        let stories = &self.inspector.services.stories;
        let found = stories.of_peer(peer, limit);
        Ok(json!({
            "peer": peer.to_string(),
            "client": self.connected(peer).await,
            "events": all(stories, &found.events),
            "is_truncated": found.is_truncated,
        }))
    }

    /// The client with that peer id, as lists have it; `null` if there is none.
    async fn connected(&self, peer: PeerId) -> Value {
        let services = &self.inspector.services;
        let Some(known) = services.directory.lookup(&peer) else { return Value::Null };
        let Some(instance) = services.applications.instance(InstanceId(known.instance)) else { return Value::Null };
        let (session, observed) = (known.owner, known.observed);
        let listed = Listed { peer, session, instance: known.instance, observed, is_waiting: false };
        let mut client = brief(&listed, &instance);
        if let Some(report) = self.inspector.client_report(session).await {
            client["is_proven"] = report.is_proven.into();
            client["connected"] = Rfc3339(SystemTime::now() - report.connected_for).to_string().into();
        }
        client
    }
}

fn all(stories: &Stories, events: &[Event]) -> Vec<Value> {
    events.iter().map(|event| describe(stories, event)).collect()
}

/// An event. Texts that clients, scripts or plugins chose are harmless for a terminal.
pub(super) fn describe(stories: &Stories, event: &Event) -> Value {
    let mut fields = match of_kind(&event.kind) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in [
        ("at", Rfc3339(stories.time_of(event)).to_string().into()),
        ("kind", event.kind.name().into()),
        ("worker", event.worker.into()),
        ("sequence", event.sequence.into()),
        ("application", event.place.as_ref().map(|place| shown(&place.application)).into()),
        ("instance", event.place.as_ref().map(|place| shown(&place.instance)).into()),
        ("peer", id(event.peer.as_ref())),
        ("address", text(event.address.as_ref())),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

fn of_kind(kind: &EventKind) -> Value {
    match kind {
        EventKind::Connect { agent, page_url } => json!({"agent": shown(agent), "page_url": shown(page_url)}),
        EventKind::ConnectRefused { policy, reason } => json!({"policy": shown(policy), "reason": shown(reason)}),
        EventKind::Addresses { reported } => json!({"reported": texts(reported)}),
        EventKind::Moved { from } => json!({"from": from.to_string()}),
        EventKind::Lookup { target, answer, policy, reason, took, times, redirected_to, is_forwarded } => json!({
            "target": id(target.as_ref()),
            "verdict": answer.name(),
            "policy": shown(policy),
            "reason": reason.as_ref().map(|reason| shown(reason)),
            "seconds": took.as_secs_f64(),
            "repeat": times,
            "redirected_to": texts(redirected_to),
            "is_forwarded": is_forwarded,
        }),
        EventKind::LookedUp { asker_address, asker, answer, is_forwarded } => json!({
            "asker_address": text(asker_address.as_ref()),
            "asker": id(asker.as_ref()),
            "verdict": answer.name(),
            "is_forwarded": is_forwarded,
        }),
        EventKind::Met { target, times, is_relayed } => {
            json!({"target": id(target.as_ref()), "times": times, "is_relayed": is_relayed})
        }
        EventKind::Unmet { target, times, asker_nat, target_nat, is_over } => json!({
            "target": id(target.as_ref()),
            "times": times,
            "asker_nat": asker_nat.name(),
            "target_nat": target_nat.name(),
            "is_over": is_over,
        }),
        EventKind::GroupJoin { group } | EventKind::GroupLeave { group } => json!({"group": group.to_string()}),
        EventKind::GroupRefused { reason } => json!({"reason": shown(reason)}),
        EventKind::Hint { group, about } => json!({"group": group.to_string(), "about": about.to_string()}),
        EventKind::Disconnect { reason, by } => json!({"reason": shown(reason), "by": shown(by)}),
    }
}

pub(super) fn id(peer: Option<&PeerId>) -> Value {
    peer.map(ToString::to_string).into()
}

pub(super) fn text(address: Option<&SocketAddr>) -> Value {
    address.map(ToString::to_string).into()
}

fn texts(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

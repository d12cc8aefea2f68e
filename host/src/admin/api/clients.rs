//! The connected clients.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use introd_log::text::shown;
use rtmfp::{PeerId, SessionId};
use serde_json::{Value, json};

use super::paging::{Page, next, not_from_here};
use super::problem::Problem;
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::admin::query::Query;
use crate::apps::AppInstance;
use crate::introducer::{Directory, Listed};
use crate::meetings::NatKind;
use crate::serve::ClientReport;
use crate::stories::{EventClass, EventFilter, EventKind};

/// After so many sessions that were looked at, others of this thread work before the next are.
const SESSIONS_AT_ONCE: usize = 10_000;

/// The order of the list: the part of the directory, the peer id, and the session.
type Position = (usize, PeerId, SessionId);

/// Which clients are wanted.
struct Filter {
    application: Option<String>,
    instance: Option<String>,
    /// An address, of any port if it has none.
    ip: Option<(IpAddr, Option<u16>)>,
    /// The digits with which the peer id begins, in lower case.
    peer: Option<String>,
}

impl Filter {
    fn read(query: &Query) -> Result<Self, Problem> {
        let text = |name: &str| query.get(&[name]).filter(|text| !text.is_empty()).map(str::to_owned);
        let ip = text("address").map(|address| read_address(&address));
        let peer = text("peer").map(|peer| peer.to_ascii_lowercase());
        if peer.as_ref().is_some_and(|peer| peer.len() > 64 || !peer.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(Problem::parameter("peer", "give the first of the 64 hexadecimal digits of a peer id, or all"));
        }
        Ok(Self { application: text("application"), instance: text("instance"), ip: ip.transpose()?, peer })
    }

    fn wants_instance(&self, instance: &AppInstance) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is(&self.application, &instance.name().application) && is(&self.instance, &instance.name().instance)
    }

    fn wants(&self, listed: &Listed) -> bool {
        let is_there = |(ip, port): (IpAddr, Option<u16>)| {
            listed.observed.ip() == ip && port.is_none_or(|port| listed.observed.port() == port)
        };
        self.ip.is_none_or(is_there) && self.peer.as_ref().is_none_or(|peer| begins_with(&listed.peer, peer))
    }
}

/// Whether a peer id begins with these digits.
fn begins_with(peer: &PeerId, digits: &str) -> bool {
    let nibbles = peer.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.chars().zip(nibbles).all(|(digit, nibble)| digit.to_digit(16) == Some(nibble.into()))
}

fn write_position((part, peer, session): &Position) -> String {
    let mut bytes = u16::try_from(*part).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    bytes.extend_from_slice(&peer.0);
    bytes.extend_from_slice(&session.get().to_be_bytes());
    next(&bytes)
}

fn read_position(bytes: &[u8]) -> Option<Position> {
    let (part, rest) = bytes.split_first_chunk::<2>()?;
    let (peer, session) = rest.split_first_chunk::<32>()?;
    let session = u32::from_be_bytes(session.try_into().ok()?);
    Some((u16::from_be_bytes(*part).into(), PeerId(*peer), SessionId::from_wire(session)))
}

impl Ask<'_> {
    /// The clients that the query describes, page by page.
    ///
    /// The directory is read part by part, and other requests are answered in between. No worker waits for longer than it takes to look
    /// at one part.
    pub(super) async fn clients(&self) -> Answer {
        let (page, filter) = (Page::read(self.query)?, Filter::read(self.query)?);
        let after = match &page.after {
            Some(after) => Some(read_position(after).ok_or_else(not_from_here)?),
            None => None,
        };
        let mut instances: Vec<Option<Arc<AppInstance>>> = Vec::new();
        for instance in self.inspector.services.applications.all_instances() {
            let at = usize::from(instance.id().0);
            if filter.wants_instance(&instance) {
                instances.resize(instances.len().max(at + 1), None);
                instances[at] = Some(instance);
            }
        }
        let mut found: Vec<(Position, Listed)> = Vec::new();
        let mut seen = 0;
        for part in after.map_or(0, |(part, ..)| part)..Directory::PARTS {
            let begin = found.len();
            self.inspector.services.directory.list(part, |listed| {
                seen += 1;
                let position = (part, listed.peer, listed.session);
                let is_known = instances.get(usize::from(listed.instance)).is_some_and(Option::is_some);
                if is_known && after.is_none_or(|after| position > after) && filter.wants(&listed) {
                    found.push((position, listed));
                }
            });
            found[begin..].sort_unstable_by_key(|(position, _)| *position);
            if found.len() > page.limit {
                break;
            }
            if seen >= SESSIONS_AT_ONCE {
                seen = 0;
                tokio::task::yield_now().await;
            }
        }
        let is_last = found.len() <= page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| !is_last).map(|(position, _)| write_position(position));
        let sessions: Vec<SessionId> = found.iter().map(|(_, listed)| listed.session).collect();
        let (lines, now) = (self.inspector.client_lines(&sessions).await, SystemTime::now());
        let clients = found.iter().zip(lines).filter_map(|((_, listed), line)| {
            let instance = instances.get(usize::from(listed.instance))?.as_ref()?;
            let mut client = brief(listed, instance);
            client["is_proven"] = line.map(|line| line.is_proven).into();
            client["connected"] = line.map(|line| Rfc3339(now - line.connected_for).to_string()).into();
            Some(client)
        });
        Ok(json!({"clients": clients.collect::<Vec<_>>(), "next": next}))
    }

    /// Everything that is known of a client.
    pub(super) async fn client(&self, peer: &str) -> Answer {
        let report = self.report(peer).await?;
        let known = self.inspector.services.directory.lookup(&report.peer);
        let name = report.instance.name();
        let groups = report
            .memberships
            .iter()
            .map(|(group, key)| json!({"group": group.to_string(), "key": hex::encode(key.0)}));
        let stats = &report.stats;
        let (agent, page_url) = self.connect_of(report.peer);
        let nat = known.as_ref().map(|known| NatKind::of(report.address, &known.reported).name());
        Ok(json!({
            "peer": report.peer.to_string(),
            "address": report.address.to_string(),
            "reported": known.iter().flat_map(|known| &known.reported).map(ToString::to_string).collect::<Vec<_>>(),
            "is_translated": known.as_ref().filter(|known| !known.reported.is_empty()).map(|known| known.is_translated()),
            "nat": nat,
            "agent": agent,
            "page_url": page_url,
            "is_silent": known.as_ref().map(|known| known.is_silent),
            "adaptor": name.adaptor,
            "vhost": name.vhost,
            "application": name.application,
            "instance": name.instance,
            "session": report.session.to_string(),
            "worker": report.session.prefix(),
            "is_proven": report.is_proven,
            "connected": Rfc3339(SystemTime::now() - report.connected_for).to_string(),
            "connected_seconds": report.connected_for.as_secs_f64(),
            "silent_seconds": report.silent_for.as_secs_f64(),
            "round_trip_seconds": (stats.ping_rtt > 0).then(|| stats.ping_rtt as f64 / 1000.0),
            "messages_in": stats.msg_in,
            "messages_out": stats.msg_out,
            "messages_dropped": stats.msg_dropped,
            "bytes_in": stats.bytes_in,
            "bytes_out": stats.bytes_out,
            "groups": groups.collect::<Vec<_>>(),
        }))
    }

    /// The agent of a client and the page that its program is on, as it said when it connected; nothing if that is forgotten.
    fn connect_of(&self, peer: PeerId) -> (Option<String>, Option<String>) {
        let kind = Some("connect".to_owned());
        let filter = EventFilter { kind, class: Some(EventClass::Clients), ..EventFilter::of_peer(peer) };
        match self.inspector.services.stories.find(&filter, 1).events.pop().map(|event| event.kind) {
            Some(EventKind::Connect { agent, page_url }) => {
                (Some(shown(&agent).into_owned()), Some(shown(&page_url).into_owned()))
            }
            _ => (None, None),
        }
    }

    /// What the worker of a client knows of it.
    pub(super) async fn report(&self, peer: &str) -> Result<ClientReport, Problem> {
        let peer = read_peer(peer)?;
        let none = || Problem::NotFound("No client with this peer id is connected.");
        let session = self.inspector.services.directory.lookup(&peer).ok_or_else(none)?.owner;
        if let Some(report) = self.inspector.client_report(session).await {
            return Ok(report);
        }
        // The client may have left meanwhile.
        self.inspector.services.directory.lookup(&peer).ok_or_else(none)?;
        Err(Problem::Busy("The worker that has the client does not answer: try again.".to_owned()))
    }
}

/// An IP address, with a port or without.
pub(super) fn read_address(address: &str) -> Result<(IpAddr, Option<u16>), Problem> {
    let with_port = address.parse::<SocketAddr>().map(|address| (address.ip(), Some(address.port())));
    let parsed = with_port.or_else(|_| address.trim_matches(['[', ']']).parse().map(|ip: IpAddr| (ip, None)));
    parsed.map(|(ip, port)| (ip.to_canonical(), port)).map_err(|_| {
        Problem::parameter("address", "give an IP address, or one with a port as 192.0.2.1:5000 or [2001:db8::1]:5000")
    })
}

/// A peer id in a path.
pub(super) fn read_peer(peer: &str) -> Result<PeerId, Problem> {
    peer.parse().map_err(|_| Problem::parameter("peer", "a peer id has 64 hexadecimal digits"))
}

/// A client as the directory knows it. What only its worker knows is `null`.
pub(super) fn brief(listed: &Listed, instance: &AppInstance) -> Value {
    json!({
        "peer": listed.peer.to_string(),
        "address": listed.observed.to_string(),
        "application": instance.name().application,
        "instance": instance.name().instance,
        "session": listed.session.to_string(),
        "is_waiting": listed.is_waiting,
        "is_proven": null,
        "connected": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_as_they_were_written() {
        let position = (255, PeerId([7; 32]), SessionId::from_wire(0x0102_0304));
        let written = hex::decode(write_position(&position)).unwrap();
        assert_eq!(read_position(&written), Some(position));
        for length in [0, 1, 2, 33, 37, 39] {
            assert_eq!(read_position(&vec![0; length]), None, "{length}");
        }
    }

    #[test]
    fn a_prefix_may_end_between_the_digits_of_a_byte() {
        let mut peer = PeerId([0xab; 32]);
        peer.0[1] = 0x1c;
        for (digits, expected) in [("", true), ("a", true), ("ab1", true), ("ab1c", true), ("ab2", false), ("b", false)]
        {
            assert_eq!(begins_with(&peer, digits), expected, "{digits}");
        }
        assert!(begins_with(&peer, &peer.to_string()));
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for wrong in ["address=x", "address=1.2.3", "address=192.0.2.1:", "peer=xyz", "peer=0x12"] {
            assert!(Filter::read(&Query::parse(wrong)).is_err(), "{wrong}");
        }
        assert!(Filter::read(&Query::parse(&format!("peer={}", "a".repeat(65)))).is_err());
        for right in ["", "address=&peer=", "address=192.0.2.1", "address=::1", "address=%5B::1%5D:5", "peer=AB"] {
            assert!(Filter::read(&Query::parse(right)).is_ok(), "{right}");
        }
    }
}

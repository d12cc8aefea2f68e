//! What is published of an instance, as a record: streams of its clients, and members of groups in the registry. Another process goes on with it.

use std::collections::HashMap;

use introd_flash::server::Publication;
use introd_netgroup::GroupAddress;
use introd_policy::message::ClientId;
use introd_policy::registry::GroupMember;
use introd_policy::{FormerInstance, KnownClient, PublishedMember};
use rtmfp::{PeerId, SessionId};
use serde::{Deserialize, Serialize};

/// What is published of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published {
    publications: Vec<PublicationRecord>,
    members: Vec<MemberRecord>,
}

/// A stream that a client publishes to the server, as its script has allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PublicationRecord {
    session: u32,
    number: u64,
    name: String,
    kind: String,
}

/// A member of a group that the script has published in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MemberRecord {
    group: [u8; 32],
    peer: [u8; 32],
    /// The membership with which it ends: worker and session of the client, and the digest of the group.
    follows: Option<(u8, u32, [u8; 32])>,
}

impl Published {
    pub(super) fn of(clients: &[KnownClient], members: &[PublishedMember]) -> Self {
        let of_client = |known: &KnownClient| {
            let session = known.client.session.get();
            let record = move |Publication { number, name, kind }: &Publication| PublicationRecord {
                session,
                number: *number,
                name: name.clone(),
                kind: kind.clone(),
            };
            known.publications.iter().map(record).collect::<Vec<_>>()
        };
        let of_member = |PublishedMember { member, follows }: &PublishedMember| MemberRecord {
            group: member.group,
            peer: member.peer.0,
            follows: follows.map(|(client, digest)| (client.worker, client.session.get(), digest)),
        };
        Self {
            publications: clients.iter().flat_map(of_client).collect(),
            members: members.iter().map(of_member).collect(),
        }
    }

    /// What the instance had, with these clients. What is published of others is left out.
    pub(super) fn add_to(self, mut clients: Vec<KnownClient>) -> FormerInstance {
        let mut of_session = HashMap::<u32, Vec<Publication>>::new();
        for PublicationRecord { session, number, name, kind } in self.publications {
            of_session.entry(session).or_default().push(Publication { number, name, kind });
        }
        for known in &mut clients {
            known.publications = of_session.remove(&known.client.session.get()).unwrap_or_default();
        }
        let member = |MemberRecord { group, peer, follows }| {
            let peer = PeerId(peer);
            let client = |worker, session| ClientId { worker, session: SessionId::from_wire(session) };
            PublishedMember {
                member: GroupMember { group, peer, position: GroupAddress::of(&peer).0 },
                follows: follows.map(|(worker, session, digest)| (client(worker, session), digest)),
            }
        };
        FormerInstance { clients, members: self.members.into_iter().map(member).collect() }
    }
}

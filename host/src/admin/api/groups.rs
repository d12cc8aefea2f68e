//! The groups that clients are in, and their members.

use std::sync::Arc;

use introd_netgroup::ring::GroupAddress;
use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::{InstanceId, InstanceName};
use rtmfp::{PeerId, SessionId};
use serde_json::{Value, json};

use super::paging::{Page, next, not_from_here};
use super::problem::Problem;
use super::{Answer, Ask};
use crate::apps::AppInstance;
use crate::groups::{ListedGroup, ListedMember, Memberships};

type Groups = Memberships<SessionId>;

impl Ask<'_> {
    /// All groups, page by page. The table is read part by part, and other requests are answered in between.
    pub(super) async fn groups(&self) -> Answer {
        let page = Page::read(self.query)?;
        let after = match &page.after {
            Some(after) => Some(GroupKey(after.as_slice().try_into().map_err(|_| not_from_here())?)),
            None => None,
        };
        let table = &self.inspector.services.groups;
        let first = after.as_ref().map_or(0, Groups::part_of);
        let mut found: Vec<ListedGroup> = Vec::new();
        for part in first..Groups::PARTS {
            let after = after.filter(|_| part == first);
            // One more than the page has tells whether there is another page.
            found.extend(table.list(part, after, page.limit + 1 - found.len()));
            if found.len() > page.limit {
                break;
            }
            tokio::task::yield_now().await;
        }
        let is_last = found.len() <= page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| !is_last).map(|group| next(&group.key.0));
        let groups: Vec<Value> = found.iter().map(|group| self.describe(group)).collect();
        Ok(json!({"groups": groups, "next": next}))
    }

    fn describe(&self, group: &ListedGroup) -> Value {
        json!({
            "group": group.digest.map(|digest| digest.to_string()),
            "key": hex::encode(group.key.0),
            "scope": group.digest.zip(group.member).and_then(|(digest, member)| self.scope(group.key, digest, member)),
            "members": group.members,
        })
    }

    /// To which part of the server a group is confined: the one under whose names its digest gives its key.
    fn scope(&self, key: GroupKey, digest: GroupDigest, member: PeerId) -> Option<String> {
        if GroupKey::of(&digest, &[]) == key {
            return Some("server".to_owned());
        }
        let instance = self.instance_of(member)?;
        let InstanceName { adaptor, vhost, application, instance } = instance.name();
        if GroupKey::of(&digest, &[adaptor, vhost, application]) == key {
            return Some(format!("application {application}"));
        }
        let is_here = GroupKey::of(&digest, &[adaptor, vhost, application, instance]) == key;
        is_here.then(|| format!("instance {application}/{instance}"))
    }

    fn instance_of(&self, peer: PeerId) -> Option<Arc<AppInstance>> {
        let known = self.inspector.services.directory.lookup(&peer)?;
        self.inspector.services.applications.instance(InstanceId(known.instance))
    }

    /// The members of a group in the order of the ring, page by page. The group is named by its key, or by its digest if no other
    /// group has that.
    pub(super) fn group(&self, name: &str) -> Answer {
        let name: PeerId = name
            .parse()
            .map_err(|_| Problem::parameter("group", "the digest or the key of a group has 64 hexadecimal digits"))?;
        let page = Page::read(self.query)?;
        let beyond = match &page.after {
            Some(after) => Some(GroupAddress(after.as_slice().try_into().map_err(|_| not_from_here())?)),
            None => None,
        };
        let table = &self.inspector.services.groups;
        let key = match table.keys_of(&GroupDigest(name.0), 2).as_slice() {
            [] => GroupKey(name.0),
            [key] => *key,
            _ => {
                return Err(Problem::Conflict(
                    "Several groups have this digest: give the key of one, from /groups.".to_owned(),
                ));
            }
        };
        let limit = page.limit;
        let (digest, total, mut members) =
            table.list_members(&key, beyond, limit + 1).ok_or(Problem::NotFound("There is no such group."))?;
        let is_last = members.len() <= limit;
        members.truncate(limit);
        let next = members.last().filter(|_| !is_last).map(|member| next(&member.place.0));
        let scope = members.first().zip(digest).and_then(|(member, digest)| self.scope(key, digest, member.peer));
        let members: Vec<Value> = members.iter().map(|member| self.member(member)).collect();
        Ok(json!({
            "group": digest.map(|digest| digest.to_string()),
            "key": hex::encode(key.0),
            "scope": scope,
            "members": members,
            "total": total,
            "next": next,
        }))
    }

    fn member(&self, member: &ListedMember<SessionId>) -> Value {
        let services = &self.inspector.services;
        let known = services.directory.lookup(&member.peer);
        let instance = known.as_ref().and_then(|known| services.applications.instance(InstanceId(known.instance)));
        let name = instance.as_ref().map(|instance| instance.name());
        json!({
            "peer": member.peer.to_string(),
            "position": hex::encode(member.place.0),
            "is_silent": member.is_silent,
            "application": name.map(|name| &name.application),
            "instance": name.map(|name| &name.instance),
            "address": known.map(|known| known.observed.to_string()),
        })
    }
}

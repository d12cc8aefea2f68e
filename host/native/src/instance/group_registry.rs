//! The calls into a plugin whose registry has the members of groups.

use introd_plugin::abi;
use introd_policy::Verdict;
use introd_policy::registry::{GroupMember, MAX_NEIGHBORS, NeighborQuery};
use tokio::sync::oneshot;

use super::PluginInstance;
use crate::account::Callback;
use crate::answer::{Answer, PluginAnswer, Subject};
use crate::values::{error_name, raw_peer};

impl PluginInstance {
    /// Whether the plugin can do all that the members of groups need.
    pub(crate) fn has_group_registry(&self) -> bool {
        self.library.has_group_registry()
    }

    pub(crate) fn publish_member(&self, member: &GroupMember) -> i32 {
        let Some(join) = self.group_registry.and_then(|table| table.join) else { return abi::INTROD_E_UNSUPPORTED };
        let member = raw_member(member);
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.notify(Callback::PublishMember, || unsafe { join(self.made, &raw const member) })
    }

    pub(crate) fn withdraw_member(&self, member: &GroupMember) -> i32 {
        let Some(leave) = self.group_registry.and_then(|table| table.leave) else { return abi::INTROD_E_UNSUPPORTED };
        let member = raw_member(member);
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.notify(Callback::WithdrawMember, || unsafe { leave(self.made, &raw const member) })
    }

    /// Asks for members around a position. A verdict that comes later goes to `reply`.
    pub(crate) fn find_members(&self, query: &NeighborQuery, reply: oneshot::Sender<Verdict>) -> PluginAnswer {
        let Some(neighbors) = self.group_registry.and_then(|table| table.neighbors) else {
            return PluginAnswer::Verdict(Verdict::Failed(error_name(abi::INTROD_E_UNSUPPORTED).to_owned()));
        };
        let member = raw_member(&query.member);
        let query = abi::introd_neighbor_query {
            struct_size: size_of::<abi::introd_neighbor_query>() as u32,
            reserved: 0,
            group: member.group,
            peer: member.peer,
            position: member.position,
            near_count: query.near.min(MAX_NEIGHBORS) as u32,
            far_count: query.far.min(MAX_NEIGHBORS) as u32,
        };
        let mut answer = Answer::new(Subject::Neighbors, self.context.owner, None);
        answer.reply = Some(reply);
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.ask(Callback::FindMembers, answer, |answer| unsafe { neighbors(self.made, &raw const query, answer) })
    }
}

fn raw_member(member: &GroupMember) -> abi::introd_group_member {
    abi::introd_group_member {
        struct_size: size_of::<abi::introd_group_member>() as u32,
        reserved: 0,
        group: abi::introd_group_id { bytes: member.group },
        peer: raw_peer(member.peer),
        position: abi::introd_ring_position { bytes: member.position },
    }
}

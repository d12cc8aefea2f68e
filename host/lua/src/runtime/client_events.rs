//! What a connected client does, and what happens to it.

use std::rc::Rc;

use mlua::Function;
use mlua::MultiValue;
use mlua::Table;
use mlua::Value;

use super::Runtime;
use crate::api::group_control;
use crate::api::script::Purpose;
use crate::api::script::as_function;
use crate::engine::values;
use crate::instance::item::InboxItem;
use crate::instance::published_members;
use crate::instance::roster::Phase;
use crate::instance::roster::RosterMember;
use introd_flash::amf;
use introd_netgroup::GroupDigest;
use introd_policy::message::AppEvent;
use introd_policy::message::ClientId;

/// How many events may wait for a client's `onConnect` to end.
const MAX_DEFERRED: usize = 64;

impl Runtime {
    /// A client does something, or something happens to it.
    pub(super) fn of_client(&mut self, client: ClientId, item: InboxItem) {
        if let InboxItem::Call { number: Some(number), .. } | InboxItem::Publish { number, .. } = &item
            && self.instance.requests.begin(*number, |_| ()).is_none()
        {
            return;
        }
        let Some(member) = self.instance.roster.borrow().get(client) else {
            self.refuse_item(&item, "Not connected.");
            return;
        };
        if let InboxItem::Event(event) = &item {
            self.instance.ledger.note(event);
            match event {
                AppEvent::FarAddressChange { address, .. } => {
                    member.far_address.set(*address);
                    self.script.state.objects.client_changed(&member, &["farAddress", "ip"]);
                }
                AppEvent::ReportedAddressesChange { addresses, .. } => {
                    member.reported.borrow_mut().clone_from(addresses);
                    self.script.state.objects.client_changed(&member, &["reportedAddresses"]);
                }
                AppEvent::GroupJoin { membership, groupspec_digest, .. } => {
                    member.groups.borrow_mut().push((*membership, *groupspec_digest));
                }
                _ => (),
            }
        }
        let is_waiting = member.is_connecting.get() && member.phase.get() == Phase::Waiting;
        if !is_waiting && !member.is_catching_up.get() {
            self.happen(&member, item);
            return;
        }
        let is_full = member.deferred.borrow().len() >= MAX_DEFERRED;
        if is_waiting && is_full {
            // The script must not find the client in a group that it has left.
            if let InboxItem::Event(AppEvent::GroupLeave { membership, .. }) = item {
                member.groups.borrow_mut().retain(|(other, _)| *other != membership);
            }
            self.refuse_item(&item, "Not connected.");
            return;
        }
        let earlier = if is_full { member.deferred.borrow_mut().pop_front() } else { None };
        member.deferred.borrow_mut().push_back(item);
        earlier.into_iter().for_each(|earlier| self.happen(&member, earlier));
    }

    pub(super) fn happen(&mut self, member: &Rc<RosterMember>, item: InboxItem) {
        let event = match item {
            InboxItem::Call { number, call, .. } => return self.called(member, number, call),
            InboxItem::Publish { number, publication, .. } => return self.publish(member, number, publication),
            InboxItem::Decided { is_accepted } => return self.tell_decided(member, is_accepted),
            InboxItem::Event(event) => event,
            InboxItem::Connect { .. } | InboxItem::Lookup { .. } | InboxItem::Connection { .. } => return,
        };
        match event {
            AppEvent::Disconnect { .. } => self.leave(member),
            AppEvent::Unpublish { publication, .. } => self.unpublished(member, &publication),
            AppEvent::FarAddressChange { .. } | AppEvent::ReportedAddressesChange { .. }
                if matches!(member.phase.get(), Phase::Refused | Phase::Gone) => {}
            AppEvent::FarAddressChange { .. } => {
                self.tell(member, &["onFarAddressChange"], MultiValue::new());
            }
            AppEvent::ReportedAddressesChange { .. } => {
                // Adobe's document spells the name both ways.
                const NAMES: &[&str] = &["onReportedAddressesChange", "onReportedAddressChange"];
                self.tell(member, NAMES, MultiValue::new());
            }
            AppEvent::GroupJoin { membership, groupspec_digest, .. } => {
                self.joined(member, (membership, groupspec_digest));
            }
            AppEvent::GroupLeave { membership, groupspec_digest, .. } => {
                self.left(member, (membership, groupspec_digest));
            }
            _ => (),
        }
    }

    pub(super) fn joined(&mut self, member: &Rc<RosterMember>, group: (u64, [u8; 32])) {
        const NAME: &[&str] = &["onGroupJoin"];
        if self.client_handler(member, NAME).is_none() {
            return;
        }
        match group_control::object(&self.script.state, self.script.lua(), member, group) {
            Ok(control) => self.tell(member, NAME, MultiValue::from_iter([Value::UserData(control)])),
            Err(error) => self.report("onGroupJoin", &(&error).into()),
        }
    }

    pub(super) fn left(&mut self, member: &Rc<RosterMember>, group: (u64, [u8; 32])) {
        const NAME: &[&str] = &["onGroupLeave"];
        member.groups.borrow_mut().retain(|(other, _)| *other != group.0);
        if self.client_handler(member, NAME).is_some() {
            let digest = self.script.lua().create_string(hex::encode(group.1));
            match digest.and_then(|digest| {
                Ok((digest, group_control::object(&self.script.state, self.script.lua(), member, group)?))
            }) {
                Ok((digest, control)) => {
                    let arguments = [Value::String(digest), Value::UserData(control)];
                    self.tell(member, NAME, arguments.into_iter().collect());
                }
                Err(error) => self.report("onGroupLeave", &(&error).into()),
            }
        }
        self.script.state.objects.forget_membership(member.id, group.0);
        // Whatever the script does, other servers are not told of a member that is gone.
        let instance = &self.instance;
        let published = published_members::member(&instance.name, &GroupDigest(group.1), member.info.far_id);
        instance.published_members.leave(&published);
    }

    /// Calls a handler of a client.
    pub(super) fn tell(
        &mut self,
        member: &Rc<RosterMember>,
        names: &'static [&'static str],
        mut arguments: MultiValue,
    ) {
        let Some((name, handler)) = self.client_handler(member, names) else { return };
        let Some(object) = self.object(member) else { return };
        arguments.push_front(Value::Table(object));
        let progress = self.script.start(Purpose::Other(name), &handler, arguments);
        self.go_on(progress);
    }

    /// The first of these functions that the script has defined, for the client or for all clients.
    pub(super) fn client_handler<'a>(&self, member: &RosterMember, names: &[&'a str]) -> Option<(&'a str, Function)> {
        names.iter().find_map(|name| Some((*name, self.client_function(member, name)?)))
    }

    pub(super) fn client_function(&self, member: &RosterMember, name: &str) -> Option<Function> {
        let key = Value::String(self.script.lua().create_string(name).ok()?);
        let own = self.script.state.objects.known(member.id).and_then(|object| object.raw_get::<Value>(&key).ok());
        own.and_then(as_function)
            .or_else(|| self.script.state.prototype.raw_get::<Value>(key).ok().and_then(as_function))
    }

    /// The client's object. `None` if the script has no memory left for it; that is reported.
    pub(super) fn object(&mut self, member: &Rc<RosterMember>) -> Option<Table> {
        let made = self.script.state.objects.of(self.script.lua(), member);
        made.map_err(|error| self.report("client", &(&error).into())).ok()
    }

    /// The arguments of a client's message, converted for the script. `None` if it has no memory left for them; that is reported.
    pub(super) fn arguments(&mut self, values: &[amf::Value]) -> Option<MultiValue> {
        let (lua, marks) = (self.script.lua(), &self.script.state.marks);
        let made: mlua::Result<MultiValue> =
            values.iter().map(|value| values::to_lua(lua, marks, value.clone())).collect();
        made.map_err(|error| self.report("arguments", &(&error).into())).ok()
    }
}

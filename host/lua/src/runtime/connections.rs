//! What happens on the script's NetConnections and in its NetGroups.

use std::rc::Rc;

use mlua::{AnyUserData, MultiValue, Table, Value};

use super::Runtime;
use super::calls::abridged;
use crate::api::address;
use crate::api::connection_objects::{Connection, Ends, Group, Phase};
use crate::api::net_connection::is_reserved;
use crate::api::script::{Purpose, as_function};
use crate::engine::{expando, values};
use introd_flash::amf::{self, AmfLimits, Decoder};
use introd_netgroup::GroupAddress;
use introd_policy::net_connection::{ConnectionEvent, GroupEvent, GroupId};
use rtmfp::PeerId;

/// Whether a status code tells of an error: the others tell of something that was to be expected.
fn is_error(code: &str) -> bool {
    !(code.ends_with(".Success") || code.ends_with(".Closed") || code.ends_with(".AppShutdown"))
}

impl Runtime {
    /// Something has happened on a connection. Nothing happens on one that the script has closed.
    pub(super) fn on_connection(&mut self, number: u64, event: ConnectionEvent) {
        let Some((connection, object)) = self.script.state.connections.get(number) else { return };
        if connection.phase.get() == Phase::Closing && !matches!(event, ConnectionEvent::Closed { .. }) {
            return;
        }
        match event {
            ConnectionEvent::Connected { near_id, far_id, nonces, bound, info } => {
                let bound = bound.into_iter().map(address::text).collect();
                *connection.ends.borrow_mut() = Some(Ends { near_id, far_id, nonces, bound });
                connection.phase.set(Phase::Open);
                self.connection_status(&object, "NetConnection.Connect.Success", "", info);
            }
            ConnectionEvent::Closed { code, description, info } => {
                self.instance.connections.close(number);
                let unanswered = self.script.state.connections.remove(number);
                self.connection_status(&object, &code, &description, info);
                self.leave_unanswered(unanswered);
            }
            ConnectionEvent::Call { method, arguments } => self.called_by_server(&object, &method, &arguments),
            ConnectionEvent::Answer { token, outcome } => self.answered(token, outcome),
            ConnectionEvent::Group { group, event } => self.on_group(&connection, group, event),
        }
    }

    /// Calls `onStatus` of a connection.
    fn connection_status(&mut self, object: &AnyUserData, code: &str, description: &str, info: amf::Value) {
        let handler = expando::field_named(object, "onStatus").ok().and_then(as_function);
        let Some(handler) = handler else {
            self.log_unheard(code, description);
            return;
        };
        match self.status(code, description, info) {
            Ok(status) => {
                let arguments = MultiValue::from_iter([Value::UserData(object.clone()), Value::Table(status)]);
                let progress = self.script.start(Purpose::Other("NetConnection.onStatus"), &handler, arguments);
                self.go_on(progress);
            }
            Err(error) => self.report("NetConnection.onStatus", &(&error).into()),
        }
    }

    /// The information object of a status: what the server has sent, and the rest.
    fn status(&self, code: &str, description: &str, info: amf::Value) -> mlua::Result<Table> {
        let lua = self.script.lua();
        let given = match info {
            amf::Value::Object(_) | amf::Value::EcmaArray(_) => values::to_lua(lua, &self.script.state.marks, info)?,
            _ => Value::Nil,
        };
        let status = if let Value::Table(table) = given { table } else { lua.create_table()? };
        status.raw_set("level", if is_error(code) { "error" } else { "status" })?;
        status.raw_set("code", code)?;
        status.raw_set("description", description)?;
        Ok(status)
    }

    /// A status that no handler of the script hears of is logged if something has failed or ended.
    fn log_unheard(&self, code: &str, description: &str) {
        if !code.ends_with(".Success") {
            tracing::warn!(app = %self.instance.name, code, description, "a status of the script's NetConnection that it has no onStatus for");
        }
    }

    /// The server of a connection calls a method.
    fn called_by_server(&mut self, object: &AnyUserData, method: &str, given: &[amf::Value]) {
        let name = abridged(method);
        let field = if is_reserved(method) { Ok(Value::Nil) } else { expando::field_named(object, method) };
        let Some(handler) = field.ok().and_then(as_function) else {
            tracing::warn!(app = %self.instance.name, method = name, "the server of a NetConnection calls a method that the script does not have");
            return;
        };
        if let Some(mut arguments) = self.arguments(given) {
            arguments.push_front(Value::UserData(object.clone()));
            let progress = self.script.start(Purpose::Other("a method of a NetConnection"), &handler, arguments);
            self.go_on(progress);
        }
    }

    fn on_group(&mut self, connection: &Rc<Connection>, id: GroupId, event: GroupEvent) {
        let known = connection.groups.borrow().get(&id).cloned();
        // A group that the script has left.
        let Some((group, object)) = known else { return };
        if let GroupEvent::Closed { .. } = event {
            connection.forget_group(id);
        }
        let handler = expando::field_named(&object, "onStatus").ok().and_then(as_function);
        let Some(handler) = handler else {
            if let GroupEvent::Closed { code, description } = &event {
                self.log_unheard(code, description);
            }
            return;
        };
        match self.group_status(&group, event) {
            Ok(Some(status)) => {
                let arguments = MultiValue::from_iter([Value::UserData(object), Value::Table(status)]);
                let progress = self.script.start(Purpose::Other("NetGroup.onStatus"), &handler, arguments);
                self.go_on(progress);
            }
            // It is dropped, and that is logged.
            Ok(None) => (),
            Err(error) => self.report("NetGroup.onStatus", &(&error).into()),
        }
    }

    /// The information object of something that has happened in a group. `None` if a member has sent what is no value.
    fn group_status(&self, group: &Group, event: GroupEvent) -> mlua::Result<Option<Table>> {
        let none = || amf::Value::Null;
        let (code, peer) = match event {
            GroupEvent::Connected => {
                let status = self.status("NetGroup.Connect.Success", "", none())?;
                status.raw_set("group", group.groupspec.as_str())?;
                return Ok(Some(status));
            }
            GroupEvent::Closed { code, description } => {
                let status = self.status(&code, &description, none())?;
                status.raw_set("group", group.groupspec.as_str())?;
                return Ok(Some(status));
            }
            GroupEvent::NeighborConnected { peer, name } => ("NetGroup.Neighbor.Connect", (peer, name)),
            GroupEvent::NeighborDisconnected { peer, name } => ("NetGroup.Neighbor.Disconnect", (peer, name)),
            GroupEvent::Posting { id, value } => {
                let Some(message) = self.received(&value)? else { return Ok(None) };
                let status = self.group_notice("NetGroup.Posting.Notify")?;
                status.raw_set("message", message)?;
                status.raw_set("messageID", hex::encode(id))?;
                return Ok(Some(status));
            }
            GroupEvent::SendTo { from, from_local, message } => {
                let Some(message) = self.received(&message)? else { return Ok(None) };
                let status = self.group_notice("NetGroup.SendTo.Notify")?;
                status.raw_set("message", message)?;
                status.raw_set("from", hex::encode(from))?;
                status.raw_set("fromLocal", from_local)?;
                return Ok(Some(status));
            }
            GroupEvent::LocalCoverage => return self.group_notice("NetGroup.LocalCoverage.Notify").map(Some),
        };
        self.neighbor_status(code, &peer.0, peer.1).map(Some)
    }

    /// The information object of something that is no error.
    fn group_notice(&self, code: &str) -> mlua::Result<Table> {
        let status = self.script.lua().create_table_with_capacity(0, 6)?;
        status.raw_set("level", "status")?;
        status.raw_set("code", code)?;
        Ok(status)
    }

    fn neighbor_status(&self, code: &str, peer: &PeerId, name: Option<String>) -> mlua::Result<Table> {
        let status = self.group_notice(code)?;
        status.raw_set("neighbor", GroupAddress::of(peer).to_string())?;
        status.raw_set("peerID", peer.to_string())?;
        status.raw_set("name", name)?;
        Ok(status)
    }

    /// A value that another member has sent, for the script. `None` if it is malformed, or larger than a message may be; that is logged.
    fn received(&self, bytes: &[u8]) -> mlua::Result<Option<Value>> {
        let mut decoder = Decoder::new(bytes, AmfLimits::default());
        let decoded = decoder.amf0();
        match decoded {
            Ok(value) if decoder.is_empty() => {
                values::to_lua(self.script.lua(), &self.script.state.marks, value).map(Some)
            }
            refused => {
                self.instance.connections.malformed.set(self.instance.connections.malformed.get() + 1);
                let reason = refused.err().map_or_else(|| "more than one value".to_owned(), |error| error.to_string());
                tracing::warn!(app = %self.instance.name, reason, "a member of a group has sent what is no AMF value: it is dropped");
                Ok(None)
            }
        }
    }
}

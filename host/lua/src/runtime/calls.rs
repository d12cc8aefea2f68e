//! Calls of methods: by clients, and of clients.

use std::rc::Rc;

use mlua::Function;
use mlua::MultiValue;
use mlua::Value;

use super::Runtime;
use crate::api::pending_calls::PendingCall;
use crate::api::script::Purpose;
use crate::engine::failure::Failure;
use crate::engine::values;
use crate::instance::item::InboxItem;
use crate::instance::open_requests::OpenRequest;
use crate::instance::open_requests::call_failed;
use crate::instance::roster::RosterMember;
use introd_flash::amf;
use introd_flash::server::Call;
use introd_policy::ServerMethod;
use introd_policy::message::ClientCommand;
use introd_policy::message::ClientStats;

/// The name of a method that a client has sent, short enough for messages.
pub(super) fn abridged(name: &str) -> String {
    name.chars().take(64).collect()
}

impl Runtime {
    pub(super) fn called(&mut self, member: &Rc<RosterMember>, number: Option<u64>, call: Call) {
        let name = abridged(&call.name);
        let handler = self.function_for_client(member, &call.name);
        let ready = match handler {
            _ if !member.is_accepted() => Err("Not connected"),
            None => match ServerMethod::named(&call.name) {
                Some(method) => return self.leave_to_server(number, method),
                None => Err("Method not found"),
            },
            Some(handler) => match self.arguments(&call.arguments) {
                Some(arguments) => Ok((handler, arguments)),
                None => Err("Call failed"),
            },
        };
        match ready {
            Ok((handler, mut arguments)) => {
                arguments.push_front(self.object(member).map_or(Value::Nil, Value::Table));
                let progress = self.script.start(Purpose::Call(name, number), &handler, arguments);
                self.go_on(progress);
            }
            Err(why) => {
                self.refuse_item(&InboxItem::Call { number, client: member.id, call }, &format!("{why} ({name})."));
            }
        }
    }

    /// Leaves the call of a method that the server has, and the script does not define, to the server.
    fn leave_to_server(&self, number: Option<u64>, method: ServerMethod) {
        let request = number.and_then(|number| self.instance.requests.take(number));
        if let Some(OpenRequest::Call { client, transaction }) = request {
            self.instance.send(ClientCommand::AnswerByServer { client, transaction, method });
        }
    }

    pub(super) fn call_done(&mut self, name: &str, number: Option<u64>, result: Result<MultiValue, Failure>) {
        let outcome = result.and_then(|results| {
            let value = results.front().cloned().unwrap_or_default();
            values::from_lua(&self.script.state.marks, &value).map_err(|error| Failure::from(&error))
        });
        if let Err(failure) = &outcome {
            self.report(name, failure);
        }
        let Some(OpenRequest::Call { client, transaction }) =
            number.and_then(|number| self.instance.requests.take(number))
        else {
            return;
        };
        // The reason goes to the log, not to the client.
        let outcome = outcome.map_err(|_| call_failed(&format!("The method failed ({name}).")));
        self.instance.send(ClientCommand::Answer { client, transaction, outcome });
    }

    /// Answers a call with an error, or refuses a publication, if the client waits for an answer.
    pub(super) fn refuse_item(&self, item: &InboxItem, why: &str) {
        let command = match item {
            InboxItem::Call { number: Some(_), client, call } => {
                let (transaction, outcome) = (call.transaction, Err(call_failed(why)));
                ClientCommand::Answer { client: *client, transaction, outcome }
            }
            InboxItem::Publish { client, publication, .. } => {
                ClientCommand::Publish { client: *client, publication: publication.number, is_allowed: false }
            }
            _ => return,
        };
        if let InboxItem::Call { number: Some(number), .. } | InboxItem::Publish { number, .. } = item
            && self.instance.requests.take(*number).is_some()
        {
            self.instance.send(command);
        }
    }

    /// A client, or the server of a NetConnection, has answered a call.
    pub(super) fn answered(&mut self, token: u64, outcome: Result<Vec<amf::Value>, Vec<amf::Value>>) {
        if let Some(asked) = self.script.state.take_asked(token) {
            self.call_answered(token, asked, outcome);
        }
    }

    /// Passes the answer to a call that was taken out to who waits for it.
    pub(super) fn call_answered(
        &mut self,
        token: u64,
        asked: PendingCall,
        outcome: Result<Vec<amf::Value>, Vec<amf::Value>>,
    ) {
        let is_ok = outcome.is_ok();
        let (Ok(given) | Err(given)) = outcome;
        let (lua, marks) = (self.script.lua(), &self.script.state.marks);
        let made: mlua::Result<MultiValue> = given.into_iter().map(|value| values::to_lua(lua, marks, value)).collect();
        let mut results = made.unwrap_or_default();
        if !is_ok {
            // The result is nil, and the second value says why.
            if results.is_empty() {
                let info = values::to_lua(lua, marks, call_failed("The call failed."));
                results.push_back(info.unwrap_or_default());
            }
            results.push_front(Value::Nil);
        }
        match asked.handler {
            Value::Nil => self.wake(token, results),
            Value::Function(handler) => self.run_result(&handler, results),
            // An object with onResult and onStatus, as in ActionScript.
            Value::Table(object) => {
                let name = if is_ok { "onResult" } else { "onStatus" };
                if !is_ok {
                    results.pop_front();
                }
                let progress = self.script.call_result(object, name, results);
                self.go_on(progress);
            }
            _ => (),
        }
    }

    pub(super) fn run_result(&mut self, handler: &Function, results: MultiValue) {
        let progress = self.script.start(Purpose::Other("the result handler of a call"), handler, results);
        self.go_on(progress);
    }

    pub(super) fn stats(&mut self, token: u64, stats: Option<ClientStats>) {
        if self.script.state.take_asked(token).is_none() {
            return;
        }
        let table = stats.map(|stats| {
            self.script.lua().create_table_from([
                ("bytes_in", stats.bytes_in),
                ("bytes_out", stats.bytes_out),
                ("msg_in", stats.msg_in),
                ("msg_out", stats.msg_out),
                ("msg_dropped", stats.msg_dropped),
                ("ping_rtt", stats.ping_rtt),
            ])
        });
        let value = table.and_then(Result::ok).map_or(Value::Nil, Value::Table);
        self.wake(token, MultiValue::from_iter([value]));
    }
}

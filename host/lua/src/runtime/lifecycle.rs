//! The end of an instance, and the reload of its script.

use std::sync::Arc;

use mlua::MultiValue;
use mlua::Value;

use super::Runtime;
use crate::api::script::Script;
use crate::instance::open_requests::Answer;
use crate::instance::open_requests::OpenRequest;
use introd_config::Application;
use introd_flash::server::Rejection;
use introd_policy::RequestId;
use introd_policy::Verdict;
use introd_policy::message::ClientCommand;

impl Runtime {
    pub(super) fn stop(&mut self, reason: &'static str, code: &str) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.say_stop(reason);
        self.instance.connections.open.end();
        self.instance.queries.cancel_all();
        // After a takeover they are another process's clients.
        let left = if reason == "takeover" { Vec::new() } else { self.instance.roster.borrow().accepted() };
        for member in left {
            let reason = Some("the application has ended".into());
            self.instance.send(ClientCommand::Disconnect { client: member.id, reason });
        }
        for (number, request) in self.instance.requests.take_all() {
            if let OpenRequest::Connect(_) = request {
                let rejection = Rejection::new(code, "the application has ended");
                self.instance.decide(RequestId::from_number(number), Verdict::Reject(Box::new(rejection)));
            } else {
                self.instance.answer(Answer::failed(number, request, "the application has ended"));
            }
        }
    }

    pub(super) fn say_stop(&mut self, reason: &'static str) {
        if let Ok(info) = self.script.lua().create_table_from([("reason", reason)]) {
            self.call("onAppStop", MultiValue::from_iter([Value::Table(info)]));
        }
    }

    /// Uses other settings from the next reload on; deadlines at once.
    pub(crate) fn set_settings(&self, settings: Arc<Application>) {
        *self.instance.settings.borrow_mut() = settings;
    }

    /// Reloads the script. The clients stay, and the new script is asked about open requests. Everything else of the old script ends
    /// with it: variables, timers, waiting handlers, HTTP requests, watches of
    /// files, fields that it set on clients, NetConnections with their groups. If the new script does not load, the old one goes on.
    pub(super) fn reload(&mut self) {
        let app = self.instance.name.clone();
        match Script::load(&self.instance, &self.folder) {
            Ok(script) => {
                self.say_stop("reload");
                self.instance.connections.close_all();
                self.instance.queries.cancel_all();
                for member in self.instance.roster.borrow().accepted() {
                    member.asked.take();
                    member.is_found.set(false);
                }
                let old = std::mem::replace(&mut self.script, script);
                old.cancel(|_| true);
                self.freed += old.max_used();
                drop(old);
                self.has_warned = false;
                self.begin("reload");
                self.again = self.instance.requests.begun().into();
                // Who reads this finds the new script in force.
                tracing::info!(%app, "the script is reloaded");
            }
            Err(failure) => {
                self.instance.journal.failure(&app, "reload", &failure);
                tracing::error!(%app, "the changed script does not load; the old one goes on");
            }
        }
    }
}

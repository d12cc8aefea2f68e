//! The reload of a script, and `onAppStop`.

use std::sync::Arc;

use mlua::MultiValue;
use mlua::Value;

use super::Runtime;
use crate::api::script::Script;
use introd_config::Application;

impl Runtime {
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
        if self.is_ending() {
            return;
        }
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

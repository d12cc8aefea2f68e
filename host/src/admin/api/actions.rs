//! What administrators change.

use std::sync::Arc;

use introd_flash::amf;
use serde_json::{Value, json};

use super::body::Body;
use super::clients::read_peer;
use super::problem::Problem;
use super::{Answer, Ask};
use crate::admin::actions::{self, MAX_MESSAGE, NotReloaded};
use crate::admin::inspector::{Inspector, Member, Sent};
use crate::apps::AppInstance;

/// The longest reason for a disconnection, in bytes.
const MAX_REASON: usize = 256;
/// How many arguments a broadcast has at most.
const MAX_ARGUMENTS: usize = 64;

impl Ask<'_> {
    /// Closes the connection of a client.
    pub(super) async fn disconnect(&self, peer: &str, body: &Body) -> Answer {
        body.only(&["reason"])?;
        let (peer, reason) = (read_peer(peer)?, body.text("reason")?);
        if reason.is_some_and(|reason| reason.len() > MAX_REASON) {
            return Err(Problem::field("reason", "give at most 256 bytes"));
        }
        let known = self.inspector.services.directory.lookup(&peer);
        let session = known.ok_or(Problem::NotFound("No client with this peer id is connected."))?.owner;
        let of = match reason {
            Some(reason) => format!("{peer}: {}", introd_log::text::shown(reason)),
            None => peer.to_string(),
        };
        self.log("disconnect", &of);
        done(self.inspector.disconnect(&[Member { session, peer }]).await, 1)
    }

    /// Has the script of an application loaded again in one of its instances, or in all.
    pub(super) fn reload(&self, application: &str, body: &Body) -> Answer {
        body.only(&["adaptor", "vhost", "instance"])?;
        let instances = self.instances(Some(application), body)?;
        let mut reloaded = 0;
        for instance in &instances {
            self.log("reload", &instance.name());
            match Inspector::reload(instance) {
                Ok(()) => reloaded += 1,
                Err(problem @ NotReloaded::NoScript) => return Err(Problem::Conflict(problem.to_string())),
                Err(problem @ NotReloaded::Busy) => return Err(Problem::Busy(problem.to_string())),
            }
        }
        Ok(json!({"instances": reloaded}))
    }

    /// Disconnects the clients of one instance of an application or of all, and ends its script.
    pub(super) async fn unload(&self, application: &str, body: &Body) -> Answer {
        body.only(&["adaptor", "vhost", "instance"])?;
        let instances = self.instances(Some(application), body)?;
        let mut all = Sent::default();
        for instance in &instances {
            self.log("unload", &instance.name());
            all += self.inspector.unload(instance).await;
        }
        done(all, instances.len())
    }

    /// Calls a method of the clients of an instance, of an application, or of a virtual host.
    pub(super) async fn broadcast(&self, body: &Body) -> Answer {
        body.only(&["adaptor", "vhost", "application", "instance", "method", "arguments"])?;
        let method = body.text("method")?.filter(|method| !method.is_empty());
        let method = method.ok_or_else(|| Problem::field("method", "give the name of a method"))?;
        let arguments = body.list("arguments")?;
        if method.len() > MAX_MESSAGE || arguments.len() > MAX_ARGUMENTS {
            return Err(Problem::Bad(format!(
                "The method has at most {MAX_MESSAGE} bytes, and there are at most {MAX_ARGUMENTS} arguments."
            )));
        }
        let arguments = arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        let instances = self.instances(body.text("application")?, body)?;
        self.log("broadcast", &introd_log::text::shown(method));
        done(self.inspector.broadcast(&instances, method, &arguments).await, instances.len())
    }

    /// Changes the level of the log until the server ends.
    pub(super) fn set_log_level(&self, body: &Body) -> Answer {
        body.only(&["level"])?;
        let level = body.text("level")?.ok_or_else(|| Problem::field("level", "give a level"))?;
        self.log("log-level", &introd_log::text::shown(level));
        introd_log::set_level(level).map_err(|what| Problem::field("level", &what))?;
        Ok(json!({"level": introd_log::level()}))
    }

    /// The instances that a body names by `instance`, of an application of the virtual host that it names by `adaptor` and `vhost`.
    fn instances(&self, application: Option<&str>, body: &Body) -> Result<Vec<Arc<AppInstance>>, Problem> {
        let default = &self.config.default_adaptor;
        let adaptor = body.text("adaptor")?.unwrap_or(&default.name);
        let vhost = body.text("vhost")?.unwrap_or(&default.default_vhost.name);
        let mut instances = self.inspector.instances_of(adaptor, vhost);
        let instance = body.text("instance")?;
        instances.retain(|known| {
            let name = known.name();
            application.is_none_or(|wanted| wanted == name.application)
                && instance.is_none_or(|wanted| wanted == name.instance)
        });
        if instances.is_empty() {
            return Err(Problem::NotFound("There is no such application instance."));
        }
        Ok(instances)
    }

    pub(super) fn log(&self, action: &str, of: &dyn std::fmt::Display) {
        let user = self.caller.credentials.as_ref().map_or("", |credentials| credentials.user.as_str());
        actions::log(user, action, of);
    }
}

fn argument(value: &Value) -> Result<amf::Value, Problem> {
    match value {
        Value::Null => Ok(amf::Value::Null),
        Value::Bool(value) => Ok(amf::Value::Boolean(*value)),
        Value::Number(value) => Ok(amf::Value::Number(value.as_f64().unwrap_or(f64::NAN))),
        Value::String(value) if value.len() <= MAX_MESSAGE => Ok(amf::Value::String(value.clone())),
        Value::String(_) => Err(Problem::field("arguments", "a string has at most 4096 bytes")),
        Value::Array(_) | Value::Object(_) => {
            Err(Problem::field("arguments", "give strings, numbers, true, false or null"))
        }
    }
}

/// The answer to an action: to how many clients of how many instances it was sent. It fails if some got nothing.
fn done(Sent { sent, unsent }: Sent, instances: usize) -> Answer {
    if unsent > 0 {
        return Err(Problem::Busy(format!("The server is busy: {unsent} clients were left out, {sent} were not.")));
    }
    Ok(json!({"clients": sent, "instances": instances}))
}

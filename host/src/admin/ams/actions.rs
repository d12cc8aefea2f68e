//! What administrators change.

use introd_flash::amf::Value;

use super::xml::{Data, Failure};
use super::{Answer, Call, failed};
use crate::admin::actions::{self, MAX_MESSAGE};
use crate::admin::inspector::{Inspector, Member, Sent};

impl Call<'_> {
    /// Loads the script of an instance again. Clients stay, other than with Adobe's servers.
    pub(super) fn reload_app(&self) -> Answer {
        let instance = self.instance()?;
        self.log("reloadApp", &instance.name());
        Inspector::reload(&instance).map_err(|problem| failed(problem.to_string()))?;
        Ok(None)
    }

    /// Disconnects the clients of an instance, and ends its script. The next client makes a new instance.
    pub(super) async fn unload_app(&self) -> Answer {
        let instance = self.instance()?;
        self.log("unloadApp", &instance.name());
        done(self.inspector.unload(&instance).await)
    }

    /// Unloads all instances of a virtual host.
    pub(super) async fn restart_vhost(&self) -> Answer {
        let (instances, (adaptor, vhost)) = (self.instances()?, self.vhost()?);
        self.log("restartVHost", &format_args!("{adaptor}/{vhost}"));
        let mut all = Sent::default();
        for instance in instances {
            all += self.inspector.unload(&instance).await;
        }
        done(all)
    }

    /// Closes the connection of a client. AMS has no such method.
    pub(super) async fn disconnect_user(&self) -> Answer {
        let session = self.user()?;
        let report = self.inspector.client_report(session).await;
        let report = report.ok_or_else(|| failed("There is no such user.".to_owned()))?;
        self.log("disconnectUser", &report.peer);
        done(self.inspector.disconnect(&[Member { session, peer: report.peer }]).await)
    }

    /// Calls `method` with the strings in `arg` of the clients of an instance, or of all clients of the virtual host.
    pub(super) async fn broadcast(&self) -> Answer {
        let method = self.need(&["method", "msg"])?;
        let arguments: Vec<&str> = self.query.all("arg").collect();
        if method.len() > MAX_MESSAGE || arguments.iter().any(|argument| argument.len() > MAX_MESSAGE) {
            return Err(failed(format!("The method and each argument have at most {MAX_MESSAGE} bytes.")));
        }
        let instances = match self.query.get(&["appinst"]) {
            Some(_) => vec![self.instance()?],
            None => self.instances()?,
        };
        self.log("broadcastMsg", &introd_log::text::shown(method));
        let arguments: Vec<Value> = arguments.into_iter().map(|argument| Value::String(argument.to_owned())).collect();
        done(self.inspector.broadcast(&instances, method, &arguments).await)
    }

    /// Changes the level of the log until the server ends. AMS has no such method.
    pub(super) fn set_log_level(&self) -> Answer {
        let level = self.need(&["level"])?;
        self.log("setLogLevel", &introd_log::text::shown(level));
        introd_log::set_level(level).map_err(failed)?;
        Ok(None)
    }

    fn log(&self, action: &str, of: &dyn std::fmt::Display) {
        actions::log(self.user, action, of);
    }
}

/// The answer to an action: to how many clients it was sent. It fails if some got nothing, because the server was too busy.
fn done(Sent { sent, unsent }: Sent) -> Answer {
    if unsent > 0 {
        let problem: Failure = failed(format!("The server is busy: {unsent} clients were left out, {sent} were not."));
        return Err(problem);
    }
    let mut data = Data::default();
    data.text("clients", sent);
    Ok(Some(data))
}

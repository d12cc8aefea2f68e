//! What administrators change.

use std::sync::Arc;

use introd_flash::amf::Value;
use introd_policy::message::{AppEvent, ClientCommand, ClientId};

use super::xml::{Data, Failure};
use super::{Answer, Call, failed};
use crate::admin::inspector::{Member, Sent};
use crate::apps::AppInstance;
use crate::serve::Mail;

/// The longest name of a method and the longest argument of `broadcastMsg`, in bytes.
const MAX_MESSAGE: usize = 4096;

impl Call<'_> {
    /// Loads the script of an instance again. Clients stay, other than with Adobe's servers.
    pub(super) fn reload_app(&self) -> Answer {
        let instance = self.instance()?;
        let script = instance.actor().ok_or_else(|| failed("The application has no script to reload.".to_owned()))?;
        self.log("reloadApp", &instance.name());
        script.tell(AppEvent::Reload).map_err(|_| failed("The application is busy.".to_owned()))?;
        Ok(None)
    }

    /// Disconnects the clients of an instance, and ends its script. The next client makes a new instance.
    pub(super) async fn unload_app(&self) -> Answer {
        let instance = self.instance()?;
        self.log("unloadApp", &instance.name());
        done(self.unload(&instance).await)
    }

    /// Unloads all instances of a virtual host.
    pub(super) async fn restart_vhost(&self) -> Answer {
        let (instances, (adaptor, vhost)) = (self.instances()?, self.vhost()?);
        self.log("restartVHost", &format_args!("{adaptor}/{vhost}"));
        let mut all = Sent::default();
        for instance in instances {
            let Sent { sent, unsent } = self.unload(&instance).await;
            (all.sent, all.unsent) = (all.sent + sent, all.unsent + unsent);
        }
        done(all)
    }

    async fn unload(&self, instance: &Arc<AppInstance>) -> Sent {
        if let Some(script) = instance.actor() {
            // A script that stops takes no more clients, and is told of the end of those it has.
            let _ = script.tell(AppEvent::Stop);
        }
        self.disconnect(&self.members(instance)).await
    }

    /// Closes the connection of a client. AMS has no such method.
    pub(super) async fn disconnect_user(&self) -> Answer {
        let session = self.user()?;
        let report = self.inspector.client_report(session).await;
        let report = report.ok_or_else(|| failed("There is no such user.".to_owned()))?;
        self.log("disconnectUser", &report.peer);
        done(self.disconnect(&[Member { session, peer: report.peer }]).await)
    }

    async fn disconnect(&self, members: &[Member]) -> Sent {
        let mail = |Member { session, peer }| Mail::Disconnect { session, peer, by: "an administrator" };
        self.inspector.send_to(members, mail).await
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
        let mut all = Sent::default();
        for instance in instances {
            let mail = |member: Member| {
                let client = ClientId { worker: member.session.prefix(), session: member.session };
                let arguments = arguments.iter().map(|argument| Value::String((*argument).to_owned())).collect();
                let method = method.to_owned();
                Mail::Command(ClientCommand::Call { client, method, arguments, token: None }, None)
            };
            let Sent { sent, unsent } = self.inspector.send_to(&self.members(&instance), mail).await;
            (all.sent, all.unsent) = (all.sent + sent, all.unsent + unsent);
        }
        done(all)
    }

    /// Changes the level of the log until the server ends. AMS has no such method.
    pub(super) fn set_log_level(&self) -> Answer {
        let level = self.need(&["level"])?;
        self.log("setLogLevel", &introd_log::text::shown(level));
        introd_log::set_level(level).map_err(failed)?;
        Ok(None)
    }

    fn log(&self, action: &str, of: &dyn std::fmt::Display) {
        let user = introd_log::text::shown(self.user);
        tracing::info!(action, %user, %of, "an administrator acts");
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

//! A connect that waits for the policies of its application.

use std::sync::Arc;

use introd_flash::server::ConnectRequest;
use introd_native::{ConnectEvent, PluginAnswer, PluginInstance};
use introd_policy::decision::ConnectDecision;
use introd_policy::message::ClientInfo;
use introd_policy::{RequestId, Verdict};
use rtmfp::{PeerId, SessionId};

use super::asked::AskedApplication;
use crate::apps::Seat;
use crate::stories::{Text, cut};

/// A connect about which the policies of its application are asked.
pub(super) struct PendingConnect {
    pub(super) session: SessionId,
    /// The client, as plugins are told of it.
    pub(super) peer: PeerId,
    pub(super) decision: ConnectDecision<AskedApplication>,
    /// What is known of the client.
    pub(super) info: Arc<ClientInfo>,
    /// The client's seat, until the script is asked: then the client has it.
    pub(super) seat: Option<Seat>,
    pub(super) program: ClientProgram,
    pub(super) is_script_told: bool,
}

/// What a client says of its program, for the log and the story.
pub(super) struct ClientProgram {
    pub(super) agent: Text,
    pub(super) page_url: Text,
}

impl ClientProgram {
    pub(super) fn of(request: &ConnectRequest) -> Self {
        Self { agent: cut(request.agent.clone()), page_url: cut(request.page_url.clone()) }
    }
}

impl PendingConnect {
    pub(super) fn ask_plugin(&self, index: usize, request: Option<RequestId>) -> PluginAnswer {
        let application = self.decision.application();
        let (Some(plugin), Some(request)) = (application.plugin(index), request) else {
            return PluginAnswer::Verdict(Verdict::Failed("too many requests wait for replies".to_owned()));
        };
        plugin.connect(request, ConnectEvent { session: self.session, info: &self.info, place: application.place() })
    }

    /// Tells the plugins that were asked about the client that it is gone.
    pub(super) fn tell_plugins_gone(&self, reason: &str) {
        let application = self.decision.application();
        for plugin in application.first_plugins(self.decision.plugins_asked()) {
            plugin.disconnect(self.session, self.peer, application.place(), reason);
        }
    }

    /// Tells the policy that is asked that its verdict is not needed any more. Returns the plugin, if it is one.
    pub(super) fn cancel(&self, request: RequestId, token: Option<u64>) -> Option<&PluginInstance> {
        let application = self.decision.application();
        let plugin = self.decision.plugin().and_then(|index| application.plugin(index));
        if let Some((plugin, token)) = plugin.zip(token) {
            // A verdict that is on its way at this moment is too late as well.
            plugin.cancel(token);
            return Some(plugin);
        }
        if let Some(script) = application.script() {
            script.cancel(request);
        }
        None
    }
}

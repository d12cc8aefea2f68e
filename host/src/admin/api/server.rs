//! The server as a whole.

use serde_json::{Value, json};

use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::admin::gate::Wish;
use crate::admin::health;
use crate::admin::system::System;

impl Ask<'_> {
    pub(super) async fn server(&self) -> Answer {
        let inspector = self.inspector;
        let reports = inspector.worker_reports().await;
        let sessions: usize = reports.iter().flatten().map(|report| report.sessions).sum();
        let applications = &inspector.services.applications;
        let drain = self.drain();
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "peer": inspector.services.near_id.to_string(),
            "launched": Rfc3339(inspector.launched()).to_string(),
            "uptime_seconds": inspector.uptime().as_secs(),
            "state": if drain.is_null() { "serving" } else { "draining" },
            "drain": drain,
            "listening": texts(inspector.listening()),
            "public": texts(&inspector.services.network.near_addresses()),

            "workers": inspector.workers(),
            "clients": applications.clients(),
            "peers": inspector.services.directory.len(),
            "sessions": sessions,
            "instances": applications.instances(),
            "groups": inspector.services.groups.len(),
            "cpu": {"used_percent": inspector.rates().cpu_percent, "processors": System::now().processors},
            "memory_bytes": System::now().resident,
            "log_level": introd_log::level(),
            "log_lines_dropped": introd_log::dropped(),
            "registry": self.registry(),
            "relay": self.relay_summary(),
            "problems": health::readiness_by(inspector, &reports),
            "notices": inspector.services.network.notices(),
            "you": self.you().await,
        }))
    }

    /// Who asks, and whether they may act.
    async fn you(&self) -> Value {
        let user = self.caller.credentials.as_ref().map(|credentials| credentials.user.as_str());
        let denied = self.rooms.admit(self.caller, Wish::Post).await.err();
        json!({"user": user, "may_act": denied.is_none(), "why_not": denied.map(|denied| denied.to_string())})
    }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

//! Letting the server run dry.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use introd_flash::uri::DEFAULT_PORT;
use serde_json::{Value, json};

use super::body::Body;
use super::problem::Problem;
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::serve::{DrainRefused, DrainRequest};

impl Ask<'_> {
    /// The drain that is under way; `null` if the server takes new clients.
    pub(super) fn drain(&self) -> Value {
        let drain = &self.inspector.services.drain;
        drain.order().map_or(Value::Null, |order| {
            json!({
                "since": Rfc3339(order.since).to_string(),
                "until": order.until.map(|until| Rfc3339(until).to_string()),
                "to": order.to.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "left": drain.left(),
            })
        })
    }

    /// Begins a drain. The answer comes when the workers turn new clients away, unless one of them does not answer for a second.
    pub(super) async fn begin_drain(&self, body: &Body) -> Answer {
        body.only(&["to", "deadline_seconds"])?;
        let to = body.list("to")?.iter().map(read_address).collect::<Result<Vec<_>, _>>()?;
        let deadline = body.number("deadline_seconds")?.map(read_deadline).transpose()?;
        let request = DrainRequest { to, deadline };
        request
            .check(&self.own_addresses())
            .map_err(|refused| Problem::field(field_of(refused), &refused.to_string()))?;
        self.log("drain", &format_args!("{request:?}"));
        self.inspector.services.drain.begin(Instant::now(), SystemTime::now(), &request);
        self.inspector.worker_reports().await;
        Ok(json!({ "drain": self.drain() }))
    }

    /// Ends a drain: the server takes new clients again.
    pub(super) async fn cancel_drain(&self, body: &Body) -> Answer {
        body.only(&[])?;
        self.log("cancel-drain", &"the server");
        self.inspector.services.drain.cancel();
        self.inspector.worker_reports().await;
        Ok(json!({ "drain": self.drain() }))
    }

    /// Where this server listens, and where others reach it.
    fn own_addresses(&self) -> Vec<SocketAddr> {
        let public = &self.inspector.services.network.near_addresses();
        self.inspector.listening().iter().chain(public.iter()).copied().collect()
    }
}

/// An address with a port, or an IP address alone.
fn read_address(value: &Value) -> Result<SocketAddr, Problem> {
    let wrong = || Problem::field("to", "give addresses with ports, as 192.0.2.1:1935 or [2001:db8::1]:1935");
    let text = value.as_str().ok_or_else(wrong)?;
    let alone = || text.parse().map(|ip| SocketAddr::new(ip, DEFAULT_PORT));
    text.parse().or_else(|_| alone()).map_err(|_| wrong())
}

fn read_deadline(seconds: f64) -> Result<Duration, Problem> {
    let wrong = || Problem::field("deadline_seconds", &DrainRefused::Deadline.to_string());
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn field_of(refused: DrainRefused) -> &'static str {
    match refused {
        DrainRefused::Deadline => "deadline_seconds",
        DrainRefused::TooManyAddresses | DrainRefused::NoAddress(_) | DrainRefused::OwnAddress(_) => "to",
    }
}

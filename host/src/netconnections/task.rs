//! The task of one connection, on one of the connections' threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use introd_client::{BindError, UdpSocket};
use introd_flash::amf::{AmfLimits, Value};
use introd_flash::command::{Command, Encoding};
use introd_flash::message::{Message, kind};
use introd_policy::net_connection::{ConnectionCommand, ConnectionEvent};
use rtmfp::flow::FlowEvent;
use rtmfp::{CloseReason, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::connection::SharedState;
use super::groups::JoinedGroups;
use super::link::{Link, LinkFailure};
use super::options::{Bind, Checked, Target};

/// How many calls wait for an answer at most. A call beyond it is answered with an error.
const MAX_CALLS: usize = 1024;
/// How often what is known of groups is looked at, and counters are taken.
const FACTS_INTERVAL: Duration = Duration::from_secs(1);
/// After so many events in a row the thread's other connections have a turn.
const TURN: usize = 64;
/// For so long a connection that its script has dropped goes on, so that its last messages arrive and neighbours can ask for its last postings.
const LINGER: Duration = Duration::from_millis(500);
/// For so long an address that another connection of the same instance has just had is waited for.
pub(super) const BIND_TIMEOUT: Duration = Duration::from_secs(5);
const BIND_INTERVAL: Duration = Duration::from_millis(50);

/// What a connection is made of.
pub(super) struct ConnectionTask {
    pub(super) shared: Arc<SharedState>,
    pub(super) commands: mpsc::Receiver<(ConnectionCommand, usize)>,
    pub(super) checked: Checked,
    pub(super) name: Option<String>,
    pub(super) arguments: Vec<Value>,
    /// `None`: an address is still in use, and is waited for.
    pub(super) sockets: Option<Vec<UdpSocket>>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Why the task ends.
enum End {
    /// The script has dropped the connection.
    Dropped,
    /// The server of this process stops.
    Stopped,
    /// The connection did not open, or is lost.
    Closed(Box<ConnectionEvent>),
}

impl ConnectionTask {
    /// Opens the connection, serves it until it ends, and closes it.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.clone();
        let link = tokio::select! {
            link = self.open() => link,
            () = shared.dropped.notified() => return,
            () = stopped(&mut stopping) => return shared.close(stopped_event()),
        };
        let mut link = match link {
            Ok(link) => link,
            Err(event) => return shared.close(event),
        };
        shared.tell(link.connected());
        let mut serving = Serving { shared: &shared, groups: JoinedGroups::default(), calls: Calls::default() };
        let end = serving.serve(&mut link, &mut self.commands, &mut stopping).await;
        shared.counters.add_groups(link.groups().take_counters());
        match end {
            End::Dropped => serving.finish(&mut link, &mut self.commands).await,
            End::Stopped => shared.close(stopped_event()),
            End::Closed(event) => shared.close(*event),
        }
        link.close().await;
    }

    async fn open(&mut self) -> Result<Link, ConnectionEvent> {
        let sockets = match self.sockets.take() {
            Some(sockets) => sockets,
            None => bind_when_free(&self.checked.bind).await.map_err(|error| failed(error.to_string()))?,
        };
        let link = match &self.checked.target {
            Target::Serverless => Link::serverless(self.name.as_deref(), sockets),
            Target::Server(uri) => Link::to_server(uri, std::mem::take(&mut self.arguments), sockets).await,
        };
        link.map_err(|failure| match failure {
            LinkFailure::System(error) => failed(format!("{error:#}")),
            LinkFailure::Client(failure) => match failure.status {
                Some(status) => ConnectionEvent::Closed {
                    code: status.code,
                    description: status.description,
                    info: status.info.map_or(Value::Null, Value::Object),
                },
                None => failed(failure.to_string()),
            },
        })
    }
}

/// The address is that of a connection of the same instance that is about to close: of the script before a reload, for instance.
async fn bind_when_free(bind: &Bind) -> Result<Vec<UdpSocket>, BindError> {
    let until = Instant::now() + BIND_TIMEOUT;
    loop {
        match bind.sockets() {
            Err(error) if is_in_use(&error) && Instant::now() < until => tokio::time::sleep(BIND_INTERVAL).await,
            result => return result,
        }
    }
}

pub(super) fn is_in_use(error: &BindError) -> bool {
    error.source.kind() == std::io::ErrorKind::AddrInUse
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // If the sender is gone, the service is as well.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}

fn failed(description: String) -> ConnectionEvent {
    closed("NetConnection.Connect.Failed", description)
}

fn closed(code: &str, description: String) -> ConnectionEvent {
    ConnectionEvent::Closed { code: code.to_owned(), description, info: Value::Null }
}

pub(super) fn panicked_event() -> ConnectionEvent {
    failed("an error of the server has ended the connection".to_owned())
}

fn stopped_event() -> ConnectionEvent {
    closed("NetConnection.Connect.AppShutdown", "this server stops".to_owned())
}

/// A connection that is open.
struct Serving<'a> {
    shared: &'a SharedState,
    groups: JoinedGroups,
    calls: Calls,
}

/// The calls that wait for an answer.
#[derive(Default)]
struct Calls {
    /// The scripts' tokens, by transaction number.
    waiting: HashMap<u64, u64>,
    /// `connect` has had 1.
    last: u64,
}

impl Serving<'_> {
    async fn serve(
        &mut self,
        link: &mut Link,
        commands: &mut mpsc::Receiver<(ConnectionCommand, usize)>,
        stopping: &mut watch::Receiver<bool>,
    ) -> End {
        let mut interval = tokio::time::interval(FACTS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = 0;
        loop {
            tokio::select! {
                () = self.shared.dropped.notified() => return End::Dropped,
                () = stopped(stopping) => return End::Stopped,
                command = commands.recv() => match command {
                    Some((command, bytes)) => {
                        self.perform(link, command);
                        self.shared.dequeued(bytes);
                    }
                    None => return End::Dropped,
                },
                _ = interval.tick() => {
                    self.groups.update_all_facts(self.shared, link);
                    self.shared.counters.add_groups(link.groups().take_counters());
                }
                event = link.next() => match event {
                    Ok(Some(event)) => {
                        if let Some(closed) = self.handle(link, &event) {
                            return End::Closed(Box::new(closed));
                        }
                    }
                    Ok(None) => (),
                    Err(error) => return End::Closed(Box::new(failed(format!("a socket has failed: {error}")))),
                },
            }
            self.groups.tell(self.shared, link);
            events += 1;
            if events >= TURN {
                events = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Carries out what the script has sent before it dropped the connection, and goes on for a moment: a posting goes out only when a
    /// neighbour has asked for it.
    async fn finish(&mut self, link: &mut Link, commands: &mut mpsc::Receiver<(ConnectionCommand, usize)>) {
        while let Ok((command, bytes)) = commands.try_recv() {
            self.perform(link, command);
            self.shared.dequeued(bytes);
        }
        let until = Instant::now() + LINGER;
        // An error of a socket ends the wait as well.
        while let Ok(Ok(_)) = tokio::time::timeout_at(until, link.next()).await {}
    }

    fn perform(&mut self, link: &mut Link, command: ConnectionCommand) {
        match command {
            ConnectionCommand::Call { method, arguments, token } => self.call(link, method, arguments, token),
            ConnectionCommand::Join { group, groupspec } => self.groups.join(self.shared, link, group, &groupspec),
            ConnectionCommand::Group { group, command } => self.groups.perform(self.shared, link, group, command),
        }
    }

    fn call(&mut self, link: &mut Link, method: String, arguments: Vec<Value>, token: Option<u64>) {
        // 0 means that no answer is wanted.
        let transaction = if token.is_some() { self.calls.last.max(1) + 1 } else { 0 };
        let command = Command::new(method, transaction as f64, arguments);
        let message = command.to_message(Encoding::Amf0, 0).or_else(|_| command.to_message(Encoding::Amf3, 0));
        let has_room = token.is_none() || self.calls.waiting.len() < MAX_CALLS;
        let is_sent = has_room && message.is_ok_and(|message| link.send_to_server(message));
        let Some(token) = token else { return };
        if is_sent {
            self.calls.last = transaction;
            self.calls.waiting.insert(transaction, token);
        } else {
            let info = introd_flash::command::info(
                introd_flash::command::Level::Error,
                "NetConnection.Call.Failed",
                "the call is not sent: there is no server, too much waits for it, or a value cannot be encoded",
            );
            self.shared.tell(ConnectionEvent::Answer { token, outcome: Err(vec![info]) });
        }
    }

    /// Takes an event of the endpoint. Returns the last event of the connection if it is over.
    fn handle(&mut self, link: &Link, event: &Event) -> Option<ConnectionEvent> {
        match event {
            Event::Closed { session, reason } if link.is_server(*session) => {
                let description = match reason {
                    CloseReason::Far | CloseReason::FarAbrupt => "the server has closed the connection".to_owned(),
                    reason => format!("the connection to the server is lost: {reason}"),
                };
                return Some(closed("NetConnection.Connect.Closed", description));
            }
            Event::Flow { session, event: FlowEvent::Message { data, .. } } if link.is_server(*session) => {
                self.server_sent(data);
            }
            _ => (),
        }
        None
    }

    fn server_sent(&mut self, message: &[u8]) {
        let Ok(message) = Message::read(message) else { return };
        if !matches!(message.kind, kind::COMMAND | kind::COMMAND_EXTENDED) {
            return;
        }
        let Ok(Command { name, transaction, arguments, .. }) = Command::read(&message, AmfLimits::default()) else {
            return;
        };
        let event = match name.as_str() {
            "_result" | "_error" => {
                let Some(token) = self.calls.waiting.remove(&(transaction as u64)) else { return };
                let outcome = if name == "_result" { Ok(arguments) } else { Err(arguments) };
                ConnectionEvent::Answer { token, outcome }
            }
            _ => ConnectionEvent::Call { method: name, arguments },
        };
        self.shared.tell(event);
    }
}

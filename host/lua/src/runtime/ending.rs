//! The end of an instance: its clients end first, a few in each turn, then the script is told by `onAppStop`.

use std::collections::VecDeque;
use std::rc::Rc;

use introd_flash::server::Rejection;
use introd_policy::message::{AppEvent, ClientCommand, ClientId};
use introd_policy::{RequestId, Verdict};

use super::Runtime;
use super::starting::Starting;
use crate::api::script::Purpose;
use crate::instance::item::InboxItem;
use crate::instance::open_requests::{Answer, OpenRequest};
use crate::instance::roster::{Phase, RosterMember};

/// Why requests are turned away, and clients disconnected.
const ENDED: &str = "the application has ended";
/// The code of the rejection.
const APP_SHUTDOWN: &str = "NetConnection.Connect.AppShutdown";

/// An instance that ends.
pub(crate) struct Ending {
    /// `info.reason` of `onAppStop`.
    reason: &'static str,
    /// Clients of whose end the script is yet to be told.
    clients: VecDeque<Rc<RosterMember>>,
}

impl Runtime {
    /// Begins the end of the instance: it takes no more clients, and answers no more requests. Each client ends in a later turn; without
    /// clients the instance ends at once.
    pub(super) fn stop(&mut self, reason: &'static str) {
        if self.is_over || self.ending.is_some() {
            return;
        }
        let roster = self.instance.roster.borrow();
        // After a takeover they are another process's clients, but for those that had gone before.
        let clients: Vec<_> = match reason {
            "takeover" => self.starting.departed().filter_map(|client| roster.get(client)).collect(),
            _ => roster.all(),
        };
        drop(roster);
        for (number, request) in self.instance.requests.take_all() {
            self.turn_away(number, request);
        }
        if clients.iter().any(|client| client.is_connecting.get()) {
            // The handlers of connects are ended all together, within the time of one handler.
            self.script.cancel(|purpose| matches!(purpose, Purpose::Connect(_)));
        }
        for client in &clients {
            let was_connecting = client.is_connecting.replace(false);
            if client.phase.get() == Phase::Waiting {
                client.phase.set(Phase::Refused);
                if was_connecting {
                    // The script is not told of what has happened to it.
                    client.deferred.take();
                    client.groups.take();
                }
            }
        }
        // What has waited for the end of `onAppStart` is answered, or is about clients that end now.
        self.starting = Starting::default();
        self.ending = Some(Ending { reason, clients: clients.into() });
        self.end_if_empty();
    }

    /// Whether the instance ends, or has ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// An event comes for an instance that ends. What begins something is turned away.
    pub(super) fn dispatch_at_end(&mut self, item: InboxItem) {
        match item {
            InboxItem::Connect { number, .. }
            | InboxItem::Lookup { number }
            | InboxItem::Call { number: Some(number), .. }
            | InboxItem::Publish { number, .. } => {
                if let Some(request) = self.instance.requests.take(number) {
                    self.turn_away(number, request);
                }
            }
            InboxItem::Event(AppEvent::Accepted { client }) if !self.is_over => {
                self.accepted(client);
                let known = self.instance.roster.borrow().get(client);
                match (known, &mut self.ending) {
                    // It is there once more if the script was to be told of its end already; that does no harm.
                    (Some(member), Some(ending)) => ending.clients.push_back(member),
                    _ => drop(self.instance.send(disconnect(client))),
                }
            }
            InboxItem::Call { .. } | InboxItem::Event(AppEvent::Reload | AppEvent::Stop) => (),
            item if !self.is_over => self.dispatch(item),
            _ => (),
        }
    }

    /// Tells the script of the end of the next client, and of the end of the instance after the last one.
    pub(super) fn end_next(&mut self) {
        let next = self.ending.as_mut().and_then(|ending| ending.clients.pop_front());
        if let Some(client) = next {
            self.end_client(&client);
        }
        self.end_if_empty();
    }

    /// Ends the instance if the script has been told of the end of each client.
    fn end_if_empty(&mut self) {
        let Some(Ending { reason, clients }) = &self.ending else { return };
        if self.is_over || !clients.is_empty() || !self.catching_up.is_empty() {
            return;
        }
        let reason = *reason;
        self.is_over = true;
        self.say_stop(reason);
        self.instance.connections.open.end();
        self.instance.queries.cancel_all();
    }

    /// Closes a client's connection, and tells the script of all that ends with it.
    fn end_client(&mut self, client: &Rc<RosterMember>) {
        match client.phase.get() {
            Phase::Gone => return,
            Phase::Accepted => drop(self.instance.send(disconnect(client.id))),
            // These have been turned away.
            Phase::Waiting | Phase::Refused => (),
        }
        let left = |(membership, groupspec_digest): &(u64, [u8; 32])| {
            let (membership, groupspec_digest) = (*membership, *groupspec_digest);
            InboxItem::Event(AppEvent::GroupLeave { client: client.id, membership, groupspec_digest })
        };
        let groups = client.groups.borrow().iter().map(left).collect();
        self.depart(client, groups);
    }

    fn turn_away(&self, number: u64, request: OpenRequest) {
        if let OpenRequest::Connect(_) = request {
            let rejection = Rejection::new(APP_SHUTDOWN, ENDED);
            self.instance.decide(RequestId::from_number(number), Verdict::Reject(Box::new(rejection)));
        } else {
            self.instance.answer(Answer::closed(number, request, ENDED));
        }
    }
}

fn disconnect(client: ClientId) -> ClientCommand {
    ClientCommand::Disconnect { client, reason: Some(ENDED.into()) }
}

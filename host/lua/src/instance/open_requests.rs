//! What waits for the script of an instance: connects, lookups, calls of clients, and what they want to publish.
//!
//! Each is an open request from the moment it arrives, before the script is told of it. It is taken out exactly once: by the script's
//! verdict or result, by its failure, by the watchdog when the script hangs, or by the worker when its deadline has passed. The table is
//! therefore shared between the workers, the script's thread and the watchdog. Deadlines are the worker's
//! ([`introd_policy::decision::PendingRequests`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::Rejection;
use introd_policy::message::{AppEvent, ClientCommand, ClientId, PeerLookup};
use introd_policy::{OpenCall, RequestId, Verdict};
use rtmfp::PeerId;

use super::item::InboxItem;
use super::request_table::{Open, Table};

/// How many requests may be open at a time.
pub(crate) const MAX_OPEN: usize = 65_536;

/// Something that waits for the script.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(crate) enum OpenRequest {
    /// May this client connect?
    Connect(ClientId),
    /// Where is this peer?
    Lookup(PeerLookup),
    /// What does the method return?
    Call { client: ClientId, transaction: f64 },
    /// May this client publish a stream?
    Publish { client: ClientId, publication: u64 },
}

/// The answer to a request.
pub(crate) enum Answer {
    Verdict(RequestId, Verdict),
    Result(ClientCommand),
}

impl Answer {
    /// The answer to a request while the application has no script that runs: that opens no door, whatever the settings say for
    /// failures.
    pub(crate) fn closed(number: u64, request: OpenRequest, why: &str) -> Self {
        let id = RequestId::from_number(number);
        match request {
            OpenRequest::Connect(_) => Self::Verdict(id, rejection(why)),
            OpenRequest::Lookup(_) => Self::Verdict(id, Verdict::Deny(None)),
            OpenRequest::Call { client, transaction } => Self::call_failed(client, transaction, why),
            OpenRequest::Publish { client, publication } => Self::not_published(client, publication),
        }
    }

    /// As [`Self::closed`], for an event.
    pub(crate) fn closed_event(event: AppEvent, why: &str) -> Option<Self> {
        match event {
            AppEvent::Connect { request, .. } => Some(Self::Verdict(request, rejection(why))),
            AppEvent::PeerLookup(PeerLookup { request, .. }) => Some(Self::Verdict(request, Verdict::Deny(None))),
            event => Self::not_asked(event, why),
        }
    }

    /// The answer to a request that the script has failed at.
    pub(crate) fn failed(number: u64, request: OpenRequest, why: &str) -> Self {
        match request {
            OpenRequest::Connect(_) | OpenRequest::Lookup(_) => {
                Self::Verdict(RequestId::from_number(number), Verdict::Failed(why.to_owned()))
            }
            OpenRequest::Call { client, transaction } => Self::call_failed(client, transaction, why),
            OpenRequest::Publish { client, publication } => Self::not_published(client, publication),
        }
    }

    /// The answer to an event that is not put to the script. `None` if nothing waits for one.
    pub(crate) fn not_asked(event: AppEvent, why: &str) -> Option<Self> {
        match event {
            AppEvent::Connect { request, .. } | AppEvent::PeerLookup(PeerLookup { request, .. }) => {
                Some(Self::Verdict(request, Verdict::Failed(why.to_owned())))
            }
            AppEvent::Call { client, call } if call.wants_answer() => {
                Some(Self::call_failed(client, call.transaction, why))
            }
            AppEvent::Publish { client, publication } => Some(Self::not_published(client, publication.number)),
            _ => None,
        }
    }

    fn not_published(client: ClientId, publication: u64) -> Self {
        Self::Result(ClientCommand::Publish { client, publication, is_allowed: false })
    }

    fn call_failed(client: ClientId, transaction: f64, why: &str) -> Self {
        Self::Result(ClientCommand::Answer { client, transaction, outcome: Err(call_failed(why)) })
    }
}

fn rejection(why: &str) -> Verdict {
    Verdict::Reject(Box::new(Rejection::rejected(why)))
}

/// The information object of a call that failed.
pub(crate) fn call_failed(description: &str) -> Value {
    info(Level::Error, "NetConnection.Call.Failed", description)
}

/// The open requests of an instance, by number: that of a connect or a lookup is its [`RequestId`].
#[derive(Default)]
pub(crate) struct OpenRequests {
    table: Mutex<Table<OpenRequest>>,
}

/// Sets the numbers of calls and publications apart from those of connects and lookups, whose highest byte is a worker's number.
const CALLS: u64 = 0xff << 56;

impl OpenRequests {
    fn table(&self) -> MutexGuard<'_, Table<OpenRequest>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event in: what waits for an answer becomes an open request.
    ///
    /// # Errors
    /// Gives the event back when too many are open.
    pub(crate) fn admit(&self, event: AppEvent) -> Result<InboxItem, Box<AppEvent>> {
        let is_request = match &event {
            AppEvent::Connect { .. } | AppEvent::PeerLookup(_) | AppEvent::Publish { .. } => true,
            AppEvent::Call { call, .. } => call.wants_answer(),
            _ => false,
        };
        if !is_request {
            return Ok(match event {
                AppEvent::Call { client, call } => InboxItem::Call { number: None, client, call },
                event => InboxItem::Event(event),
            });
        }
        let mut table = self.table();
        if table.len() >= MAX_OPEN {
            return Err(Box::new(event));
        }
        table.arrived += 1;
        let order = table.arrived;
        let (number, request, item) = match event {
            AppEvent::Connect { request, client, info } => {
                let number = request.get();
                (number, OpenRequest::Connect(client), InboxItem::Connect { number, client, info })
            }
            AppEvent::PeerLookup(lookup) => {
                let number = lookup.request.get();
                (number, OpenRequest::Lookup(lookup), InboxItem::Lookup { number })
            }
            AppEvent::Call { client, call } => {
                let number = CALLS | order;
                let request = OpenRequest::Call { client, transaction: call.transaction };
                (number, request, InboxItem::Call { number: Some(number), client, call })
            }
            AppEvent::Publish { client, publication } => {
                let number = CALLS | order;
                let request = OpenRequest::Publish { client, publication: publication.number };
                (number, request, InboxItem::Publish { number, client, publication })
            }
            event => return Ok(InboxItem::Event(event)),
        };
        table.insert(Open { number, order, request, is_begun: false });
        Ok(item)
    }

    /// The script is told of a request. `None` if it has been answered, by its deadline or for want of a script that runs.
    pub(crate) fn begin<T>(&self, number: u64, about: impl FnOnce(&OpenRequest) -> T) -> Option<T> {
        let mut table = self.table();
        let open = table.get_mut(number)?;
        open.is_begun = true;
        Some(about(&open.request))
    }

    /// Whether a request has yet to be answered.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.table().contains(number)
    }

    /// The peer that an open lookup is for.
    pub(crate) fn target(&self, number: u64) -> Option<PeerId> {
        match &self.table().get_mut(number)?.request {
            OpenRequest::Lookup(lookup) => lookup.target,
            _ => None,
        }
    }

    /// Takes a request out, to answer it. `None` if that has happened.
    pub(crate) fn take(&self, number: u64) -> Option<OpenRequest> {
        self.table().remove(number).map(|open| open.request)
    }

    /// The same, where the request itself is not needed. False if it has been taken out before.
    pub(crate) fn close(&self, number: u64) -> bool {
        self.table().remove(number).is_some()
    }

    /// The calls and publications that are open, each with its client.
    pub(crate) fn calls(&self) -> Vec<(ClientId, OpenCall)> {
        let table = self.table();
        let open = table.all().filter_map(|open| match open.request {
            OpenRequest::Call { client, transaction } => Some((client, OpenCall::Call(transaction))),
            OpenRequest::Publish { client, publication } => Some((client, OpenCall::Publication(publication))),
            OpenRequest::Connect(_) | OpenRequest::Lookup(_) => None,
        });
        open.collect()
    }

    /// Takes everything out, the oldest first.
    pub(crate) fn take_all(&self) -> Vec<(u64, OpenRequest)> {
        let mut all = self.table().take_all();
        all.sort_by_key(|open| open.order);
        all.into_iter().map(|open| (open.number, open.request)).collect()
    }

    /// The numbers of the requests that the script has been told of, the oldest first.
    pub(crate) fn begun(&self) -> Vec<u64> {
        let table = self.table();
        let begun = table.all().filter(|open| open.is_begun);
        let mut all: Vec<_> = begun.map(|open| (open.order, open.number)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, number)| number).collect()
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.table().len()
    }
}

#[cfg(test)]
mod tests {
    use introd_flash::server::{Call, Publication};
    use rtmfp::{InterfaceId, SessionId};

    use super::*;

    fn lookup(number: u64) -> AppEvent {
        AppEvent::PeerLookup(PeerLookup {
            request: RequestId::from_number(number),
            target: Some(PeerId([number as u8; 32])),
            initiator: "192.0.2.1:1".parse().unwrap(),
            tag: Default::default(),
            attempt: 1,
            interface: InterfaceId(0),
            asker: None,
            proposal: None,
        })
    }

    fn call(transaction: f64) -> AppEvent {
        let call = Call { name: "x".to_owned(), transaction, object: Value::Null, arguments: Vec::new() };
        AppEvent::Call { client: ClientId { worker: 0, session: SessionId::from_wire(1) }, call }
    }

    #[test]
    fn each_request_is_taken_once_and_by_its_own_number() {
        let requests = OpenRequests::default();
        assert!(matches!(requests.admit(lookup(7)), Ok(InboxItem::Lookup { number: 7 })));
        let Ok(InboxItem::Call { number: Some(number), .. }) = requests.admit(call(2.0)) else { panic!() };
        assert!(matches!(requests.admit(call(0.0)), Ok(InboxItem::Call { number: None, .. })), "no answer is wanted");
        assert_eq!((requests.len(), requests.target(7)), (2, Some(PeerId([7; 32]))));
        assert!(matches!(requests.take(7), Some(OpenRequest::Lookup(_))) && requests.take(7).is_none());
        assert!(matches!(requests.take(number), Some(OpenRequest::Call { transaction, .. }) if transaction == 2.0));
        assert_eq!(requests.len(), 0);
    }

    #[test]
    fn a_new_script_is_told_of_those_that_the_old_one_knew_in_their_order() {
        let requests = OpenRequests::default();
        for number in [9, 3, 5] {
            requests.admit(lookup(number)).unwrap();
        }
        assert!(requests.begun().is_empty());
        assert!(requests.begin(3, |_| ()).is_some() && requests.begin(9, |_| ()).is_some());
        assert_eq!(requests.begun(), [9, 3]);
        requests.take(9);
        assert!(requests.begin(9, |_| ()).is_none(), "its deadline has passed");
        let left: Vec<u64> = requests.take_all().into_iter().map(|(number, _)| number).collect();
        assert_eq!(left, [3, 5]);
    }

    #[test]
    fn the_numbers_of_calls_meet_those_of_no_lookup() {
        let requests = OpenRequests::default();
        for number in 1..=4 {
            requests.admit(lookup(number)).unwrap();
            requests.admit(call(1.0)).unwrap();
        }
        assert_eq!(requests.len(), 8);
        assert!((1..=4).all(|number| matches!(requests.take(number), Some(OpenRequest::Lookup(_)))));
    }

    #[test]
    fn a_closed_application_opens_no_door_and_a_failure_leaves_it_to_the_settings() {
        let client = ClientId { worker: 3, session: SessionId::from_wire(1) };
        let open = || {
            let AppEvent::PeerLookup(lookup) = lookup(8) else { panic!() };
            [
                (7, OpenRequest::Connect(client)),
                (8, OpenRequest::Lookup(lookup)),
                (9, OpenRequest::Call { client, transaction: 5.0 }),
                (10, OpenRequest::Publish { client, publication: 6 }),
            ]
        };
        let (_, info) = crate::tests::a_client();
        let events = || {
            let connect = AppEvent::Connect {
                request: RequestId::from_number(7),
                client,
                info: std::sync::Arc::new(info.clone()),
            };
            let publication = Publication { number: 6, name: "cam".to_owned(), kind: "live".to_owned() };
            let publish = AppEvent::Publish { client, publication };
            [connect, lookup(8), call(5.0), call(0.0), publish, AppEvent::Disconnect { client }]
        };
        let name = |answer: &Answer| match answer {
            Answer::Verdict(request, Verdict::Reject(rejection)) => {
                format!("reject {} {}", request.get(), rejection.description)
            }
            Answer::Verdict(request, Verdict::Deny(None)) => format!("deny {}", request.get()),
            Answer::Verdict(request, Verdict::Failed(why)) => format!("fail {} {why}", request.get()),
            Answer::Result(ClientCommand::Answer { transaction, outcome: Err(info), .. }) => {
                format!("error {transaction} {}", info.get("description").and_then(Value::as_str).unwrap())
            }
            Answer::Result(ClientCommand::Publish { publication, is_allowed: false, .. }) => {
                format!("refuse {publication}")
            }
            Answer::Verdict(_, other) => panic!("{other:?}"),
            Answer::Result(other) => panic!("{other:?}"),
        };
        let named = |answers: Vec<Answer>| answers.iter().map(name).collect::<Vec<_>>();
        let said = "[ Server.Reject ] : why";
        let closed = [format!("reject 7 {said}"), "deny 8".to_owned(), "error 5 why".to_owned(), "refuse 6".to_owned()];
        assert_eq!(named(open().map(|(number, request)| Answer::closed(number, request, "why")).into()), closed);
        assert_eq!(
            named(events().into_iter().filter_map(|event| Answer::closed_event(event, "why")).collect()),
            closed
        );
        let failed = ["fail 7 why", "fail 8 why", "error 5 why", "refuse 6"];
        assert_eq!(named(open().map(|(number, request)| Answer::failed(number, request, "why")).into()), failed);
        assert_eq!(named(events().into_iter().filter_map(|event| Answer::not_asked(event, "why")).collect()), failed);
    }

    #[test]
    fn there_is_a_bound() {
        let requests = OpenRequests::default();
        assert!((0..MAX_OPEN as u64).all(|number| requests.admit(lookup(number)).is_ok()));
        assert!(requests.admit(lookup(MAX_OPEN as u64)).is_err());
        requests.take(5);
        assert!(requests.admit(lookup(MAX_OPEN as u64)).is_ok());
    }
}

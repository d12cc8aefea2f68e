//! What tests of the administration share: a server whose workers are replaced by a task that answers for them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use introd_config::{Config, Password};
use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::{PeerId, SessionId};
use tokio::sync::mpsc;

use super::gate::Gate;
use super::inspector::Inspector;
use super::rooms::Rooms;
use super::routes::router;
use super::streams::Streams;
use crate::apps::Seat;
use crate::serve::testing::{request, services};
use crate::serve::{ClientLine, ClientReport, Inquiry, KeyingPool, Mail, MailSender, Services, WorkerReport, mailbox};

/// The name and the password of the administrator, as they stand in a query.
pub(super) const LOGIN: &str = "auser=admin&apswd=s3cret";

/// A server without workers of its own.
pub(super) struct Stage {
    pub(super) services: Arc<Services>,
    pub(super) rooms: Arc<Rooms>,
    pub(super) mailboxes: Arc<[MailSender]>,
    /// What the two workers are sent, unless they answer.
    pub(super) mail: Vec<mpsc::Receiver<Mail>>,
    /// The clients' places in their instances.
    seats: Vec<(Seat, Member)>,
}

/// A client, as the worker reports it.
#[derive(Clone, Copy)]
struct Member {
    session: SessionId,
    peer: PeerId,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Stage {
    /// A server with two workers that read no mail.
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::built_in();
        change(&mut config);
        let services = Arc::new(services(&config, None, None));
        let (mailboxes, mail): (Vec<_>, Vec<_>) = (0..2).map(|_| mailbox()).unzip();
        let mailboxes: Arc<[MailSender]> = mailboxes.into();
        let keying = Arc::new(KeyingPool::without_threads(100));
        let listening = vec![([127, 0, 0, 1], 1935).into()];
        let inspector = Inspector::new(
            Arc::clone(&services),
            Arc::default(),
            Arc::default(),
            Arc::clone(&mailboxes),
            keying,
            listening,
        );
        let rooms = Arc::new(Rooms { inspector, gate: Gate::new(None), streams: Streams::default() });
        Self { services, rooms, mailboxes, mail, seats: Vec::new() }
    }

    /// The same, with an administrator, whose login is [`LOGIN`].
    pub(super) fn with_login(change: impl FnOnce(&mut Config)) -> Self {
        Self::new(|config| {
            config.users.users[0].password = Some(Password::Plain("s3cret".to_owned()));
            change(config);
        })
    }

    /// Adds a client of a worker. Its session and its peer id have that number.
    pub(super) fn client(&mut self, uri: &str, worker: u8, number: u8) -> SessionId {
        let seat = self.services.applications.admit(0, &request(uri), [192, 0, 2, 1].into()).unwrap();
        let session = SessionId::from_wire(u32::from(worker) << 26 | u32::from(number));
        let peer = PeerId([number; 32]);
        let address = ([192, 0, 2, number], 5000).into();
        self.services.directory.connect(peer, session, seat.instance().id().0, address, false);
        seat.instance().traffic().accepted();
        self.seats.push((seat, Member { session, peer }));
        session
    }

    /// Has the workers answer what they are asked. What else they are sent comes out of the receiver.
    pub(super) fn answer(&mut self) -> mpsc::UnboundedReceiver<Mail> {
        let (other, others) = mpsc::unbounded_channel();
        let known: Vec<_> = self.seats.iter().map(|(seat, member)| (Arc::clone(seat.instance()), *member)).collect();
        for mut mail in self.mail.drain(..) {
            let (other, known) = (other.clone(), known.clone());
            tokio::spawn(async move {
                while let Some(mail) = mail.recv().await {
                    match mail {
                        Mail::Inquiry(Inquiry::Worker(reply)) => drop(reply.send(WorkerReport {
                            too_long: 0,
                            endpoint: rtmfp::Counters { datagrams: 21, ..rtmfp::Counters::default() },
                            sessions: 3,
                            clients: 2,
                            pending: 1,
                            buffered: 100,
                        })),
                        Mail::Inquiry(Inquiry::Clients(sessions, reply)) => {
                            // It knows every second one.
                            let line = ClientLine { connected_for: Duration::from_secs(60), is_proven: true };
                            let line = |session: &SessionId| session.get().is_multiple_of(2).then_some(line);
                            drop(reply.send(sessions.iter().map(line).collect()));
                        }
                        Mail::Inquiry(Inquiry::Client(session, reply)) => {
                            let found = known.iter().find(|(_, member)| member.session == session);
                            drop(reply.send(found.map(|(instance, member)| report(instance, *member))));
                        }
                        mail => drop(other.send(mail)),
                    }
                }
            });
        }
        others
    }

    /// Answers a request from this machine.
    pub(super) async fn get(&self, uri: &str) -> Answer {
        self.send("127.0.0.1", Request::get(uri)).await
    }

    /// Answers a POST of JSON from this machine by an administrator with that login in the query.
    pub(super) async fn post(&self, path: &str, login: &str, body: &str) -> Answer {
        let request = Request::post(format!("{path}?{login}"));
        let request = request.header("content-type", "application/json").header("content-length", body.len());
        self.send_with("127.0.0.1", request, body.to_owned()).await
    }

    /// Answers a request.
    pub(super) async fn send(&self, from: &str, request: axum::http::request::Builder) -> Answer {
        self.send_with(from, request, Body::empty()).await
    }

    /// Answers a request with a body.
    pub(super) async fn send_with(
        &self,
        from: &str,
        request: axum::http::request::Builder,
        body: impl Into<Body>,
    ) -> Answer {
        let (parts, body) = self.respond(from, request, body.into()).await.into_parts();
        let bytes = collect(body).await;
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes).unwrap() }
    }

    /// The answer to a request, before its body is read.
    pub(super) async fn respond(&self, from: &str, request: axum::http::request::Builder, body: Body) -> Response {
        let mut request = request.body(body).unwrap();
        let host = "127.0.0.1:1111".parse().unwrap();
        request.headers_mut().entry("host").or_insert(host);
        let from: IpAddr = from.parse().unwrap();
        let mut router = router(Arc::clone(&self.rooms), from);
        tower_service::Service::call(&mut router, request).await.unwrap()
    }
}

async fn collect(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap_or_else(|_| Bytes::new()));
    }
    bytes
}

fn report(instance: &Arc<crate::apps::AppInstance>, member: Member) -> ClientReport {
    ClientReport {
        session: member.session,
        peer: member.peer,
        is_proven: true,
        instance: Arc::clone(instance),
        address: ([192, 0, 2, 1], 5000).into(),
        connected_for: std::time::Duration::from_secs(60),
        silent_for: std::time::Duration::from_secs(2),
        stats: introd_policy::message::ClientStats {
            bytes_in: 1,
            bytes_out: 2,
            msg_in: 3,
            msg_out: 4,
            msg_dropped: 5,
            ping_rtt: 6,
        },
        memberships: vec![(GroupDigest([8; 32]), GroupKey([9; 32]))],
    }
}

impl Answer {
    /// The answer of the JSON API.
    pub(super) fn json(&self) -> serde_json::Value {
        assert_eq!(self.headers["content-type"], "application/json", "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The texts of all elements of that name, in their order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.text.split(open.as_str()).skip(1);
        parts.map(|part| part.split_once(close.as_str()).unwrap().0).collect()
    }

    /// The text of the only element of that name.
    pub(super) fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.text);
        all[0]
    }

    /// The names of all elements in `<data>`, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        let tags = self.one("data").split('<').skip(1).filter(|tag| !tag.starts_with('/'));
        tags.map(|tag| tag.split('>').next().unwrap()).collect()
    }
}

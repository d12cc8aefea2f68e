//! One request of a script: the exchanges that it takes until there is an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hyper::Response;
use hyper::body::Incoming;
use introd_config::HttpSettings;
use introd_policy::http::{HttpFailure, HttpResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connection::{Connection, Unanswered};
use super::destination::{Destination, Host};
use super::lent::Lent;
use super::message::{Message, broken, headers_of, location, read};
use super::places::{Place, Turn};
use super::pool::{Pool, PoolKey};
use super::resolver::Resolve;
use super::trust::Trust;

/// What all requests share.
pub(super) struct Common {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) pool: Pool,
    pub(super) lent: Lent,
    pub(super) trust: Arc<Trust>,
    /// The requests that may be under way at a time.
    pub(super) permits: Arc<Semaphore>,
}

/// What a request is waiting for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Phase {
    Queued,
    Resolving,
    Connecting,
    Asking,
    Reading,
}

/// The phase of a request, for the message that says what took too long.
struct Progress(AtomicU8);

impl Progress {
    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn text(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            0 => "other requests were before it",
            1 => "the host's name was being looked up",
            2 => "the connection was being opened",
            3 => "the host had not begun to answer",
            _ => "the host had not sent the whole answer",
        }
    }
}

/// The places of a request: among those of its instance, and among all. A lookup that cannot be ended keeps them until it ends by itself, so
/// that there are never more lookups than places.
type Seats = Arc<(Arc<Place>, OwnedSemaphorePermit)>;

/// A request that was checked as far as that can be done at once.
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) to: Destination,
    pub(super) max_redirects: usize,
    pub(super) turn: Turn,
    pub(super) deadline: Instant,
}

/// Waits for the turn of a request, sends it, and reads the answer.
pub(super) async fn answer(
    common: &Common,
    settings: &HttpSettings,
    request: Queued,
) -> Result<HttpResponse, HttpFailure> {
    let progress = Progress(AtomicU8::new(Phase::Queued as u8));
    let Queued { message, to, max_redirects, turn, deadline } = request;
    let first = to.to_string();
    let work = async {
        let stopped = || HttpFailure::Failed("the server stops".to_owned());
        let place = Arc::new(turn.place().await.ok_or_else(stopped)?);
        let permit = Arc::clone(&common.permits).acquire_owned().await.map_err(|_| stopped())?;
        let exchange =
            Exchange { common, settings, message, progress: &progress, seats: Arc::new((Arc::clone(&place), permit)) };
        let mut response = exchange.follow(to, max_redirects).await?;
        response.place = Some(common.lent.lend(place, Instant::now()));
        Ok(response)
    };
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(HttpFailure::TimedOut(format!("there was no answer of {first} in time: {}", progress.text())))
    })
}

struct Exchange<'a> {
    common: &'a Common,
    settings: &'a HttpSettings,
    message: Message,
    progress: &'a Progress,
    seats: Seats,
}

impl Exchange<'_> {
    /// Asks one host after the other, as they redirect.
    async fn follow(mut self, mut to: Destination, max_redirects: usize) -> Result<HttpResponse, HttpFailure> {
        let mut redirects = 0;
        loop {
            let (response, connection) = self.ask(&to).await?;
            let (head, body) = response.into_parts();
            if let Some(location) = location(head.status, &head.headers).filter(|_| max_redirects > 0) {
                if redirects >= max_redirects {
                    return Err(HttpFailure::Failed(format!("{to} redirects once more, after {redirects} redirects")));
                }
                redirects += 1;
                let next = self.redirected(&to, location)?;
                self.message.redirect(head.status, next.is_same_origin(&to));
                to = next;
                continue;
            }
            self.progress.set(Phase::Reading);
            let body = read(body, &to, self.settings.max_response_bytes).await?;
            self.keep(&to, connection).await;
            let (status, headers) = (head.status.as_u16(), headers_of(&head.headers));
            return Ok(HttpResponse { status, headers, body, place: None });
        }
    }

    /// Where a redirect leads, if that is permitted.
    fn redirected(&self, from: &Destination, location: &[u8]) -> Result<Destination, HttpFailure> {
        let not_allowed = |why: &str| HttpFailure::NotAllowed(format!("the redirect of {from} is not followed: {why}"));
        let next = from.redirected(location).map_err(|why| not_allowed(&why.to_string()))?;
        if from.is_tls && !next.is_tls {
            return Err(not_allowed("it leads from https to http"));
        }
        next.check(&self.settings.allow).map_err(|why| not_allowed(&why.to_string()))?;
        Ok(next)
    }

    /// Sends the request to one host, and waits for the head of its answer.
    async fn ask(&self, to: &Destination) -> Result<(Response<Incoming>, Connection), HttpFailure> {
        let mut request = self.message.to(to)?;
        let permits = |connection: &Connection| to.permits(&self.settings.allow, connection.address.ip());
        if let Some(mut connection) = self.common.pool.take(&self.key(to), permits) {
            self.progress.set(Phase::Asking);
            match connection.send(request).await {
                Ok(response) => return Ok((response, connection)),
                // The host may close a connection at the very moment at which the request is sent.
                Err(Unanswered { unsent: Some(unsent), .. }) => request = unsent,
                Err(Unanswered { error, .. }) if self.message.is_idempotent() && !error.is_parse() => {
                    request = self.message.to(to)?;
                }
                Err(Unanswered { error, .. }) => return Err(broken(to, &error)),
            }
        }
        let mut connection = self.connect(to).await?;
        self.progress.set(Phase::Asking);
        match connection.send(request).await {
            Ok(response) => Ok((response, connection)),
            Err(Unanswered { error, .. }) => Err(broken(to, &error)),
        }
    }

    async fn connect(&self, to: &Destination) -> Result<Connection, HttpFailure> {
        let addresses = match &to.host {
            Host::Address(address) => vec![SocketAddr::new(*address, to.port)],
            Host::Name(name) => to.permitted(&self.settings.allow, self.resolve(to, name).await?)?,
        };
        self.progress.set(Phase::Connecting);
        let tls = if to.is_tls {
            let (trust, ca_file) = (Arc::clone(&self.common.trust), self.settings.ca_file.clone());
            let loaded = tokio::task::spawn_blocking(move || trust.config(ca_file.as_deref())).await;
            Some(loaded.unwrap_or_else(|_| Err(HttpFailure::Failed("the certificates cannot be loaded".to_owned())))?)
        } else {
            None
        };
        Connection::open(to, &addresses, tls, self.settings.max_header_bytes).await
    }

    async fn resolve(&self, to: &Destination, name: &str) -> Result<Vec<SocketAddr>, HttpFailure> {
        self.progress.set(Phase::Resolving);
        let (resolving, seats) = (self.common.resolver.resolve(name, to.port), Arc::clone(&self.seats));
        // It goes on if the request is given up: the system's function cannot be ended.
        let found = tokio::spawn(async move {
            let found = resolving.await;
            drop(seats);
            found
        });
        let unknown = |why: String| HttpFailure::Failed(format!("{to} has no address: {why}"));
        match found.await {
            Ok(Ok(found)) if found.is_empty() => Err(unknown("the name is not known".to_owned())),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(error) => Err(unknown(error.to_string())),
        }
    }

    /// The connection may serve the next request.
    async fn keep(&self, to: &Destination, mut connection: Connection) {
        if connection.is_ready().await {
            self.common.pool.put(self.key(to), connection);
        }
    }

    fn key(&self, to: &Destination) -> PoolKey {
        PoolKey::new(to, self.settings.ca_file.clone(), self.settings.max_header_bytes)
    }
}

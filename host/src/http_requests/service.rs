//! Takes requests, within limits, for a thread that starts with the first one.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use introd_config::Application;
use introd_liveness::{AtStandstill, BEAT};
use introd_policy::InstanceName;
use introd_policy::http::{HttpFailure, HttpFuture, HttpRequest, HttpRequests, HttpResponse};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::counters::{HttpCounters, HttpOutcome};
use super::destination::Destination;
use super::exchange::{Common, Queued, answer};
use super::lent::Lent;
use super::message::Message;
use super::places::Places;
use super::pool::Pool;
use super::resolver::{Resolve, SystemResolver};
use super::trust::Trust;

/// How long a thread of lookups lives on without work.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Sends the requests of all scripts.
pub struct HttpService {
    common: Arc<Common>,
    places: Places,
    counters: Arc<HttpCounters>,
    max_requests: usize,
    thread: Mutex<State>,
}

enum State {
    /// There was no request yet.
    Idle,
    Running(Running),
    Stopped,
}

struct Running {
    runtime: Handle,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl HttpService {
    /// A service that has so many requests under way at a time, and looks names up by the system.
    pub fn new(max_requests: usize) -> Self {
        Self::with_resolver(max_requests, Arc::new(SystemResolver))
    }

    /// The same with another source of addresses.
    pub fn with_resolver(max_requests: usize, resolver: Arc<dyn Resolve>) -> Self {
        let permits = Arc::new(Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS)));
        let common = Common {
            resolver,
            pool: Pool::default(),
            lent: Lent::default(),
            trust: Arc::new(Trust::default()),
            permits,
        };
        Self {
            common: Arc::new(common),
            places: Places::default(),
            counters: Arc::default(),
            max_requests,
            thread: Mutex::new(State::Idle),
        }
    }

    /// What came of the requests.
    pub fn counters(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.counters)
    }

    /// How many requests are under way, and how many wait for their turn.
    pub fn under_way(&self) -> (usize, usize) {
        self.places.counts()
    }

    /// How many connections wait for the next request.
    #[cfg(test)]
    pub(super) fn idle_connections(&self) -> usize {
        self.common.pool.len()
    }

    /// Ends all requests. No request is sent afterwards.
    pub fn stop(&self) {
        let state = std::mem::replace(&mut *self.thread.lock(), State::Stopped);
        if let State::Running(running) = state {
            let _ = running.stop.send(true);
            let _ = running.thread.join();
        }
        self.common.pool.clear();
    }

    /// Where tasks run.
    fn runtime(&self) -> Result<Handle, HttpFailure> {
        let mut state = self.thread.lock();
        match &*state {
            State::Running(running) => Ok(running.runtime.clone()),
            State::Stopped => Err(HttpFailure::Failed("the server stops".to_owned())),
            State::Idle => {
                let running = self.start().map_err(|error| {
                    HttpFailure::Failed(format!("the thread of HTTP requests cannot be started: {error}"))
                })?;
                let runtime = running.runtime.clone();
                *state = State::Running(running);
                Ok(runtime)
            }
        }
    }

    fn start(&self) -> std::io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Lookups of names block. There are never more than requests.
            .max_blocking_threads(self.max_requests + 1)
            .thread_name("http-lookup")
            .thread_keep_alive(KEEP_ALIVE)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopping) = watch::channel(false);
        let common = Arc::clone(&self.common);
        let work = move |pulse: &introd_liveness::Pulse| {
            runtime.block_on(async {
                let mut interval = tokio::time::interval(BEAT / 4);
                loop {
                    tokio::select! {
                        _ = interval.tick() => {
                            pulse.beat();
                            common.pool.tidy();
                            common.lent.take_back(Instant::now());
                        }
                        // If the sender is gone, the service is as well.
                        _ = stopping.wait_for(|stopped| *stopped) => break,
                    }
                }
            });
            // A lookup of a name that hangs is left behind.
            runtime.shutdown_background();
            Ok(())
        };
        // Clients of the server do not depend on it.
        let thread = introd_liveness::spawn_once("http", None, AtStandstill::Say, work)?;
        Ok(Running { runtime: handle, stop, thread })
    }

    /// Checks what can be checked at once, and queues the request.
    fn queue(
        &self,
        owner: &InstanceName,
        settings: &Application,
        request: HttpRequest,
        now: Instant,
    ) -> Result<(Queued, Handle), HttpFailure> {
        let limits = &settings.script.http;
        let to = Destination::parse(&request.url)?;
        to.check(&limits.allow)?;
        let max_redirects = request.redirects.unwrap_or(usize::MAX).min(limits.max_redirects);
        let deadline = now + request.timeout.unwrap_or(limits.timeout).min(limits.timeout);
        let message = Message::new(request, limits)?;
        let runtime = self.runtime()?;
        let turn = self.places.take(owner, message.size(), limits.max_requests, limits.max_queued_requests);
        let turn = turn.ok_or_else(|| {
            HttpFailure::Busy(
                "as many HTTP requests of this instance wait as may: see ScriptEngine/HTTP/MaxRequests and MaxQueuedRequests in Application.xml"
                    .to_owned(),
            )
        })?;
        Ok((Queued { message, to, max_redirects, turn, deadline }, runtime))
    }
}

impl Drop for HttpService {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Counts and logs what came of a request, also if it is canceled.
struct Note {
    owner: InstanceName,
    method: String,
    to: String,
    began: Instant,
    counters: Arc<HttpCounters>,
    outcome: HttpOutcome,
}

impl Note {
    fn take(mut self, result: &Result<HttpResponse, HttpFailure>) {
        self.outcome = HttpOutcome::of(result);
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let Self { owner, method, to, began, outcome, .. } = self;
        self.counters.add(*outcome);
        let (outcome, took) = (outcome.name(), began.elapsed());
        tracing::debug!(app = %owner, method, to, outcome, ?took, "a script's HTTP request");
    }
}

impl HttpRequests for HttpService {
    fn send(&self, owner: &InstanceName, settings: &Arc<Application>, request: HttpRequest) -> HttpFuture {
        let (began, method) = (Instant::now(), request.method.clone());
        let (queued, runtime) = match self.queue(owner, settings, request, began) {
            Ok(queued) => queued,
            Err(failure) => {
                tracing::debug!(app = %owner, method, "a script's HTTP request is not sent: {failure}");
                let result = Err(failure);
                self.counters.add(HttpOutcome::of(&result));
                return Box::pin(std::future::ready(result));
            }
        };
        let note = Note {
            owner: owner.clone(),
            method,
            to: queued.to.to_string(),
            began,
            counters: Arc::clone(&self.counters),
            outcome: HttpOutcome::Canceled,
        };
        let (common, settings) = (Arc::clone(&self.common), Arc::clone(settings));
        let (mut sender, receiver) = oneshot::channel();
        runtime.spawn(async move {
            let work = answer(&common, &settings.script.http, queued);
            tokio::select! {
                result = work => {
                    note.take(&result);
                    let _ = sender.send(result);
                }
                // The script wants no answer any more.
                () = sender.closed() => (),
            }
        });
        Box::pin(async move {
            // A task that has panicked, or that the end of the server has ended, leaves no answer.
            let lost = || HttpFailure::Failed("the request was given up: the server stops, or has failed".to_owned());
            receiver.await.unwrap_or_else(|_| Err(lost()))
        })
    }
}

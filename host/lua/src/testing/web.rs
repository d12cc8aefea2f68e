//! The web of tests: what a script asks by HTTP, the test answers, in the test's own time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use introd_config::{Application, HttpHosts};
use introd_policy::InstanceName;
use introd_policy::http::{HttpFailure, HttpFuture, HttpRequest, HttpRequests, HttpResponse};
use introd_policy::http::{NO_HTTP_URL, URL_WITH_USER};
use tokio::sync::oneshot;
use url::{Host, Url};

/// What comes of a request.
type Outcome = Result<HttpResponse, HttpFailure>;

/// The web, as the script of one made-up server reaches it.
#[derive(Default)]
pub(crate) struct Web(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether the test answers requests.
    has_answers: bool,
    now: Option<Instant>,
    last: u64,
    /// Requests that the test has yet to see.
    asked: VecDeque<(u64, HttpRequest)>,
    /// Requests without an answer, by number.
    waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    /// When what comes of a request is told, by time and number. The first one counts.
    due: BTreeSet<(Instant, u64)>,
    outcomes: BTreeMap<(Instant, u64), Outcome>,
}

impl Web {
    /// A web whose requests the test answers, or one without any host.
    pub(super) fn new(has_answers: bool) -> Self {
        Self(Mutex::new(State { has_answers, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a request that the test has yet to see.
    pub(super) fn is_asked(&self) -> bool {
        !self.state().asked.is_empty()
    }

    /// The next request for the test.
    pub(super) fn next_asked(&self) -> Option<(u64, HttpRequest)> {
        self.state().asked.pop_front()
    }

    /// The test answers a request after so much time.
    pub(super) fn answer(&self, number: u64, outcome: Outcome, after: Duration) {
        let mut state = self.state();
        if let Some(at) = state.now.and_then(|now| now.checked_add(after)) {
            state.tell_at(at, number, outcome);
        }
    }

    /// When the next answer or timeout is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state().due.first().map(|(at, _)| *at)
    }

    /// It is that time: what is due is told.
    pub(super) fn pass(&self, now: Instant) {
        let mut state = self.state();
        state.now = Some(now);
        while let Some(first) = state.due.first().copied().filter(|(at, _)| *at <= now) {
            state.due.remove(&first);
            let outcome = state.outcomes.remove(&first);
            if let Some((sender, outcome)) = state.waiting.remove(&first.1).zip(outcome) {
                let _ = sender.send(outcome);
            }
        }
    }
}

/// Refuses what the server refuses: URLs that are not of HTTP, and hosts that Application.xml does not permit. An application whose
/// Application.xml lists no host is tested without a list.
fn check(url: &str, allow: &HttpHosts) -> Result<(), HttpFailure> {
    let malformed = |what: &str| Err(HttpFailure::Malformed(what.to_owned()));
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(error) => return malformed(&format!("the URL is malformed: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return malformed(NO_HTTP_URL);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return malformed(URL_WITH_USER);
    }
    if allow.is_empty() {
        return Ok(());
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let is_listed = match url.host() {
        Some(Host::Domain(name)) => allow.has_name(name, port),
        Some(Host::Ipv4(address)) => allow.has_address(address.into(), port),
        Some(Host::Ipv6(address)) => allow.has_address(address.into(), port),
        None => false,
    };
    let host = url.host_str().unwrap_or_default();
    let refused = || format!("{host} is not permitted: ScriptEngine/HTTP/Allow in Application.xml does not list it");
    if is_listed { Ok(()) } else { Err(HttpFailure::NotAllowed(refused())) }
}

impl State {
    fn tell_at(&mut self, at: Instant, number: u64, outcome: Outcome) {
        // What was due at the very same time came first.
        if self.waiting.contains_key(&number) && self.due.insert((at, number)) {
            self.outcomes.insert((at, number), outcome);
        }
    }
}

impl HttpRequests for Web {
    fn send(&self, _: &InstanceName, settings: &Arc<Application>, request: HttpRequest) -> HttpFuture {
        let mut state = self.state();
        let Some(now) = state.now.filter(|_| state.has_answers) else {
            let why = "this test has no answers to HTTP requests: give it some by start { http = function(request) return { status = 200, body = \"...\" } end }";
            return Box::pin(std::future::ready(Err(HttpFailure::Failed(why.to_owned()))));
        };
        if let Err(failure) = check(&request.url, &settings.script.http.allow) {
            return Box::pin(std::future::ready(Err(failure)));
        }
        state.last += 1;
        let (number, timeout) = (state.last, settings.script.http.timeout);
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(number, sender);
        let late = HttpFailure::TimedOut("there was no answer in time".to_owned());
        state.tell_at(now + request.timeout.unwrap_or(timeout).min(timeout), number, Err(late));
        state.asked.push_back((number, request));
        Box::pin(async move {
            receiver.await.unwrap_or_else(|_| Err(HttpFailure::Failed("the server of the test is gone".to_owned())))
        })
    }
}

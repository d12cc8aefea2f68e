//! What is answered under which path.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::ExtensionRejection;
use axum::extract::{Extension, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body};

use super::ams;
use super::caller::Caller;
use super::gate::{Denied, Gate, Wish};
use super::health;
use super::inspector::Inspector;
use super::metrics::{self, Format};
use super::query::Query;

/// What all requests share.
pub(super) struct Rooms {
    pub(super) inspector: Inspector,
    pub(super) gate: Gate,
}

/// The answers to the requests from one address.
pub(super) fn router(rooms: Arc<Rooms>, from: IpAddr) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/admin/{method}", get(administration))
        .fallback(nothing)
        .layer(middleware::from_fn(guard))
        .layer(Extension(from))
        .with_state(rooms)
}

/// What browsers are told of every answer: to keep none, to run nothing of it, and to show it in no other page.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Refuses what no request of an administrator has: a body. Nothing of it is read.
async fn guard(request: Request, next: Next) -> Response {
    let has_body = request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    let mut response = if has_body {
        let mut response = plain(StatusCode::PAYLOAD_TOO_LARGE, "Requests have no body here.\n");
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    } else if matches!(*request.method(), Method::GET | Method::HEAD) {
        next.run(request).await
    } else {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn plain(status: StatusCode, text: impl Into<body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Address | Self::CrossSite | Self::Elsewhere | Self::NoPasswords | Self::NotExplicit => {
                StatusCode::FORBIDDEN
            }
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::LoginNeeded | Self::LoginFailed(_) => StatusCode::UNAUTHORIZED,
            Self::LockedOut(..) => StatusCode::TOO_MANY_REQUESTS,
        };
        let mut response = plain(status, format!("{self}\n"));
        match self {
            Self::LoginNeeded | Self::LoginFailed(_) => {
                let challenge = HeaderValue::from_static("Basic realm=\"introd\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::LockedOut(_, left) => {
                let seconds = (left + Duration::from_millis(999)).as_secs();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => (),
        }
        response
    }
}

/// A request: who asks, and what is in its query.
struct Asked {
    caller: Caller,
    query: Query,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Extension(from) = Extension::<IpAddr>::from_request_parts(parts, state).await?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { caller: Caller::new(from, &parts.uri, &parts.headers, &query), query })
    }
}

impl Rooms {
    async fn admit(&self, caller: &Caller, wish: Wish) -> Result<(), Denied> {
        self.gate.admit(&self.inspector.services.applications.config(), caller, wish).await
    }

    /// The answer about the health of the server. Who may not read learns whether it is well, and no more.
    async fn say_health(&self, caller: &Caller, is_about_readiness: bool) -> Result<Response, Denied> {
        self.admit(caller, Wish::Health).await?;
        let problems = match is_about_readiness {
            true => health::readiness(&self.inspector).await,
            false => health::health(&self.inspector).await,
        };
        let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let may_read = self.admit(caller, Wish::Read).await.is_ok();
        let text = match (may_read, problems.is_empty()) {
            (true, _) => health::text(&problems, is_about_readiness.then_some(&self.inspector)),
            (false, true) => "ok\n".to_owned(),
            (false, false) => "not well\n".to_owned(),
        };
        Ok(plain(status, text))
    }
}

type Shared = State<Arc<Rooms>>;

async fn index(State(rooms): Shared, Asked { caller, .. }: Asked) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    let mut text = format!("introd {}\n\n/healthz\n/readyz\n/metrics\n", env!("CARGO_PKG_VERSION"));
    for (method, wish) in ams::METHODS {
        text += "/admin/";
        text += method;
        text += if wish == Wish::Act { "  (takes auser and apswd)\n" } else { "\n" };
    }
    Ok(plain(StatusCode::OK, text))
}

async fn healthz(State(rooms): Shared, Asked { caller, .. }: Asked) -> Result<Response, Denied> {
    rooms.say_health(&caller, false).await
}

async fn readyz(State(rooms): Shared, Asked { caller, .. }: Asked) -> Result<Response, Denied> {
    rooms.say_health(&caller, true).await
}

/// The metrics, as OpenMetrics if the caller takes that, else in the older text format of Prometheus.
async fn metrics(State(rooms): Shared, Asked { caller, .. }: Asked, headers: HeaderMap) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let format = if accepts.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text };
    let text = metrics::render(&rooms.inspector, format).await;
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

async fn administration(
    State(rooms): Shared,
    Path(method): Path<String>,
    Asked { caller, query }: Asked,
) -> Result<Response, Denied> {
    let text = ams::respond(&rooms.inspector, &rooms.gate, &caller, &method, &query).await?;
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response())
}

/// Who may not read does not learn what there is.
async fn nothing(State(rooms): Shared, Asked { caller, .. }: Asked) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    Ok(plain(StatusCode::NOT_FOUND, "There is nothing here.\n"))
}

#[cfg(test)]
mod tests;

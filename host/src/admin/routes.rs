//! What is answered under which path.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::ExtensionRejection;
use axum::extract::{Extension, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Router, body};

use super::ams;
use super::api::{self, MAX_BODY};
use super::caller::Caller;
use super::gate::{Denied, Wish};
use super::health;
use super::metrics::{self, Format};
use super::page;
use super::query::Query;
use super::rooms::Rooms;

/// The answers to the requests from one address.
pub(super) fn router(rooms: Arc<Rooms>, from: IpAddr) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page/{name}", get(page_file))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/admin/{method}", get(administration))
        .route("/api/{*path}", any(api))
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

/// Refuses what no request of an administrator has: other methods than GET, and a body; but for those that act by the JSON API, and there a body
/// that is too long, or does not say how long it is. Nothing of it is read.
async fn guard(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let (is_get, is_post) = (matches!(*request.method(), Method::GET | Method::HEAD), request.method() == Method::POST);
    let max_body = if is_api && is_post { MAX_BODY } else { 0 };
    let has_body = has_longer_body(request.headers(), max_body);
    let mut response = if !is_get && !is_api {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    } else if has_body && (is_get || is_post) {
        let (status, text) = (StatusCode::PAYLOAD_TOO_LARGE, "Requests have no such body here.");
        if is_api { api::refuse(status, text) } else { plain(status, format!("{text}\n")) }
    } else {
        next.run(request).await
    };
    if has_body {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in HEADERS {
        // The page has a policy of its own.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a request has a body of more than that many bytes, or one of unknown length.
fn has_longer_body(headers: &HeaderMap, max: usize) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap_or("?").parse());
    let is_long = length.is_some_and(|length| length.map_or(true, |length: usize| length > max));
    is_long || headers.contains_key(header::TRANSFER_ENCODING)
}

fn plain(status: StatusCode, text: impl Into<body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let mut response = plain(self.status(), format!("{self}\n"));
        self.decorate(response.headers_mut());
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

/// The page for browsers, and a list of paths for programs.
async fn index(State(rooms): Shared, Asked { caller, .. }: Asked, headers: HeaderMap) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    if page::is_wanted(&headers) {
        return Ok(page::page());
    }
    let mut text = format!("introd {}\n\n/healthz\n/readyz\n/metrics\n", env!("CARGO_PKG_VERSION"));
    for (method, path, _) in api::ROUTES {
        text += api::ROOT;
        text += path;
        text += if method == Method::GET { "\n" } else { "  (POST, takes a login)\n" };
    }
    for (method, wish) in ams::METHODS {
        text += "/admin/";
        text += method;
        text += if wish == Wish::Act { "  (takes auser and apswd)\n" } else { "\n" };
    }
    Ok(plain(StatusCode::OK, text))
}

/// A file of the page.
async fn page_file(
    State(rooms): Shared,
    Path(name): Path<String>,
    Asked { caller, .. }: Asked,
) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    Ok(page::file(&name).unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "There is nothing here.\n")))
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

async fn api(State(rooms): Shared, Asked { caller, query }: Asked, request: Request) -> Response {
    api::respond(&rooms, caller, &query, request).await
}

/// Who may not read does not learn what there is.
async fn nothing(State(rooms): Shared, Asked { caller, .. }: Asked) -> Result<Response, Denied> {
    rooms.admit(&caller, Wish::Read).await?;
    Ok(plain(StatusCode::NOT_FOUND, "There is nothing here.\n"))
}

#[cfg(test)]
mod tests;

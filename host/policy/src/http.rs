//! The HTTP requests of scripts, as the host of scripts sees them.
//!
//! The server provides [`HttpRequests`]: it sends requests to the hosts that Application.xml permits, on a thread apart from the workers
//! and from the scripts. Values go in and come out; what they look like in a script is the host's matter.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use introd_config::Application;

use crate::InstanceName;

/// What a script asks for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on, in capital letters. Not `CONNECT` or `TRACE`.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Names and values, in the order in which they are sent. The host of scripts has checked that they have the form of headers, and that
    /// none is a matter of the connection (`Host`, `Content-Length` and the like).
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// How long the request may take in all, if the script wants less time than Application.xml gives it.
    pub timeout: Option<Duration>,
    /// How many redirects are followed, if the script wants fewer than Application.xml permits. 0: a redirect is the answer.
    pub redirects: Option<usize>,
}

/// Secrets may stand in each part of a request, so that none of them is shown.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, headers, body) = (&self.method, self.headers.len(), self.body.len());
        write!(f, "HttpRequest({method}, {headers} headers, {body} bytes)")
    }
}

/// An answer.
#[derive(Debug, Default)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names in small letters, and values, in the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, as it was sent: nothing is unpacked.
    pub body: Vec<u8>,
    /// The place of the request among those of its instance: as long as it is kept, the request counts as one that is under way.
    pub place: Option<HttpPlace>,
}

/// A place among the requests of an instance, which is free again when this is dropped.
pub struct HttpPlace(pub Box<dyn Send + Sync>);

impl fmt::Debug for HttpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpPlace")
    }
}

/// Why there is no answer. The messages are for the script; they name hosts and addresses, and nothing else of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFailure {
    /// The URL is none, or not one of HTTP.
    #[error("{0}")]
    Malformed(String),
    /// Application.xml does not permit the request to that host or address.
    #[error("{0}")]
    NotAllowed(String),
    /// The request or the answer is larger than Application.xml permits.
    #[error("{0}")]
    TooLarge(String),
    /// There are too many requests.
    #[error("{0}")]
    Busy(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
    /// The host cannot be reached, or its answer is none.
    #[error("{0}")]
    Failed(String),
}

/// What is wrong with a URL of another scheme, or of none that has a host.
pub const NO_HTTP_URL: &str = "the URL begins neither with http:// nor with https://";
/// What is wrong with a URL that has a user name or a password in it.
pub const URL_WITH_USER: &str = "the URL has a user name or a password in it: send these in the header Authorization";

/// A request on its way. Dropping it cancels the request.
pub type HttpFuture = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailure>> + Send>>;

/// Sends requests of scripts.
pub trait HttpRequests: Send + Sync {
    /// Sends a request, without waiting. The hosts that are permitted, and the limits, are those of `settings`, the settings of the script's
    /// application. The result never fails to come: each request has a timeout.
    fn send(&self, owner: &InstanceName, settings: &Arc<Application>, request: HttpRequest) -> HttpFuture;
}

/// Sends no request: for programs that have no network, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHttpRequests;

impl HttpRequests for NoHttpRequests {
    fn send(&self, _: &InstanceName, _: &Arc<Application>, _: HttpRequest) -> HttpFuture {
        Box::pin(std::future::ready(Err(HttpFailure::Failed("this program sends no HTTP requests".to_owned()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_request_is_not_shown() {
        let secret = "hunter2";
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: format!("https://{secret}@api.example.com/{secret}?key={secret}"),
            headers: vec![("authorization".to_owned(), secret.into())],
            body: secret.into(),
            ..HttpRequest::default()
        };
        assert_eq!(format!("{request:?}"), "HttpRequest(POST, 1 headers, 7 bytes)");
    }
}

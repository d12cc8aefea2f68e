//! Requests as hosts receive them, and what is read of their answers.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use introd_config::HttpSettings;
use introd_policy::http::{HttpFailure, HttpRequest};

use super::connection::Outgoing;
use super::destination::Destination;

/// The headers of a script that go with a redirect to another host. Any other one may hold a secret that is meant for the first host.
const FOR_ALL_HOSTS: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::USER_AGENT];

/// A request, whatever host it goes to.
pub(super) struct Message {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    /// The bytes of the URL, the headers and the body.
    size: usize,
}

impl Message {
    /// Reads what the script asks for. `url` is not read, but counts.
    pub(super) fn new(request: HttpRequest, limits: &HttpSettings) -> Result<Self, HttpFailure> {
        let of_headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let size = request.url.len() + of_headers + request.body.len();
        if size > limits.max_request_bytes {
            let max = limits.max_request_bytes;
            return Err(HttpFailure::TooLarge(format!(
                "the request has {size} bytes: ScriptEngine/HTTP/MaxRequestBytes in Application.xml allows {max}"
            )));
        }
        let malformed = |what: &str| HttpFailure::Malformed(what.to_owned());
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| malformed("the method is malformed"))?;
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 2);
        for (name, value) in request.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed("a header's name is malformed"))?;
            let value = HeaderValue::from_bytes(&value).map_err(|_| malformed("a header's value is malformed"))?;
            headers.try_append(name, value).map_err(|_| malformed("there are too many headers"))?;
        }
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("introd/", env!("CARGO_PKG_VERSION"))));
        Ok(Self { method, headers, body: request.body.into(), size })
    }

    /// How many bytes the script has given.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What a host receives.
    pub(super) fn to(&self, to: &Destination) -> Result<Outgoing, HttpFailure> {
        let host = HeaderValue::from_str(to.authority());
        let host = host.map_err(|_| HttpFailure::Malformed("the URL's host is malformed".to_owned()))?;
        let request =
            Request::builder().method(&self.method).uri(to.path_and_query()).body(Full::new(self.body.clone()));
        let mut request =
            request.map_err(|_| HttpFailure::Malformed("the URL's path or query is malformed".to_owned()))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(header::HOST, host);
        Ok(request)
    }

    /// Whether a host may receive the request twice without harm.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// What follows of a redirect for the next request.
    pub(super) fn redirect(&mut self, status: StatusCode, to_same_origin: bool) {
        // As browsers do it: a form that was posted is not posted once more, unless the status says so.
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if !to_same_origin {
            let all = std::mem::take(&mut self.headers);
            for name in FOR_ALL_HOSTS {
                for value in all.get_all(&name) {
                    self.headers.append(&name, value.clone());
                }
            }
        }
    }
}

/// Where an answer redirects to, if it does.
pub(super) fn location(status: StatusCode, headers: &HeaderMap) -> Option<&[u8]> {
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    headers.get(header::LOCATION).filter(|_| redirects).map(HeaderValue::as_bytes)
}

/// The headers of an answer, by their names in small letters.
pub(super) fn headers_of(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// Reads a body to its end, unless it is too large.
pub(super) async fn read(mut body: Incoming, from: &Destination, max: usize) -> Result<Vec<u8>, HttpFailure> {
    let too_large = |size: u64| {
        HttpFailure::TooLarge(format!(
            "the answer of {from} has {size} bytes or more: ScriptEngine/HTTP/MaxResponseBytes in Application.xml allows {max}"
        ))
    };
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        return Err(too_large(announced));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(from, &error))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Err(too_large((bytes.len() + data.len()) as u64));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Why there is no answer, or not all of it.
pub(super) fn broken(from: &Destination, error: &hyper::Error) -> HttpFailure {
    if error.is_parse_too_large() {
        return HttpFailure::TooLarge(format!(
            "the headers of the answer of {from} are larger than ScriptEngine/HTTP/MaxHeaderBytes in Application.xml allows, or more than a hundred"
        ));
    }
    let what = if error.is_parse() {
        format!("{from} does not answer as a server of HTTP does: {error}")
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        format!("{from} has closed the connection before the end of its answer")
    } else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("the exchange with {from} has failed: {error}{source}")
    };
    HttpFailure::Failed(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(method: &str) -> Message {
        let headers =
            [("authorization", "secret"), ("x-key", "secret"), ("accept", "text/plain"), ("content-type", "text/x")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into())).into();
        let request = HttpRequest { method: method.to_owned(), headers, body: "body".into(), ..HttpRequest::default() };
        Message::new(request, &HttpSettings::default()).unwrap()
    }

    #[test]
    fn a_redirect_changes_the_method_as_its_status_says() {
        for (method, status, expected) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("GET", 302, "GET"),
        ] {
            let mut message = message(method);
            message.redirect(StatusCode::from_u16(status).unwrap(), true);
            assert_eq!(message.method, expected, "{method} {status}");
            assert_eq!(message.body.is_empty(), expected == "GET" && method != "GET", "{method} {status}");
            assert_eq!(message.headers.get("authorization").unwrap(), "secret");
        }
    }

    #[test]
    fn another_host_receives_no_header_that_may_hold_a_secret() {
        let mut message = message("GET");
        message.redirect(StatusCode::TEMPORARY_REDIRECT, false);
        let mut names: Vec<_> = message.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-type", "user-agent"]);
    }

    #[test]
    fn a_request_has_so_many_bytes_and_no_more() {
        let limits = HttpSettings { max_request_bytes: 20, ..HttpSettings::default() };
        let request = |body: usize| HttpRequest {
            method: "POST".to_owned(),
            url: "http://a/".to_owned(),
            headers: vec![("a".to_owned(), "b".into())],
            body: vec![0; body],
            ..HttpRequest::default()
        };
        assert!(Message::new(request(5), &limits).is_ok());
        assert!(matches!(Message::new(request(6), &limits), Err(HttpFailure::TooLarge(_))));
    }

    #[test]
    fn what_could_split_a_request_in_two_is_refused() {
        for (name, value) in [("a", "b\r\nc: d"), ("a", "b\nc"), ("a", "b\0"), ("a\r\nb", "c"), ("a b", "c"), ("", "c")]
        {
            let headers = vec![(name.to_owned(), value.into())];
            let request = HttpRequest { method: "GET".to_owned(), headers, ..HttpRequest::default() };
            assert!(
                matches!(Message::new(request, &HttpSettings::default()), Err(HttpFailure::Malformed(_))),
                "{name:?} {value:?}"
            );
        }
        let request = HttpRequest { method: "GET / HTTP/1.1\r\nA".to_owned(), ..HttpRequest::default() };
        assert!(Message::new(request, &HttpSettings::default()).is_err());
    }
}

//! A plain HTTP client: one request for each connection, and what came back as it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::clients::TIMEOUT;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The texts of all elements of that name, in their order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.body.split(open.as_str()).skip(1);
        parts.map(|part| part.split_once(close.as_str()).expect("the end of the element").0).collect()
    }

    /// The text of the only element of that name.
    pub(crate) fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.body);
        all[0]
    }

    /// The number in the only element of that name.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.one(name).parse().expect("a number")
    }

    /// The names of all elements, in their order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let tags = self.body.split('<').skip(1).filter(|tag| !tag.starts_with(['/', '?']));
        tags.filter_map(|tag| tag.split('>').next()).collect()
    }
}

/// Sends bytes, and reads until the server closes the connection. What cannot be sent any more because it has closed is left out.
pub(crate) fn exchange(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    // A reset ends the answer too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks for a path with these headers.
pub(crate) fn get_with(to: SocketAddr, path: &str, headers: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}\r\n");
    read(&exchange(to, request.as_bytes()))
}

fn read(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// Asks for a path.
pub(crate) fn get(to: SocketAddr, path: &str) -> Reply {
    get_with(to, path, "")
}

/// The same on another thread, so that clients go on meanwhile.
pub(crate) async fn fetch(to: SocketAddr, path: &str) -> Reply {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || get(to, &path)).await.expect("an answer")
}

impl Reply {
    /// The answer of the JSON API.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Posts JSON, with these headers besides.
pub(crate) fn post(to: SocketAddr, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let kind = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}");
    let request = format!("POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{kind}\r\n{body}");
    read(&exchange(to, request.as_bytes()))
}

//! One request to the administration.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a connection may take to open, and how long an answer may take in all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer in bytes: what is not the administration of introd must not fill the memory.
const MAX_ANSWER: usize = 64 << 20;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{0}")]
    NotConnected(std::io::Error),
    #[error("it does not answer as a server of HTTP does: {0}")]
    NoHttp(#[from] hyper::Error),
    #[error("it does not answer in time")]
    TooLate,
    #[error("its answer breaks off: {0}")]
    Cut(#[from] axum::Error),
    #[error("its answer is too long")]
    TooLong,
    #[error("the request cannot be made: {0}")]
    BadRequest(#[from] axum::http::Error),
}

/// Sends a request on a connection of its own.
pub(super) async fn send(
    to: SocketAddr,
    method: Method,
    path: &str,
    authorization: Option<&str>,
    json: Option<String>,
) -> Result<Answer, NoAnswer> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await;
    let stream = connected.map_err(|_| NoAnswer::TooLate)?.map_err(NoAnswer::NotConnected)?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, to.to_string())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("introd/", env!("CARGO_PKG_VERSION")));
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    if json.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(json.map_or_else(Body::empty, Body::from))?;
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            Ok(Answer { status: parts.status, body: collect(Body::new(body)).await? })
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended?;
                // What has come is read to its end.
                answer.await
            }
        }
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| NoAnswer::TooLate)?
}

async fn collect(mut body: Body) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_ANSWER {
            return Err(NoAnswer::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// A part of a path, with what has a meaning in URLs escaped.
pub(super) fn escaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// What a listener that gives this answer is sent, and what is made of the answer.
    async fn exchange(answer: Vec<u8>, json: Option<&'static str>) -> (String, Result<Answer, NoAnswer>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let far = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut heard, mut part) = (Vec::new(), [0; 4096]);
            while !heard.ends_with(json.unwrap_or("\r\n\r\n").as_bytes()) {
                let length = stream.read(&mut part).unwrap();
                heard.extend_from_slice(&part[..length]);
            }
            // It may have enough before all of it is written.
            let _ = stream.write_all(&answer);
            String::from_utf8(heard).unwrap()
        });
        let method = if json.is_some() { Method::POST } else { Method::GET };
        let result = send(to, method, "/api/v1/x?limit=1", Some("Basic Og=="), json.map(str::to_owned)).await;
        (far.join().unwrap(), result)
    }

    #[tokio::test]
    async fn a_request_says_what_it_wants_and_the_answer_is_read_whole() {
        let (heard, answer) = exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(), None).await;
        assert!(heard.starts_with("GET /api/v1/x?limit=1 HTTP/1.1\r\nhost: 127.0.0.1:"), "{heard}");
        assert!(heard.contains("authorization: Basic Og==\r\n") && !heard.contains("content-type"), "{heard}");
        let answer = answer.unwrap();
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"{}"[..]));
        // Until the connection ends, and in chunks.
        for text in [
            "HTTP/1.1 404 Not Found\r\n\r\nnone",
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnone\r\n0\r\n\r\n",
        ] {
            let (_, answer) = exchange(text.as_bytes().to_vec(), None).await;
            assert_eq!(answer.unwrap().body, b"none");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_as_such() {
        let (_, answer) = exchange(b"220 mail.example ESMTP\r\n".to_vec(), None).await;
        assert!(matches!(answer, Err(NoAnswer::NoHttp(_))), "{answer:?}");
        let (_, answer) = exchange(Vec::new(), None).await;
        assert!(matches!(answer, Err(NoAnswer::NoHttp(_))), "{answer:?}");
        let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        long.resize(MAX_ANSWER + 1024, b'x');
        let (_, answer) = exchange(long, None).await;
        assert!(matches!(answer, Err(NoAnswer::TooLong)), "{answer:?}");
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let answer = send(nowhere, Method::GET, "/", None, None).await;
        assert!(matches!(answer, Err(NoAnswer::NotConnected(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn a_body_is_json_and_has_its_length() {
        let (heard, answer) =
            exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Some("{\"a\":\"b\"}")).await;
        assert!(heard.starts_with("POST ") && heard.contains("content-type: application/json\r\n"), "{heard}");
        assert!(heard.contains("content-length: 9\r\n") && heard.ends_with("{\"a\":\"b\"}"), "{heard}");
        assert!(answer.unwrap().body.is_empty());
    }

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        assert_eq!(escaped("chat-1_2.3~"), "chat-1_2.3~");
        assert_eq!(escaped("a/b?c#d%e f\u{e9}"), "a%2Fb%3Fc%23d%25e%20f%C3%A9");
    }
}

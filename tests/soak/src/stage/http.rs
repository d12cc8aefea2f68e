//! What is asked of a server's administration: one request for each connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A server that is frozen does not answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// `Authorization` of the administrator that [`super::files`] makes: `admin` with the password `soak`.
const LOGIN: &str = "Authorization: Basic YWRtaW46c29haw==\r\n";

/// Reads a path.
pub(crate) fn get(to: SocketAddr, path: &str) -> anyhow::Result<String> {
    exchange(to, &format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{LOGIN}\r\n"))
}

/// Reads a path of the JSON API.
pub(crate) fn get_json(to: SocketAddr, path: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&get(to, path)?)?)
}

/// Acts by a path of the JSON API.
pub(crate) fn post(to: SocketAddr, path: &str, body: &Value) -> anyhow::Result<()> {
    let (body, kind) = (body.to_string(), "Content-Type: application/json");
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{LOGIN}");
    exchange(to, &format!("{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}")).map(drop)
}

fn exchange(to: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("status {status}: {body}");
    }
    Ok(body.to_owned())
}

//! A connection to a host: opened to an address that was looked at, used for one request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use introd_policy::http::HttpFailure;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::destination::{Destination, Host};

/// How long one address of several is tried before the next.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The request and its body, as it is sent.
pub(super) type Outgoing = Request<Full<Bytes>>;

/// An open connection. Dropping it closes it.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    /// Where it leads.
    pub(super) address: SocketAddr,
    /// Whether it has served a request already: then its host may be about to close it.
    pub(super) is_used: bool,
}

/// Why a request was not answered.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Outgoing>,
}

impl Connection {
    /// Connects to the first of these addresses that answers. With `tls`, the host must prove that it is the destination's.
    pub(super) async fn open(
        to: &Destination,
        addresses: &[SocketAddr],
        tls: Option<Arc<ClientConfig>>,
        max_header_bytes: usize,
    ) -> Result<Self, HttpFailure> {
        let (stream, address) = connect(to, addresses).await?;
        // Requests are small, and nothing follows that they could wait for.
        let _ = stream.set_nodelay(true);
        match tls {
            None => Self::over(to, stream, address, max_header_bytes).await,
            Some(config) => {
                let connected = TlsConnector::from(config).connect(server_name(to)?, stream).await;
                let stream = connected
                    .map_err(|error| HttpFailure::Failed(format!("there is no TLS connection to {to}: {error}")))?;
                Self::over(to, stream, address, max_header_bytes).await
            }
        }
    }

    async fn over(
        to: &Destination,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        max_header_bytes: usize,
    ) -> Result<Self, HttpFailure> {
        let handshake = http1::Builder::new().max_buf_size(max_header_bytes).handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            handshake.map_err(|error| HttpFailure::Failed(format!("there is no connection to {to}: {error}")))?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told of an error.
            let _ = connection.await;
        });
        Ok(Self { sender, driver, address, is_used: false })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Outgoing) -> Result<Response<Incoming>, Unanswered> {
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message();
            Unanswered { error: failed.into_error(), unsent }
        })
    }

    /// Whether it can serve another request soon: the whole answer to the last one has been read.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.is_used = true;
        tokio::time::timeout(Duration::from_millis(100), self.sender.ready()).await.is_ok_and(|ready| ready.is_ok())
    }

    /// Whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn connect(to: &Destination, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), HttpFailure> {
    let mut last = format!("{to} has no address");
    for (index, address) in addresses.iter().enumerate() {
        let attempt = TcpStream::connect(address);
        // The request's own timeout holds for the last one.
        let is_last = index + 1 == addresses.len();
        let connected = if is_last { Ok(attempt.await) } else { tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await };
        last = match connected {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => format!("{to} cannot be reached at {address}: {error}"),
            Err(_) => format!("{to} cannot be reached at {address}: it does not answer"),
        };
    }
    Err(HttpFailure::Failed(last))
}

fn server_name(to: &Destination) -> Result<ServerName<'static>, HttpFailure> {
    match &to.host {
        Host::Address(address) => Ok((*address).into()),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| HttpFailure::Malformed(format!("TLS knows no hosts with such a name as that of {to}"))),
    }
}

//! The connections of one listener, and their bounds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use rtmfp::NetworkPrefix;
use tokio::net::{TcpListener, TcpStream};

use super::gate::Gate;
use super::rooms::Rooms;
use super::routes::router;
use super::streams::OpenStreams;

/// How many connections are open at a time, and how many from one address.
const MAX_CONNECTIONS: usize = 256;
const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;
/// The head of a request must be there within this time. A connection without requests is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection takes no further request after this time, unless it has a stream, and is closed after `LAST_WORDS` more, whatever the far end reads.
const LIFETIME: Duration = Duration::from_secs(60);
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes, and the most headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long the listener waits after an error: there may be no descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The open connections by the address they come from.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<NetworkPrefix, usize>>);

/// The place of one connection, which is given back when this is dropped.
struct Place {
    connections: Arc<Connections>,
    from: NetworkPrefix,
}

impl Connections {
    /// A place for one more connection; `None` if there are too many.
    fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let from = NetworkPrefix::of(ip);
        let mut all = self.0.lock();
        let (total, own) = (all.values().sum::<usize>(), all.get(&from).copied().unwrap_or(0));
        if total >= MAX_CONNECTIONS || own >= MAX_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        all.insert(from, own + 1);
        Some(Place { connections: Arc::clone(self), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.connections.0.lock();
        match all.get_mut(&self.from) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(all.remove(&self.from)),
        }
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, rooms: Arc<Rooms>, connections: Arc<Connections>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the administration could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let ip = from.ip().to_canonical();
        if !Gate::permits(&rooms.inspector.services.applications.config(), ip) {
            tracing::info!(address = %from, "the access rules of the administration deny this address");
            continue;
        }
        match connections.enter(ip) {
            Some(place) => drop(tokio::spawn(serve(stream, ip, Arc::clone(&rooms), place))),
            None => tracing::info!(address = %from, "the administration has too many connections: this one is closed"),
        }
    }
}

async fn serve(stream: TcpStream, ip: IpAddr, rooms: Arc<Rooms>, place: Place) {
    let _place = place;
    let streams = OpenStreams::default();
    let service = TowerToHyperService::new(router(rooms, ip).layer(Extension(streams.clone())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(address = %ip, %error, "a connection to the administration has ended");
                }
                return;
            }
            () = tokio::time::sleep(LIFETIME) => (),
        }
        // A stream ends by itself when its reader takes nothing.
        if streams.is_empty() {
            break;
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_WORDS, connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn places_are_bounded_for_each_address_and_for_all_and_come_back() {
        let connections = Arc::new(Connections::default());
        let mut places: Vec<Place> =
            (0..MAX_CONNECTIONS_PER_ADDRESS).map(|_| connections.enter(ip(1)).unwrap()).collect();
        assert!(connections.enter(ip(1)).is_none());
        places.extend((MAX_CONNECTIONS_PER_ADDRESS..MAX_CONNECTIONS).map(|_| connections.enter(ip(2)).unwrap()));
        assert!(connections.enter(ip(3)).is_none());
        places.swap_remove(0);
        assert!(connections.enter(ip(3)).is_some(), "the first address has left one");
        drop(places);
        assert!(connections.0.lock().is_empty());
    }
}

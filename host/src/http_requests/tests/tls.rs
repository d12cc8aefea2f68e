//! Requests by https. The certificates in `tls` are of tests alone: the key of their authority was thrown away.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/http_requests/tests/tls").join(name)
}

/// A server by TLS that gives each request this answer, for as long as the tests run; where it listens.
fn server(status: u16, location: &'static str, body: &'static str) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server_key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|_: Request<Incoming>| async move {
                    let answer = Response::builder().status(status).header("location", location);
                    answer.body(Full::new(Bytes::from_static(body.as_bytes())))
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve)
    });
    address
}

#[test]
fn a_host_must_prove_its_name_by_an_authority_that_is_trusted() {
    let port = server(200, "", "secure").port();
    let mut play = play("api.test, other.test, 127.0.0.1");
    play.names.set("api.test", &[&["127.0.0.1"]]);
    play.names.set("other.test", &[&["127.0.0.1"]]);
    let url = |host: &str| format!("https://{host}:{port}/");
    let untrusted = play.problem(&url("api.test"));
    assert!(untrusted.contains("there is no TLS connection") || untrusted.contains("no certificates"), "{untrusted}");
    play.settings.ca_file = Some(file("authority.pem"));
    assert_eq!(text(&play.get(&url("api.test")).unwrap()), "secure");
    assert_eq!(text(&play.get(&url("127.0.0.1")).unwrap()), "secure");
    let wrong_name = play.problem(&url("other.test"));
    assert!(wrong_name.contains("there is no TLS connection"), "{wrong_name}");
    // A host that does not speak TLS.
    let plain = Far::serving(|near| {
        near.write(b"HTTP/1.1 200 OK\r\n\r\n");
        near.drain();
    });
    assert!(play.problem(&format!("https://{}/", plain.address)).contains("there is no TLS connection"));
    play.settings.ca_file = Some(file("none.pem"));
    assert!(play.problem(&url("api.test")).contains("ScriptEngine/HTTP/CAFile"));
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let address = server(302, "http://127.0.0.1/", "");
    let mut play = play("127.0.0.1");
    play.settings.ca_file = Some(file("authority.pem"));
    assert!(play.problem(&format!("https://{address}/")).contains("it leads from https to http"));
}

//! A server of HTTP that does what a test wants.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A listener on loopback. Each connection is served on a thread of its own.
pub(super) struct Far {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The heads and bodies of all requests that were read.
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// One connection.
pub(super) struct Near {
    pub(super) stream: TcpStream,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Far {
    /// A server whose connections are served by this function.
    pub(super) fn serving(serve: impl Fn(&mut Near) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heard, is_over) =
            (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (count, keep, over, serve) =
            (Arc::clone(&connections), Arc::clone(&heard), Arc::clone(&is_over), Arc::new(serve));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (mut near, serve) =
                    (Near { stream: stream.unwrap(), heard: Arc::clone(&keep) }, Arc::clone(&serve));
                std::thread::spawn(move || serve(&mut near));
            }
        });
        Self { address, connections, heard, is_over, listening: Some(listening) }
    }

    /// A server that gives each request on a connection this answer.
    pub(super) fn answering(answer: &str) -> Self {
        let answer = answer.to_owned();
        Self::serving(move |near| while near.read().is_some_and(|_| near.write(answer.as_bytes())) {})
    }

    /// A server that reads a request and then writes these bytes and closes the connection.
    pub(super) fn writing(bytes: &'static [u8]) -> Self {
        Self::serving(move |near| {
            near.read();
            near.write(bytes);
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl Near {
    /// Reads a request with its body. `None` at the end of the connection.
    pub(super) fn read(&mut self) -> Option<String> {
        let (mut heard, mut byte) = (Vec::new(), [0]);
        while !heard.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).ok()?;
            heard.push(byte[0]);
        }
        let head = String::from_utf8(heard).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).ok()?;
        let all = head + &String::from_utf8(body).unwrap();
        self.heard.lock().unwrap().push(all.clone());
        Some(all)
    }

    /// Writes bytes. False if the other end has closed the connection.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits until the other end closes the connection.
    pub(super) fn drain(&mut self) {
        let mut part = [0; 4096];
        while self.stream.read(&mut part).is_ok_and(|length| length > 0) {}
    }
}

/// An answer with a body.
pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

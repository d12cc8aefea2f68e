//! Requests to the administration of a server, by TCP: methods, paths, queries, headers, bodies, and bytes that are no request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use introd::server::{Server, ServerSettings};
use introd_config::{Config, Password};

/// No answer takes that long, on however busy a machine.
const TIMEOUT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "Tr0ub4dor";
/// The login of the administrator by HTTP Basic.
const BASIC: &str = "Authorization: Basic YWRtaW46VHIwdWI0ZG9y\r\n";

const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "TRACE", "PATCH"];
/// What paths begin with, so that what follows counts.
const BEGINNINGS: [&str; 8] = [
    "/",
    "/api/v1/",
    "/api/v1/clients/",
    "/api/v1/clients?",
    "/api/v1/groups/",
    "/api/v1/applications/",
    "/admin/",
    "/admin/getUserStats?",
];
/// The statuses that an answer may have. 500 is none of them.
const STATUSES: [u16; 15] = [200, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 421, 429, 431, 503];

/// A server, and a connection to its administration that is used again.
struct Stage {
    _server: Server,
    admin: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| {
    let mut config = Config::built_in();
    config.users.users[0].password = Some(Password::Plain(PASSWORD.to_owned()));
    config.server.login_limits.max_failures = None;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings =
        ServerSettings { config, listen: vec![any], admin: vec![any], workers: Some(1), ..ServerSettings::default() };
    let server = Server::start(&settings).unwrap();
    let admin = server.admin_addresses()[0];
    Mutex::new(Stage { _server: server, admin, connection: None })
});

/// An answer.
struct Reply {
    status: u16,
    is_json: bool,
    is_stream: bool,
    /// Whether the connection ends with it.
    is_last: bool,
    text: String,
}

/// Takes the first byte for a method and whether there is a login, the second for the beginning of the path and whether the request is whole.
/// Then come the rest of the path, headers and the body, with a byte 1 between them. If the request is not whole, all bytes behind the
/// second are sent as they are.
pub fn run(bytes: &[u8]) {
    let [first, second, rest @ ..] = bytes else { return };
    // The server goes on when an input has failed.
    let mut stage = STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if second & 0x80 != 0 {
        stage.send_raw(rest);
        return;
    }
    let (method, has_login) = (METHODS[usize::from(first & 7)], first & 8 != 0);
    let beginning = BEGINNINGS[usize::from(second & 7)];
    let mut parts = rest.splitn(3, |byte| *byte == 1);
    let mut part = || parts.next().unwrap_or_default();
    let (path, headers, body) = (part(), part(), part());
    // What ends a line would begin another request, or be none.
    let line = |bytes: &[u8]| {
        bytes.iter().copied().filter(|byte| !matches!(byte, b' ' | b'\r' | b'\n' | b'#')).collect::<Vec<u8>>()
    };
    let mut request = format!("{method} {beginning}").into_bytes();
    request.extend(line(path));
    request.extend(format!(" HTTP/1.1\r\nHost: {}\r\n", stage.admin).bytes());
    if has_login {
        request.extend(BASIC.bytes());
    }
    if !body.is_empty() {
        request.extend(format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).bytes());
    }
    let headers: Vec<u8> = headers.iter().copied().filter(|byte| *byte != b'\r').collect();
    for header in headers.split(|byte| *byte == b'\n').filter(|header| !header.is_empty()) {
        request.extend_from_slice(header);
        request.extend(b"\r\n");
    }
    request.extend(b"\r\n");
    request.extend_from_slice(body);
    // Headers of the input may say of the body what is not so: then nothing more is read from this connection.
    let is_plain = headers.is_empty();
    let Some(reply) = stage.ask(&request, method == "HEAD" && is_plain) else {
        assert!(!is_plain, "there is no answer to {}", String::from_utf8_lossy(&request));
        return;
    };
    if !is_plain || reply.is_last || reply.is_stream {
        stage.connection = None;
    }
    let shown = || format!("{}: {} {}", String::from_utf8_lossy(&request), reply.status, reply.text);
    assert!(STATUSES.contains(&reply.status), "{}", shown());
    // Answers name an unknown method, and as AMS's do the user who fails to log in: either may be what the password is.
    let before_name = reply.text.split("login failed for user ").next().unwrap_or_default();
    let is_in_path = String::from_utf8_lossy(path).split('?').next().is_some_and(|path| path.contains(PASSWORD));
    assert!(is_in_path || !before_name.contains(PASSWORD), "{}", shown());
    if is_plain && reply.is_json && method != "HEAD" {
        assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_ok(), "{}", shown());
    }
    let says_who = [path, headers.as_slice()].iter().any(|part| {
        let part = part.to_ascii_lowercase();
        part.windows(5).any(|window| window == b"auser" || window == b"autho") || part.contains(&b'%')
    });
    // Without a login: whether the server is well, and nothing else.
    let is_told = method != "HEAD" && !has_login && !says_who;
    if is_told && reply.status == 200 && !reply.text.contains("NetConnection.Connect.Rejected") {
        let is_health = beginning == "/" && (path.starts_with(b"healthz") || path.starts_with(b"readyz"));
        assert!(is_health, "{}", shown());
    }
}

impl Stage {
    /// Sends a request, and reads the answer. `None` if the server closes the connection without one.
    fn ask(&mut self, request: &[u8], has_no_body: bool) -> Option<Reply> {
        // A connection that has been open for a minute takes no more requests: then it is another's turn.
        for is_again in [false, true] {
            let is_old = self.connection.is_some();
            let mut connection = self.connection.take().unwrap_or_else(|| self.connect());
            let sent = connection.get_mut().write_all(request);
            let reply = sent.ok().and_then(|()| read(&mut connection, has_no_body));
            if reply.is_some() || !is_old || is_again {
                self.connection = Some(connection);
                return reply;
            }
        }
        None
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let connection = TcpStream::connect(self.admin).unwrap();
        connection.set_read_timeout(Some(TIMEOUT)).unwrap();
        connection.set_nodelay(true).unwrap();
        BufReader::new(connection)
    }

    /// Sends bytes that need be no request, and no more. The server ends the connection, and answers others.
    fn send_raw(&mut self, bytes: &[u8]) {
        let mut connection = self.connect();
        let _ = connection.get_mut().write_all(bytes);
        let _ = connection.get_mut().shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        if let Err(error) = connection.read_to_end(&mut answer) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection stays open");
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains(PASSWORD) && !text.contains("HTTP/1.1 500"), "{text}");
        let health = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin);
        assert_eq!(self.ask(health.as_bytes(), false).map(|reply| reply.status), Some(200));
    }
}

/// Reads an answer.
fn read(connection: &mut BufReader<TcpStream>, has_no_body: bool) -> Option<Reply> {
    let mut line = String::new();
    connection.read_line(&mut line).ok()?;
    let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, is_json: false, is_stream: false, is_last: false, text: String::new() };
    let mut length = 0usize;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("content-type", value)) => {
                reply.is_json = value == "application/json";
                reply.is_stream = value == "text/event-stream";
            }
            Some(("connection", "close")) => reply.is_last = true,
            Some(_) => (),
        }
    }
    if !has_no_body && !reply.is_stream {
        let mut body = vec![0; length];
        connection.read_exact(&mut body).ok()?;
        reply.text = String::from_utf8_lossy(&body).into_owned();
    }
    Some(reply)
}

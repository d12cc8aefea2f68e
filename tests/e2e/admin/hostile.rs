//! What programs send that are no administrators.

use std::io::{Read, Write};
use std::net::TcpStream;

use introd_tests::program::{Files, Server};

use super::{BASIC, LOGIN, with_password};
use crate::harness::clients::TIMEOUT;
use crate::harness::http::{exchange, get, get_with};

/// Requests that are refused: what is sent, and how the answer begins. `{}` is the address of the administration.
const REFUSED: [(&str, &str); 26] = [
    ("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 401"),
    ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 421"),
    ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 421"),
    ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421"),
    ("GET http://evil.example/ HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 421"),
    ("GET / HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n\r\n", "HTTP/1.1 421"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nOrigin: null\r\n\r\n", "HTTP/1.1 403"),
    ("GET /?auser=admin&apswd=s3cret HTTP/1.1\r\nHost: {}\r\nOrigin: http://evil.example\r\n\r\n", "HTTP/1.1 403"),
    ("GET /?auser=admin&apswd=s3cret HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Site: cross-site\r\n\r\n", "HTTP/1.1 403"),
    ("GET /admin/../etc/passwd HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 401"),
    ("GET /..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 401"),
    ("GET /metrics/../../conf/Users.xml HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 401"),
    ("GET /%00 HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 401"),
    ("POST /admin/gc?auser=admin&apswd=s3cret HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405"),
    ("DELETE / HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 405"),
    ("CONNECT evil.example:80 HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 405"),
    ("TRACE / HTTP/1.1\r\nHost: {}\r\n\r\n", "HTTP/1.1 405"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 413"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 413"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400"),
    ("GET / HTTP/1.1\r\nHost: {}\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400"),
    ("GET / HTTP/1.1\r\nHost : {}\r\n\r\n", "HTTP/1.1 400"),
    ("GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400"),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n", "HTTP/1.1 400"),
    ("\r\n\r\n GET\r\n\r\n", "HTTP/1.1 400"),
];

/// Attempts to act by the JSON API that are refused. `{}` is the address of the administration; each has the right login, by HTTP Basic, unless
/// it is about that.
const REFUSED_ACTIONS: [(&str, &str, &str); 24] = [
    ("POST", "Authorization: \r\nContent-Type: application/json\r\n", "401"),
    ("POST", "Authorization: Basic YWRtaW46d3Jvbmc=\r\nContent-Type: application/json\r\n", "401"),
    ("POST", "Authorization: Basic YWRtaW46\r\nContent-Type: application/json\r\n", "401"),
    ("POST", "Authorization: Bearer YWRtaW46czNjcmV0\r\nContent-Type: application/json\r\n", "401"),
    ("POST", "Authorization: Basic YWRtaW46czNjcmV0YWRtaW4=\r\nContent-Type: application/json\r\n", "4"),
    ("POST", "Cookie: auser=admin; apswd=s3cret\r\nAuthorization: x\r\nContent-Type: application/json\r\n", "4"),
    ("POST", "X-Forwarded-For: 127.0.0.1\r\nAuthorization: x\r\nContent-Type: application/json\r\n", "4"),
    ("POST", "Content-Type: text/plain\r\n", "415"),
    ("POST", "Content-Type: application/x-www-form-urlencoded\r\n", "415"),
    ("POST", "Content-Type: multipart/form-data; boundary=x\r\n", "415"),
    ("POST", "Content-Type: application/json\r\nContent-Type: text/plain\r\n", "415"),
    ("POST", "", "415"),
    ("POST", "Content-Type: application/json\r\nOrigin: http://evil.example\r\n", "403"),
    ("POST", "Content-Type: application/json\r\nOrigin: null\r\n", "403"),
    ("POST", "Content-Type: application/json\r\nOrigin: http://{}.evil.example\r\n", "403"),
    ("POST", "Content-Type: application/json\r\nSec-Fetch-Site: cross-site\r\n", "403"),
    ("POST", "Content-Type: application/json\r\nSec-Fetch-Site: same-site\r\n", "403"),
    ("POST", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "4"),
    ("POST", "Content-Type: application/json\r\nTransfer-Encoding: identity\r\n", "4"),
    ("POST", "Content-Type: application/json\r\nContent-Length: 3\r\n", "400"),
    ("POST", "Content-Type: application/json\r\nX-HTTP-Method-Override: GET\r\n\tfolded: x\r\n", "4"),
    ("GET", "Content-Type: application/json\r\nX-HTTP-Method-Override: POST\r\n", "4"),
    ("PUT", "Content-Type: application/json\r\n", "4"),
    ("OPTIONS", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n", "4"),
];

#[test]
fn nobody_acts_by_the_json_api_but_who_logs_in() {
    let files = with_password("s3cret");
    // Wrong logins lock the address out; this test has more of them.
    files.server("<Security><LoginLimits><MaxFailures>-1</MaxFailures></LoginLimits></Security>");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let body = "{\"level\": \"debug\"}";
    let send = |method: &str, path: &str, headers: &str| {
        let login = if headers.contains("Authorization:") { "" } else { BASIC };
        let headers = headers.replace("{}", &admin.to_string());
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{login}{headers}");
        exchange(admin, format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
    };
    for (method, headers, status) in REFUSED_ACTIONS {
        let answer = send(method, "/api/v1/log-level", headers);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method} {headers:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    // Paths that lead elsewhere than they look.
    let json = "Content-Type: application/json\r\n";
    for path in [
        "/api/v1/../v1/log-level",
        "/api/v1/%2e%2e/v1/log-level",
        "/api/v1//log-level",
        "/api/v1/log-level/",
        "/api/v1/log-level%00",
        "/api/v1/log%2dlevel/x",
        "/API/V1/log-level",
        "/api/v1/log-level;x",
        "/admin/setLogLevel?level=debug",
    ] {
        let answer = send("POST", path, json);
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    let level = || get_with(admin, "/api/v1/log-level", BASIC);
    assert_eq!(level().json()["level"], "info", "nothing has changed it");
    assert!(send("POST", "/api/v1/log-level", json).starts_with("HTTP/1.1 200"));
    assert_eq!(level().json()["level"], "debug");
}

#[test]
fn what_is_no_request_of_an_administrator_is_refused() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    for (request, expected) in REFUSED {
        let closing = request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let answer = exchange(admin, closing.replace("{}", &admin.to_string()).as_bytes());
        assert!(answer.starts_with(expected), "{request:?}: {answer}");
        assert!(!answer.contains("root:") && !answer.contains("/admin/"), "{request:?}: {answer}");
    }
    // A long head, and many headers.
    let long = format!("GET /{} HTTP/1.1\r\nHost: {admin}\r\n\r\n", "a".repeat(1 << 20));
    let answer = exchange(admin, long.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let many = format!("GET / HTTP/1.1\r\n{}Host: {admin}\r\n\r\n", "x: y\r\n".repeat(1000));
    assert!(exchange(admin, many.as_bytes()).starts_with("HTTP/1.1 431"));
    assert_eq!(get(admin, &format!("/admin/ping?{LOGIN}")).one("level"), "status");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn slow_connections_are_cut_off_and_large_bodies_not_read() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let before = server.resident();
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(admin).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream
        })
        .collect();
    // A body of 1 GiB, of which the server takes what fits into the buffers of the system.
    let mut large = TcpStream::connect(admin).unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 1073741824\r\n\r\n");
    large.write_all(head.as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    let sent = (0..1024).take_while(|_| large.write_all(&block).is_ok()).count();
    assert!(sent < 1024, "the connection is closed while it is sent");
    assert_eq!(get(admin, "/admin/ping").one("level"), "status", "others are answered");
    // Each slow connection ends by itself.
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
}

#[test]
fn more_connections_than_there_may_be_are_closed_and_places_come_back() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let open: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(admin).unwrap()).collect();
    server.logged().wait_for("the administration has too many connections", 1);
    drop(open);
    introd_tests::waiting::eventually("there is room again", || {
        exchange(admin, format!("GET /healthz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())
            .starts_with("HTTP/1.1 200")
    });
}

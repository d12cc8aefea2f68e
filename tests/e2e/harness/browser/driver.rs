//! The program `chromedriver`, and what is sent to it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::program::Process;
use rustix::process::{Signal, kill_process_group};
use serde_json::{Value, json};

/// What it says before the port that it has chosen.
const STARTED: &str = "started successfully on port ";
/// How often it is started: it chooses a port of IPv6, and ends if the same one of IPv4 is taken.
const STARTS: usize = 5;
/// How long a script may wait for something, in milliseconds.
const SCRIPT_TIMEOUT: u64 = 60_000;
/// How long the driver may take for an answer: longer than any script.
const SILENCE: Duration = Duration::from_secs(90);
/// The only key of a reference to an element (WebDriver, §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A driver with its browser.
pub(super) struct Driver {
    process: Process,
    address: SocketAddr,
    session: String,
    /// The profile of the browser, a new one.
    _profile: Folder,
}

/// A driver that listens, and its port. `None` if it has ended instead.
fn started() -> Option<(Process, u16)> {
    // A group of its own, to which the processes of the browser belong too.
    let mut process = Process::start(Command::new("chromedriver").arg("--port=0").process_group(0));
    loop {
        let line = process.line()?;
        if let Some((_, port)) = line.split_once(STARTED) {
            return Some((process, port.trim_end_matches('.').parse().expect("a port")));
        }
    }
}

impl Driver {
    pub(super) fn start() -> Self {
        let is_there = Command::new("chromedriver").arg("--version").output().is_ok();
        assert!(is_there, "chromedriver is missing: tests/run installs it (Debian: chromium, chromium-driver)");
        let (process, port) = (0..STARTS).find_map(|_| started()).expect("chromedriver says its port");
        let profile = Folder::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut driver = Self { process, address, session: String::new(), _profile: profile };
        driver.session = driver.new_session();
        driver
    }

    fn new_session(&self) -> String {
        let arguments = [
            "--headless=new".to_owned(),
            // The tests run as root in containers, where the browser's own sandbox cannot start. It sees this server only.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--window-size=1200,900".to_owned(),
            format!("--user-data-dir={}", self._profile.path().display()),
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": SCRIPT_TIMEOUT },
        });
        let answer = self.ask("POST", "/session", Some(&json!({ "capabilities": { "alwaysMatch": wanted } })));
        let answer = answer.unwrap_or_else(|error| panic!("no browser: {error}"));
        answer["sessionId"].as_str().expect("a session").to_owned()
    }

    /// One request. The error is what the driver says.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let content = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = exchange(self.address, (head + &content).as_bytes());
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("no answer to {path}: {answer}"))?;
        let mut answer: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
        let value = answer["value"].take();
        match value.get("error") {
            Some(error) => Err(format!("{error}: {}", value["message"])),
            None => Ok(value),
        }
    }

    /// Sends a command of the session.
    pub(super) fn try_post(&self, command: &str, body: &Value) -> Result<Value, String> {
        self.ask("POST", &format!("/session/{}{command}", self.session), Some(body))
    }

    pub(super) fn post(&self, command: &str, body: &Value) -> Value {
        self.try_post(command, body).unwrap_or_else(|error| panic!("{command} {body}: {error}"))
    }

    pub(super) fn get(&self, command: &str) -> Value {
        let answer = self.ask("GET", &format!("/session/{}{command}", self.session), None);
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The reference to the first element that fits a selector.
    pub(super) fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(super) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }
}

/// Sends a request, and reads the answer: as long as it says, because the driver does not close the connection.
fn exchange(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("a connection to the driver");
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
    stream.write_all(request).expect("it takes requests");
    let (mut answer, mut part) = (Vec::new(), vec![0; 1 << 16]);
    while !is_whole(&answer) {
        match stream.read(&mut part) {
            Ok(length @ 1..) => answer.extend_from_slice(&part[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether an answer is there with its whole body.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser ends in an orderly way; whatever happens, its processes end.
        let _ = self.ask("DELETE", &format!("/session/{}", self.session), None);
        let _ = kill_process_group(self.process.id(), Signal::KILL);
    }
}

/// Base64 (RFC 4648 §4), which pictures are sent in.
pub(super) fn decode_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: u8| DIGITS.iter().position(|one| *one == byte).expect("a digit of base64") as u32;
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|group| {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        (bits << 8).to_be_bytes().into_iter().take(group.len() * 6 / 8).collect::<Vec<u8>>()
    });
    bytes.collect()
}

#[test]
fn base64_gives_the_values_of_rfc_4648() {
    for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
        assert_eq!(decode_base64(text), bytes.as_bytes(), "{text}");
    }
}

#[test]
fn an_answer_is_whole_with_the_last_byte_of_its_body() {
    for (answer, expected) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true),
    ] {
        assert_eq!(is_whole(answer.as_bytes()), expected, "{answer}");
    }
}

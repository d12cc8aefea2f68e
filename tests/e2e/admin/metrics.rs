//! The metrics, as Prometheus reads and checks them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use introd_tests::program::{Files, Server};

use super::{LOGIN, with_password};
use crate::harness::clients::client;
use crate::harness::http::{fetch, get, get_with};

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/monitoring");

/// What `promtool` says, and whether it is content. Debian has it in the package prometheus, which `tests/run` installs.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let piped = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = piped.expect("promtool is there (Debian: apt-get install prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn prometheus_is_content_with_the_metrics_and_they_count() {
    let files = Files::new();
    files.script("app", "function application.onConnect() sleep(20) return true end", "");
    let server = Server::administered(files.path(), 2);
    let mut peer = client(server.addresses[0], 1).await;
    let metrics = tokio::select! {
        metrics = fetch(server.admin[0], "/metrics") => metrics,
        failure = peer.stay() => panic!("{failure}"),
    };
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    // Chunks are no part of what is checked.
    let text: String = metrics
        .body
        .lines()
        .filter(|line| line.starts_with('#') || line.contains(' '))
        .map(|line| format!("{line}\n"))
        .collect();
    let (is_content, said) = promtool(&["check", "metrics"], &text);
    assert!(is_content, "{said}\n{text}");
    for line in [
        "introd_clients 1",
        "introd_application_clients{application=\"app\"} 1",
        "introd_decision_seconds_count{policy=\"script\"} 1",
        "introd_handshake_seconds_count 1",
        "introd_worker_up{worker=\"0\"} 1",
        "introd_worker_up{worker=\"1\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    for used in ["introd_application_script_memory_bytes{application=\"app\"}", "introd_script_busy_seconds_total"] {
        let line = text.lines().find(|line| line.starts_with(used));
        assert!(line.is_some_and(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0")), "{line:?}");
    }
    let open = get_with(server.admin[0], "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0") && open.body.contains("# EOF"));
    peer.close().await;
}

#[test]
fn prometheus_takes_the_alerts() {
    let (is_content, said) = promtool(&["check", "rules", &format!("{MONITORING}/alerts.yml")], "");
    assert!(is_content && said.contains("SUCCESS: 8 rules found"), "{said}");
}

#[test]
fn metrics_are_for_those_who_may_read() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(get(admin, "/metrics").status, 401);
    assert_eq!(get_with(admin, "/metrics", "Authorization: Basic YWRtaW46czNjcmV0\r\n").status, 200);
    assert_eq!(get(admin, &format!("/metrics?{LOGIN}")).status, 200);
}

//! A disk that is full, a log that nobody reads, and a clock that steps.

use std::path::Path;
use std::process::Command;

use introd_tests::folder::Folder;
use introd_tests::libraries::{c_library, include};
use introd_tests::program::{Server, binary, introd, probe};
use introd_tests::waiting::eventually;

use crate::harness::clients::{client, create_stream, meet};

/// A shell command that runs a server which logs all that it can, and the redirection of its log.
fn logging_to(redirection: &str) -> Command {
    let mut command = Command::new("sh");
    let start = format!("exec \"$@\" {redirection}");
    command.args(["-c", &start, "sh"]).arg(binary()).args(["run", "--listen", "127.0.0.1:0", "--admin", "none"]);
    command.args(["--log-limit", "0"]).env("RUST_LOG", "trace");
    command
}

#[test]
fn a_log_on_a_full_disk_or_one_that_nobody_reads_disturbs_no_client() {
    let folder = Folder::new();
    let fifo = folder.path().join("log");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    // A pipe that its writer has opened for reading, too, never ends, and nobody reads it.
    let unread = format!("2<>{}", fifo.display());
    for redirection in ["2>/dev/full", &unread] {
        let server = Server::by(&mut logging_to(redirection));
        // This takes more lines than the pipe has room for.
        for _ in 0..5 {
            let probed = probe(&["--meet", &server.uri(0)]);
            assert_eq!(probed.code, Some(0), "{redirection}: {probed:?}");
        }
        let ended = server.stop();
        assert_eq!(ended.code, Some(0), "{redirection}: {ended:?}");
    }
}

#[tokio::test]
async fn a_clock_that_steps_by_years_disconnects_nobody() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/service_manager/stepping_clock.c");
    let shim = c_library(&source, &include(), "stepping_clock", &[]);
    let folder = Folder::new();
    let steps = folder.path().join("seconds");
    let step = |seconds: i64| std::fs::write(&steps, seconds.to_string()).expect("a file");
    step(0);
    let mut command = introd(&["run", "--listen", "127.0.0.1:0", "--admin", "none", "--workers", "1"]);
    let server = Server::by(command.env("LD_PRELOAD", &shim).env("CLOCK_STEP_FILE", &steps));
    let address = server.addresses[0];
    let (mut staying, mut found) = (client(address, 1).await, client(address, 2).await);
    const YEAR: i64 = 365 * 86_400 + 6 * 3600;
    let began = year_of_last_line(&server);
    for (number, years) in (0u32..).zip([3, -3, 30, 0]) {
        step(years * YEAR);
        assert!(create_stream(&mut staying, f64::from(number) + 2.0).await > 0.0);
        let mut newcomer = client(address, 100 + u64::from(number)).await;
        meet(&mut newcomer, &mut found).await;
        newcomer.close().await;
        // The program has seen the step: it is in the time of its log. A year is a day longer or shorter than YEAR now and then.
        eventually("the log has the year", || (year_of_last_line(&server) - began - years).abs() <= 1);
    }
    let ended = server.stop();
    assert!(ended.code == Some(0) && ended.stdout.contains("closing 2 clients"), "{ended:?}");
}

/// The year in the time of the last whole line of its log.
fn year_of_last_line(server: &Server) -> i64 {
    let log = server.log();
    let year = log.lines().rev().find_map(|line| line.get(..4)?.parse().ok());
    year.unwrap_or_else(|| panic!("no year in {log}"))
}

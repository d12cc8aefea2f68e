//! The server's log.

use introd_tests::program::Server;

/// Waits until the server's log has that so many times.
pub(crate) async fn logged(server: &Server, what: &'static str, times: usize) {
    let log = server.logged().clone();
    tokio::task::spawn_blocking(move || log.wait_for(what, times)).await.expect("it is logged");
}

/// What scripts and plugins have said between `<<` and `>>`, in order.
pub(crate) fn said(log: &str) -> Vec<&str> {
    let marked = log.lines().filter_map(|line| line.split_once("<<")?.1.split_once(">>"));
    marked.map(|(said, _)| said).collect()
}

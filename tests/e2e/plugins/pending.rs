//! Plugins whose verdicts come later.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use introd_tests::program::{Files, Server};
use rtmfp::PeerId;

use super::puppet;
use crate::harness::clients::{TIMEOUT, client};
use introd_tests::startup_packets::{lookup, redirected_tag};

fn server(config: &str, policy: &str, workers: u8) -> (Files, Server) {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins><Policy>{policy}</Policy>", puppet(config)));
    let server = Server::configured(files.path(), workers);
    (files, server)
}

#[tokio::test]
async fn a_verdict_a_second_later_reaches_the_asker() {
    let (_files, server) = server("<lookup>introduce</lookup><after>1000</after>", "", 2);
    let (mut asker, mut target) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
    let id = target.id();
    tokio::select! {
        () = async {
            let begin = Instant::now();
            let meeting = asker.meet(id, TIMEOUT).await.expect("an introduction");
            assert!(begin.elapsed() >= Duration::from_secs(1), "{meeting:?}");
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    let ended = server.stop();
    assert!(ended.counter("rtmfp_forwards") >= 1, "{ended:?}");
    assert_eq!(ended.counter("plugin_timeouts"), 0, "{ended:?}");
}

#[test]
fn thousands_of_late_verdicts_reach_their_askers() {
    const COUNT: u32 = 5000;
    let config = "<lookup>redirect 192.0.2.1:1935</lookup><after>1000</after>";
    let (_files, server) = server(config, "<Deadline>60000</Deadline>", 2);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let answered = Arc::new(Mutex::new(HashSet::new()));
    let (receiving, noted) = (socket.try_clone().unwrap(), Arc::clone(&answered));
    let reader = std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while noted.lock().unwrap().len() < COUNT as usize {
            let length = receiving.recv(&mut datagram).unwrap();
            let tag = redirected_tag(&mut datagram[..length]).expect("a redirect");
            noted.lock().unwrap().insert(u32::from_be_bytes(tag[..4].try_into().unwrap()));
        }
    });
    let deadline = Instant::now() + TIMEOUT;
    // What the kernel drops on the way is asked again.
    while !reader.is_finished() {
        let missing: Vec<u32> = (0..COUNT).filter(|number| !answered.lock().unwrap().contains(number)).collect();
        assert!(Instant::now() < deadline, "{} are missing", missing.len());
        for batch in missing.chunks(50) {
            for number in batch {
                let mut tag = [0; 16];
                tag[..4].copy_from_slice(&number.to_be_bytes());
                socket.send_to(&lookup(PeerId([1; 32]), tag), server.addresses[0]).unwrap();
            }
            // No more at a time than a socket's buffer holds.
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(1200));
    }
    reader.join().unwrap();
    let ended = server.stop();
    assert!(ended.counter("rtmfp_redirects") >= u64::from(COUNT), "{ended:?}");
    assert_eq!(ended.counter("plugin_timeouts"), 0, "{ended:?}");
    assert_eq!(ended.counter("plugin_puppet_call_failures"), 0, "{ended:?}");
}

#[test]
fn a_verdict_that_never_comes_falls_back_to_on_deadline() {
    for (fallback, denied, unknown) in [("deny", 1, 0), ("ignore", 0, 0), ("continue", 0, 1)] {
        let policy = format!("<Deadline>100</Deadline><OnDeadline>{fallback}</OnDeadline>");
        let (_files, server) = server("<name>a</name><lookup>never</lookup>", &policy, 1);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&lookup(PeerId([1; 32]), [1; 16]), server.addresses[0]).unwrap();
        server.logged().wait_for("<<a cancel Some(Err(TooLate))>>", 1);
        let ended = server.stop();
        assert_eq!(ended.counter("plugin_timeouts"), 1, "{fallback}: {ended:?}");
        assert_eq!(ended.counter("rtmfp_lookups_denied"), denied, "{fallback}: {ended:?}");
        assert_eq!(ended.counter("rtmfp_lookups_unknown"), unknown, "{fallback}: {ended:?}");
    }
}

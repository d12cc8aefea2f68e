//! What a server tells its service manager.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::program::{Files, Process, Server, binary, introd, probe};
use introd_tests::waiting::{DEADLINE, eventually};
use rtmfp::PeerId;
use rustix::process::{Pid, Signal};

use crate::harness::clients::{TIMEOUT, client};
use crate::harness::service_manager::Manager;
use crate::harness::stranger::Stranger;
use crate::plugins::puppet;

const LISTEN: [&str; 5] = ["run", "--listen", "127.0.0.1:0", "--admin", "none"];

#[tokio::test]
async fn a_service_manager_hears_when_the_server_serves_reloads_and_stops() {
    let (manager, files) = (Manager::new(), Files::new());
    files.server("");
    let conf = files.path().to_string_lossy().into_owned();
    let server = Server::by(manager.command(&LISTEN).args(["--conf", &conf]));
    assert_eq!(manager.wait_for("READY=1"), ["READY=1\nSTATUS=0 clients"], "nothing else comes first");
    let connected = client(server.addresses[0], 1).await;
    manager.wait_for("STATUS=1 client");

    server.signal(Signal::HUP);
    let heard = manager.wait_for("READY=1");
    let [.., reloading, ready] = &heard[..] else { panic!("{heard:?}") };
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
    assert_eq!(ready, "READY=1\nSTATUS=introd has read its configuration anew");

    files.write("Server.xml", "<Root>");
    server.signal(Signal::HUP);
    let heard = manager.wait_for("READY=1");
    assert_eq!(
        heard.last().map(String::as_str),
        Some("READY=1\nSTATUS=introd keeps its old configuration"),
        "{heard:?}"
    );

    server.signal(Signal::TERM);
    let heard = manager.wait_for("STOPPING=1");
    assert!(heard.last().is_some_and(|last| last.contains("STATUS=closing 1 client")), "{heard:?}");
    assert_eq!(server.ended().code, Some(0));
    drop(connected);
}

#[test]
fn a_server_that_cannot_start_never_says_that_it_serves() {
    let manager = Manager::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Process::start(&mut manager.command(&["run", "--listen", &address, "--admin", "none"])).ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(manager.heard(), Vec::<String>::new());
}

#[test]
fn a_service_manager_in_the_abstract_namespace_hears_the_server() {
    let name = format!("introd-e2e-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let server = Server::by(introd(&LISTEN).env("NOTIFY_SOCKET", format!("@{name}")));
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).expect("a message in time");
    assert!(bytes[..length].starts_with(b"READY=1\n"), "{}", String::from_utf8_lossy(&bytes[..length]));
    assert_eq!(server.stop().code, Some(0));
}

/// The number after `MAINPID=`.
fn main_process(heard: &[String]) -> Option<u32> {
    heard.iter().find_map(|message| message.strip_prefix("MAINPID=")?.parse().ok())
}

#[tokio::test]
async fn a_reload_after_the_program_was_replaced_has_the_new_one_take_over() {
    let (manager, folder) = (Manager::new(), Folder::new());
    let program = folder.join("introd");
    std::fs::copy(binary(), &program).expect("a copy");
    let takeover = format!("--takeover={}", folder.join("takeover").display());
    let mut command = Command::new(&program);
    command.args(LISTEN).arg(&takeover).env_remove("RUST_LOG");
    let server = Server::by(manager.tells(&mut command));
    manager.wait_for("READY=1");
    let mut connected = client(server.addresses[0], 1).await;

    // A program that does not start changes nothing.
    let replace = |by: &dyn Fn(&Path)| {
        let new = folder.join("new");
        by(&new);
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its own file");
        std::fs::rename(&new, &program).expect("its own folder");
        server.signal(Signal::HUP);
    };
    replace(&|new| std::fs::write(new, "#!/bin/sh\nexit 3\n").expect("a file"));
    let heard = manager.wait_for("READY=1");
    assert!(heard.last().is_some_and(|last| last.contains("the new program has not taken over")), "{heard:?}");
    assert_eq!(main_process(&heard), None);
    server.logged().wait_for("it has ended with exit status: 3", 1);

    replace(&|new| {
        std::fs::copy(binary(), new).expect("a copy");
    });
    let mut heard = Vec::new();
    // The two processes tell in any order.
    while main_process(&heard).is_none() || !heard.iter().any(|message: &String| message.starts_with("READY=1")) {
        heard.push(manager.wait());
    }
    assert!(heard[0].starts_with("RELOADING=1\n"), "{heard:?}");
    let next = main_process(&heard).and_then(|process| Pid::from_raw(process.try_into().ok()?)).expect("a process");
    assert_ne!(next, server.id());
    // The client is still there, and the service ends in an orderly way.
    let answer = connected.call("introd.connectivity", Vec::new(), TIMEOUT).await.expect("it is connected");
    assert!(answer.is_ok());
    rustix::process::kill_process(next, Signal::TERM).expect("it runs");
    let heard = manager.wait_for("STOPPING=1");
    assert!(heard.last().is_some_and(|last| last.contains("closing 1 client")), "{heard:?}");
    // The output of both, which is one pipe.
    assert_eq!(server.ended().code, Some(0));
}

/// Whether the process has been stopped by a signal (SIGSTOP).
fn is_frozen(server: &Server) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id().as_raw_nonzero())).expect("it runs");
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
}

#[test]
fn the_watchdog_is_shown_that_the_server_goes_on_and_nothing_while_it_is_frozen() {
    let manager = Manager::new();
    let server = Server::by(manager.command(&LISTEN).env("WATCHDOG_USEC", "3000000"));
    for _ in 0..2 {
        manager.wait_for("WATCHDOG=1");
    }
    server.signal(Signal::STOP);
    eventually("it is frozen", || is_frozen(&server));
    manager.heard();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(manager.heard(), Vec::<String>::new());
    server.signal(Signal::CONT);
    manager.wait_for("WATCHDOG=1");
    let probed = probe(&[&server.uri(0)]);
    assert_eq!(probed.code, Some(0), "{probed:?}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn the_watchdog_hears_nothing_more_of_a_server_whose_worker_stands_still() {
    let (manager, files) = (Manager::new(), Files::new());
    files.application(&format!("<Plugins>{}</Plugins>", puppet("<lookup>block 3600000</lookup>")));
    let conf = files.path().to_string_lossy().into_owned();
    let mut command = manager.command(&LISTEN);
    command.args(["--conf", &conf, "--workers", "1"]).env("WATCHDOG_USEC", "3000000");
    let server = Server::by(&mut command);
    manager.wait_for("WATCHDOG=1");
    Stranger::new(TIMEOUT).ask(server.addresses[0], PeerId([7; 32]));
    // The main thread goes on all the time, and would show the watchdog something for ever.
    manager.wait_for("STOPPING=1");
    assert_eq!(server.ended().code, Some(70));
    let after: Vec<String> = manager.heard().into_iter().filter(|message| message.contains("WATCHDOG=1")).collect();
    assert_eq!(after, Vec::<String>::new());
}

//! What a service manager is told, read from its socket.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::*;

/// A service manager that listens at a name of its own in the abstract namespace, and the name.
fn manager(test: &str) -> (UnixDatagram, String) {
    let name = format!("introd-{test}-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    (socket, format!("@{name}"))
}

fn told_by(name: &str) -> ServiceManager {
    let watchdog = Watchdog::of(Some("30000000".as_ref()), None);
    ServiceManager { messages: Messages::to(Some(name.as_ref())), watchdog, status: String::new(), told: None }
}

/// The next message; `None` if there is none. Datagrams between local sockets arrive within the call that sends them.
fn next(manager: &UnixDatagram) -> Option<String> {
    let mut bytes = [0; 1024];
    let length = manager.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
}

#[test]
fn what_happens_is_told_in_its_order() {
    let (manager, name) = manager("order");
    let mut server = told_by(&name);
    let now = Instant::now();
    server.tell_ready("0 clients");
    server.tell_reloading();
    server.tell_ready("read\nREADY=1");
    server.tell_stopping("closing 2 clients");
    server.tick(now, 1, "closing 2 clients");
    assert_eq!(next(&manager).as_deref(), Some("READY=1\nSTATUS=0 clients"));
    let reloading = next(&manager).unwrap();
    let (state, rest) = reloading.split_once("\nMONOTONIC_USEC=").unwrap();
    assert_eq!(state, "RELOADING=1");
    let (microseconds, _) = rest.split_once('\n').unwrap();
    let clock = clock_gettime(ClockId::Monotonic);
    let age =
        i128::from(clock.tv_sec) * 1_000_000 + i128::from(clock.tv_nsec) / 1000 - microseconds.parse::<i128>().unwrap();
    assert!((0..600_000_000).contains(&age), "{age}");
    assert_eq!(next(&manager).as_deref(), Some("READY=1\nSTATUS=read READY=1"), "no text makes a line of its own");
    assert_eq!(next(&manager).as_deref(), Some("STOPPING=1\nSTATUS=closing 2 clients"));
    assert_eq!(next(&manager).as_deref(), Some("WATCHDOG=1"), "the status is known already");
    assert_eq!(next(&manager), None);
}

#[test]
fn a_status_is_told_when_it_has_changed_but_not_all_the_time() {
    let (manager, name) = manager("status");
    let mut server = told_by(&name);
    server.watchdog = None;
    let start = Instant::now();
    for (milliseconds, status) in
        [(0, "1 client"), (1000, "2 clients"), (2000, "3 clients"), (3000, "4 clients"), (9000, "4 clients")]
    {
        server.tick(start + Duration::from_millis(milliseconds), 0, status);
    }
    let told: Vec<String> = std::iter::from_fn(|| next(&manager)).collect();
    assert_eq!(told, ["STATUS=1 client", "STATUS=3 clients", "STATUS=4 clients"]);
}

#[test]
fn a_manager_that_reads_nothing_is_not_waited_for_and_hears_the_latest_in_order() {
    let (manager, name) = manager("unread");
    let mut server = told_by(&name);
    // More than the kernel keeps for it, and more than wait here.
    for number in 0..1000 {
        server.tell_ready(&format!("{number}"));
    }
    assert!(server.messages.are_waiting());
    server.tick(Instant::now(), 1, "not told now");
    let mut told = Vec::new();
    while let Some(message) = next(&manager) {
        told.push(message);
        server.messages.flush();
    }
    let numbers: Vec<u32> = told.iter().map(|message| message.rsplit('=').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() < 1000 && numbers.last() == Some(&999), "{numbers:?}");
}

#[test]
fn without_a_manager_or_with_a_name_that_is_none_nothing_happens() {
    for name in [None, Some(""), Some("vsock:2:1234"), Some("relative/path"), Some("/nonexistent/introd/notify")] {
        let mut messages = Messages::to(name.map(str::as_ref));
        for _ in 0..100 {
            messages.send("READY=1".to_owned());
        }
        assert!(!messages.are_waiting(), "{name:?}");
    }
}

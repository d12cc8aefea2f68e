//! Limits, options and threads.

use introd_policy::net_connection::CommandRefused;

use super::*;
use crate::netconnections::connection::MAX_COMMANDS;

#[test]
fn connections_of_one_instance_are_limited() {
    let service = NetConnectionService::new();
    let limits = NetConnectionLimits { max_connections: 2, ..NetConnectionLimits::default() };
    let opened: Vec<_> = (0..2).map(|_| open_with(&service, limits, serverless("a")).unwrap()).collect();
    let Err(OpenError::Limit(message)) = open_with(&service, limits, serverless("a")) else { panic!("one too many") };
    assert!(message.contains("MaxNetConnections"), "{message}");
    // Another instance has limits of its own.
    let (sender, _events) = channel();
    let other = service.open(&owner("other"), &settings(limits), serverless("a"), Arc::new(Inbox(sender)));
    assert!(other.is_ok());
    drop(opened);
    assert!(open_with(&service, limits, serverless("a")).is_ok());
    let none = NetConnectionLimits { max_connections: 0, ..limits };
    assert!(matches!(open_with(&service, none, serverless("a")), Err(OpenError::Limit(_))));
    assert_eq!(service.counters().counts().opened, 4);
}

#[test]
fn options_that_make_no_sense_open_nothing() {
    let service = NetConnectionService::new();
    for options in [
        ConnectionOptions { uri: "rtmp://host/app".to_owned(), ..serverless("a") },
        ConnectionOptions { bind_addresses: vec!["host".to_owned()], ..serverless("a") },
        ConnectionOptions { endpoint_name: Some(String::new()), ..serverless("a") },
    ] {
        let refused = open_with(&service, NetConnectionLimits::default(), options);
        assert!(matches!(refused, Err(OpenError::Options(_))));
    }
    let foreign = ConnectionOptions { bind_addresses: vec!["203.0.113.1".to_owned()], ..serverless("a") };
    let refused = open_with(&service, NetConnectionLimits::default(), foreign);
    assert!(matches!(refused, Err(OpenError::System(message)) if message.contains("no such address")));
    assert_eq!(service.counters().counts().opened, 0);
}

#[test]
fn groups_of_one_connection_are_limited() {
    let service = NetConnectionService::new();
    let limits = NetConnectionLimits { max_groups: 2, ..NetConnectionLimits::default() };
    let a = open_with(&service, limits, serverless("a")).unwrap();
    let join = |number: u64| {
        let group = GroupSpecifier::new(format!("group {number}")).unwrap().with_authorizations().unwrap();
        a.connection.send(ConnectionCommand::Join { group: GroupId(number), groupspec: group.as_str().to_owned() })
    };
    assert_eq!([join(1), join(2), join(3)], [Ok(()), Ok(()), Err(CommandRefused::Groups)]);
    a.connection.send(ConnectionCommand::Group { group: GroupId(1), command: GroupCommand::Close }).unwrap();
    // One that cannot be joined takes no place for long: the answer to it comes after the group above is left.
    a.connection
        .send(ConnectionCommand::Call { method: "m".to_owned(), arguments: Vec::new(), token: Some(1) })
        .unwrap();
    a.wait(|event| matches!(event, ConnectionEvent::Answer { token: 1, outcome: Err(_) }).then_some(()));
    assert_eq!([join(4), join(5)], [Ok(()), Err(CommandRefused::Groups)]);
}

/// An inbox that says when an event comes and then waits, so that its connection's task stands still, and that has no room for the event.
struct Stopped {
    entered: Sender<()>,
    wait: std::sync::Mutex<Receiver<()>>,
}

impl ConnectionEvents for Stopped {
    fn tell(&self, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        let _ = self.entered.send(());
        let _ = self.wait.lock().unwrap().recv();
        Err(Box::new(event))
    }
}

#[test]
fn commands_and_their_bytes_are_bounded_and_what_finds_no_room_is_counted() {
    let service = NetConnectionService::new();
    let limits = NetConnectionLimits { max_queued_bytes: 100_000, ..NetConnectionLimits::default() };
    let post = |bytes: usize| {
        let command = GroupCommand::Post { value: vec![5; bytes] };
        ConnectionCommand::Group { group: GROUP, command }
    };
    let ((entered, has_entered), (go_on, wait)) = (channel(), channel());
    let open = |name: &str, wait: Receiver<()>| {
        let events = Arc::new(Stopped { entered: entered.clone(), wait: std::sync::Mutex::new(wait) });
        service.open(&owner("room"), &settings(limits), serverless(name), events).unwrap()
    };
    let a = open("a", wait);
    // The task waits in its first event, and takes no command.
    assert_eq!([a.send(post(90_000)), a.send(post(20_000))], [Ok(()), Err(CommandRefused::Full)]);
    drop(go_on);
    let (go_on, wait) = channel();
    let b = open("b", wait);
    let refused = (0..MAX_COMMANDS + 10).filter(|_| b.send(post(0)) == Err(CommandRefused::Full)).count();
    assert!(refused >= 10, "{refused}");
    for _ in 0..2 {
        has_entered.recv_timeout(TIMEOUT).unwrap();
    }
    drop(go_on);
    drop((a, b));
    service.stop();
    let counters = service.counters().counts();
    assert_eq!(counters.commands_refused, 1 + refused as u64);
    assert_eq!(counters.events_dropped, 2, "the events of both");
}

#[test]
fn an_address_of_a_connection_that_is_being_closed_is_waited_for() {
    let service = NetConnectionService::new();
    let a = open(&service, serverless("a"));
    let (_, address) = a.connected();
    let same = ConnectionOptions { bind_addresses: vec![address.to_string()], ..serverless("a") };
    // As at a reload: the new script opens its connection before that of the old one is dropped.
    let b = open(&service, same.clone());
    drop(a);
    assert_eq!(b.connected().1, address);
    // One of another instance is not waited for.
    let (sender, _events) = channel();
    let other = service.open(&owner("other"), &settings(NetConnectionLimits::default()), same, Arc::new(Inbox(sender)));
    assert!(matches!(other, Err(OpenError::System(message)) if message.contains("another program has this port")));
}

#[test]
fn no_event_comes_after_a_connection_is_dropped() {
    let service = NetConnectionService::new();
    for _ in 0..20 {
        let Opened { connection, events } = open(&service, serverless("a"));
        drop(connection);
        // What came before is there, and the sender is gone.
        let before = events.try_iter().count();
        assert!(before <= 1);
        assert!(events.recv().is_err());
    }
}

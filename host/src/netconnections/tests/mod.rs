//! The service with real sockets: what scripts' hosts see of it.

mod bounds;
mod groups;
mod servers;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use introd_config::{Application, Config, NetConnectionLimits};
use introd_netgroup::{GroupSpecifier, Groupspec};
use introd_policy::InstanceName;
use introd_policy::net_connection::{
    ConnectionCommand, ConnectionEvent, ConnectionEvents, ConnectionOptions, GroupCommand, GroupEvent, GroupId,
    NetConnection, NetConnections, OpenError,
};

use super::NetConnectionService;

/// So long a test waits for what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Receives the events of one connection.
struct Inbox(Sender<ConnectionEvent>);

impl ConnectionEvents for Inbox {
    fn tell(&self, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        self.0.send(event).map_err(|error| Box::new(error.0))
    }
}

/// A connection and its events.
struct Opened {
    connection: Box<dyn NetConnection>,
    events: Receiver<ConnectionEvent>,
}

fn settings(limits: NetConnectionLimits) -> Arc<Application> {
    let mut application = Config::built_in().default_adaptor.default_vhost.defaults;
    Arc::make_mut(&mut application).script.net_connections = limits;
    application
}

fn owner(instance: &str) -> InstanceName {
    let text = |text: &str| text.to_owned();
    InstanceName {
        adaptor: text("_defaultRoot_"),
        vhost: text("_defaultVHost_"),
        application: text("app"),
        instance: text(instance),
    }
}

fn serverless(name: &str) -> ConnectionOptions {
    ConnectionOptions {
        uri: "rtmfp:".to_owned(),
        bind_addresses: vec!["127.0.0.1".to_owned()],
        endpoint_name: Some(name.to_owned()),
        ..ConnectionOptions::default()
    }
}

fn open_with(
    service: &NetConnectionService,
    limits: NetConnectionLimits,
    options: ConnectionOptions,
) -> Result<Opened, OpenError> {
    let (sender, events) = channel();
    let connection = service.open(&owner("room"), &settings(limits), options, Arc::new(Inbox(sender)))?;
    Ok(Opened { connection, events })
}

fn open(service: &NetConnectionService, options: ConnectionOptions) -> Opened {
    open_with(service, NetConnectionLimits::default(), options).unwrap()
}

fn group() -> Groupspec {
    GroupSpecifier::new("servers").unwrap().with_authorizations().unwrap()
}

const GROUP: GroupId = GroupId(7);

impl Opened {
    /// Waits for the first event that this is something of.
    fn wait<T>(&self, mut of: impl FnMut(ConnectionEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(TIMEOUT).expect("it happens in time");
            if let Some(found) = of(event) {
                return found;
            }
        }
    }

    fn wait_group<T>(&self, mut of: impl FnMut(GroupEvent) -> Option<T>) -> T {
        self.wait(|event| match event {
            ConnectionEvent::Group { group: GROUP, event } => of(event),
            _ => None,
        })
    }

    /// The own peer ID and the address that is bound, when the connection is open.
    fn connected(&self) -> (rtmfp::PeerId, std::net::SocketAddr) {
        self.wait(|event| match event {
            ConnectionEvent::Connected { near_id, bound, .. } => Some((near_id, bound[0])),
            event => panic!("{event:?}"),
        })
    }

    /// The code with which the connection is closed.
    fn closed(&self) -> String {
        self.wait(|event| match event {
            ConnectionEvent::Closed { code, .. } => Some(code),
            _ => None,
        })
    }

    fn join(&self) {
        let groupspec = group().as_str().to_owned();
        self.connection.send(ConnectionCommand::Join { group: GROUP, groupspec }).unwrap();
        self.wait_group(|event| (event == GroupEvent::Connected).then_some(()));
    }

    fn group(&self, command: GroupCommand) {
        self.connection.send(ConnectionCommand::Group { group: GROUP, command }).unwrap();
    }
}

/// Two members of one group that are neighbours: their connections, and their peer IDs.
fn pair(first: &NetConnectionService, second: &NetConnectionService) -> [(Opened, rtmfp::PeerId); 2] {
    let (a, b) = (open(first, serverless("a")), open(second, serverless("b")));
    let ((a_id, _), (b_id, b_at)) = (a.connected(), b.connected());
    a.join();
    b.join();
    a.group(GroupCommand::AddPermanentNeighbor { name: "b".to_owned(), addresses: vec![b_at] });
    let named = a.wait_group(|event| match event {
        GroupEvent::NeighborConnected { peer, name } => Some((peer, name)),
        _ => None,
    });
    assert_eq!(named, (b_id, Some("b".to_owned())));
    let unnamed = b.wait_group(|event| match event {
        GroupEvent::NeighborConnected { peer, name } => Some((peer, name)),
        _ => None,
    });
    assert_eq!(unnamed, (a_id, None));
    [(a, a_id), (b, b_id)]
}

//! Connections to a server: one of this program.

use introd_policy::net_connection::CommandRefused;

use super::*;
use crate::server::{Server, ServerSettings};

#[test]
fn a_server_that_is_not_there_is_a_failure() {
    let service = NetConnectionService::new();
    // A socket that answers nothing.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let uri = format!("rtmfp://{}/app", silent.local_addr().unwrap());
    let a = open(&service, ConnectionOptions { uri, ..serverless("a") });
    // Dropping it ends the attempt, and stopping the service as well.
    service.stop();
    assert_eq!(a.closed(), "NetConnection.Connect.AppShutdown");
    let service = NetConnectionService::new();
    let other_family = ConnectionOptions { uri: "rtmfp://[::1]:9/app".to_owned(), ..serverless("a") };
    assert_eq!(open(&service, other_family).closed(), "NetConnection.Connect.Failed");
}

#[test]
fn a_client_of_a_server_connects_calls_joins_groups_and_is_told_of_the_end() {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let settings = ServerSettings { listen, workers: Some(1), ..ServerSettings::default() };
    let mut server = Server::start(&settings).unwrap();
    let uri = format!("rtmfp://{}/app/room", server.addresses()[0]);
    let service = NetConnectionService::new();
    let connect = || open(&service, ConnectionOptions { uri: uri.clone(), endpoint_name: None, ..serverless("a") });
    let (a, b) = (connect(), connect());
    let id = |opened: &Opened| {
        opened.wait(|event| match event {
            ConnectionEvent::Connected { near_id, far_id, nonces, info, .. } => {
                assert!(far_id.is_some() && nonces.is_some());
                assert_eq!(info.get("code").and_then(|code| code.as_str()), Some("NetConnection.Connect.Success"));
                Some(near_id)
            }
            event => panic!("{event:?}"),
        })
    };
    let (a_id, b_id) = (id(&a), id(&b));
    // The application has no script, which is an answer as well.
    let call = ConnectionCommand::Call { method: "hello".to_owned(), arguments: Vec::new(), token: Some(5) };
    a.connection.send(call).unwrap();
    a.wait(|event| matches!(event, ConnectionEvent::Answer { token: 5, outcome: Err(_) }).then_some(()));
    // The server introduces the members of a group to each other.
    a.join();
    b.join();
    for (opened, other) in [(&a, b_id), (&b, a_id)] {
        let is_it = |event| matches!(event, GroupEvent::NeighborConnected { peer, .. } if peer == other).then_some(());
        opened.wait_group(is_it);
    }
    server.stop();
    assert_eq!([a.closed(), b.closed()], ["NetConnection.Connect.Closed"; 2].map(str::to_owned));
    assert_eq!(
        a.connection.send(ConnectionCommand::Group { group: GROUP, command: GroupCommand::Close }),
        Err(CommandRefused::Closed)
    );
}

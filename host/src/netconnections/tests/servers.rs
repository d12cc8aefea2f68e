//! Connections to a server: one of this program.

use super::*;

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

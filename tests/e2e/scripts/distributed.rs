//! `lua/distributed`: servers that share their clients over a group of their own, without a registry.

use std::net::UdpSocket;

use introd_tests::program::{Files, GroupMember, Peer, Server, groupspec};
use introd_tests::waiting::eventually;
use rustix::process::Signal;

use super::find;

/// Ports for the groups of so many servers.
fn free_ports(count: usize) -> Vec<u16> {
    let sockets: Vec<_> = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("its address").port()).collect()
}

/// Server number `own` of those whose groups have these ports. The first two are bootstrap nodes.
fn files(ports: &[u16], own: usize) -> Files {
    let files = Files::new();
    let node = |number: usize| {
        format!("<bootstrap><name>server-{number}</name><address>127.0.0.1:{}</address></bootstrap>", ports[number])
    };
    let settings = format!(
        "<LoadOnStartup>true</LoadOnStartup>\
         <ScriptEngine><ApplicationObject><config>\
         <secret>known to servers only</secret><endpointName>server-{own}</endpointName><bind>127.0.0.1:{}</bind>{}{}<beat>500</beat><gone>6000</gone>\
         </config></ApplicationObject></ScriptEngine>\
         <RTMFP><PeerLookupEvents mode=\"All\"/><GroupControl><JoinLeaveEvents mode=\"All\"/></GroupControl></RTMFP>",
        ports[own],
        node(0),
        node(1)
    );
    files.script("meet", include_str!("../../../lua/distributed/main.lua"), &settings);
    for (file, text) in [
        ("settings.lua", include_str!("../../../lua/distributed/settings.lua")),
        ("buckets.lua", include_str!("../../../lua/distributed/buckets.lua")),
        ("own.lua", include_str!("../../../lua/distributed/own.lua")),
        ("others.lua", include_str!("../../../lua/distributed/others.lua")),
        ("mesh.lua", include_str!("../../../lua/distributed/mesh.lua")),
        ("members.lua", include_str!("../../../lua/distributed/members.lua")),
    ] {
        files.write(&format!("../applications/meet/{file}"), text);
    }
    files
}

fn is_found(target: &Peer, at: &Server) {
    let ended = find(&target.id, &at.uri_of("meet"), "30");
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}", at.log());
    assert_eq!(ended.json()["message_exchanged"], true, "{ended:?}");
}

#[test]
fn servers_without_a_registry_introduce_their_clients_also_after_the_bootstrap_nodes_are_gone() {
    let ports = free_ports(3);
    let files: Vec<Files> = (0..3).map(|own| files(&ports, own)).collect();
    let start = |own: usize| Server::configured(files[own].path(), 1);
    let servers: Vec<Server> = (0..3).map(start).collect();
    for server in &servers {
        server.logged().wait_for("is in the group", 2);
    }
    let targets: Vec<Peer> = servers.iter().map(|server| Peer::stay(&server.uri_of("meet"))).collect();
    for (at, server) in servers.iter().enumerate() {
        is_found(&targets[(at + 1) % 3], server);
    }
    // The members of a group on three servers, none of which is told of another by its own server alone.
    let spec = groupspec("across", true);
    let members: Vec<GroupMember> =
        servers.iter().map(|server| GroupMember::start(&server.uri_of("meet"), &spec)).collect();
    eventually("each member is a neighbour of the other two", || {
        members.iter().all(|member| member.neighbors().is_some_and(|(_, neighbors)| neighbors.len() == 2))
    });
    drop(members);
    let mut servers = servers.into_iter();
    let (first, second, third) = (servers.next().unwrap(), servers.next().unwrap(), servers.next().unwrap());
    first.signal(Signal::KILL);
    first.ended();
    third.logged().wait_for("server-0 is not heard any more", 1);
    is_found(&targets[1], &third);
    second.signal(Signal::KILL);
    second.ended();
    third.logged().wait_for("server-1 is not heard any more", 1);
    // The first is back, with another identity, and finds the third, or is found by it.
    let first = start(0);
    first.logged().wait_for("server-2 is in the group", 1);
    is_found(&targets[2], &first);
    for server in [first, third] {
        let ended = server.stop();
        assert!(!ended.stderr.contains("ERROR"), "{ended:?}");
    }
}

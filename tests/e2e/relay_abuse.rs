//! Floods at the ports of the relay: nothing is passed on, no memory is lost, and clients are served meanwhile.

use std::net::{SocketAddr, UdpSocket};

use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use crate::harness::clients::{client, create_stream};
use crate::harness::http::get;
use introd_tests::startup_packets::lookup;

const SETTINGS: &str = "<RTMFP><Relay mode=\"Fallback\"/></RTMFP>";
const PORTS: &str = "<RTMFP><Relay><Ports>127.0.0.1:0,0,0,0</Ports></Relay></RTMFP>";
/// Datagrams of a flood to one port.
const FLOOD: u32 = 20_000;

/// The ports of the relay, as the log names them.
fn ports(server: &Server) -> Vec<SocketAddr> {
    let log = server.log();
    let line = log.lines().find(|line| line.contains("peers that cannot meet are relayed")).expect("a relay");
    let (_, ports) = line.split_once("ports=").unwrap();
    let (ports, _) = ports.split_once(" pairs=").unwrap();
    let runs = ports.split(", ").map(|run| run.split_once('-').unwrap_or((run, run)));
    let numbers = runs.flat_map(|(first, last)| first.parse::<u16>().unwrap()..=last.parse::<u16>().unwrap());
    numbers.map(|port| ([127, 0, 0, 1], port).into()).collect()
}

fn metric(server: &Server, name: &str) -> u64 {
    let body = get(server.admin[0], "/metrics").body;
    let value = body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {body}"))
}

/// Sends datagrams of sessions that there are not, rubbish, and hellos with tags of no pair. Waits until the relay has read the last of them.
fn flood(server: &Server, ports: &[SocketAddr], round: u32) {
    let strangers: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for number in 0..FLOOD {
        let from = &strangers[number as usize % strangers.len()];
        let mut datagram = vec![number as u8; 20 + (number as usize * 7) % 1400];
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        let tag: [u8; 16] = std::array::from_fn(|place| (number.rotate_left(place as u32) ^ round) as u8);
        let hello = lookup(PeerId([number as u8; 32]), tag);
        for port in ports {
            from.send_to(if number % 4 == 0 { &hello } else { &datagram }, port).unwrap();
        }
    }
    let dropped = "introd_relay_datagrams_dropped_total{reason=\"tag\"}";
    let before = metric(server, dropped);
    eventually("the relay reads on after a flood", || {
        strangers[0].send_to(&lookup(PeerId([1; 32]), [round as u8; 16]), ports[0]).unwrap();
        metric(server, dropped) > before
    });
}

#[tokio::test]
async fn floods_at_the_ports_of_the_relay_pass_nothing_on_and_cost_no_memory() {
    let files = Files::new();
    files.application(SETTINGS).adaptor(PORTS);
    let server = Server::administered(files.path(), 2);
    let ports = ports(&server);
    assert_eq!(ports.len(), 4);
    let mut client = client(server.addresses[0], 1).await;
    // What the relay needs once and for all: its batches.
    flood(&server, &ports, 1);
    let before = server.resident();
    for round in 2..5 {
        flood(&server, &ports, round);
        assert!(create_stream(&mut client, f64::from(round)).await > 0.0, "clients are served");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 4_000, "{grown} KiB");
    client.close().await;
    let ended = server.stop();
    assert_eq!((ended.counter("relay_datagrams"), ended.counter("relay_pairs_made")), (0, 0));
    assert!(ended.counter("relay_datagrams_dropped_unknown") > 0 && ended.counter("relay_datagrams_dropped_tag") > 3);
}

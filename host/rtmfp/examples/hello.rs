//! A greeting over UDP. `hello listen 127.0.0.1:1935` is the server, `hello 127.0.0.1:1935` the client.
#![allow(clippy::disallowed_methods, reason = "a driver is where the time comes from")]

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId};
use rtmfp::{Config, Endpoint, Event, InterfaceId, SessionId};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (is_server, address): (bool, SocketAddr) = match &arguments[..] {
        [listen, address] if listen == "listen" => (true, address.parse()?),
        [address] => (false, address.parse()?),
        _ => return Err("usage: hello listen ADDRESS:PORT | hello ADDRESS:PORT".into()),
    };
    let groups = [Group::Modp14, Group::Modp2];
    let identity = Arc::new(Identity::ephemeral(&groups, None, is_server, &mut ChaCha20Rng::from_seed(random()?)));
    let config = if is_server { Config::server(vec![identity]) } else { Config::peer(identity) };
    let mut endpoint = Endpoint::new(Instant::now(), config, random()?);
    let any = if address.is_ipv4() { ([0; 4], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(if is_server { address } else { any })?;
    if !is_server {
        endpoint.open(Instant::now(), Epd::ancillary("rtmfp://hello"), &[(InterfaceId(0), address)]);
    }
    let (mut inbound, mut outbound, mut is_over) = ([0; 2048], Vec::new(), false);
    while !is_over {
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::Keying(job) => endpoint.keying_done(Instant::now(), job.run()),
                Event::Opened { session, is_initiator: true } => say(&mut endpoint, session, None, "hello")?,
                Event::Flow { session, event: FlowEvent::Opened { flow, .. } } if is_server => {
                    say(&mut endpoint, session, Some(flow), "hello yourself")?;
                }
                Event::Flow { session, event: FlowEvent::Message { data, .. } } => {
                    println!("{}", String::from_utf8_lossy(&data));
                    if !is_server {
                        endpoint.close(Instant::now(), session);
                    }
                }
                Event::OpenFailed { reason, .. } => return Err(reason.into()),
                Event::Closed { .. } => is_over = !is_server,
                _ => (),
            }
        }
        while let Some(transmit) = endpoint.poll_transmit(Instant::now(), &mut outbound) {
            socket.send_to(&outbound, transmit.to)?;
            outbound.clear();
        }
        let wait = endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut inbound) {
            Ok((len, from)) => endpoint.handle_datagram(Instant::now(), InterfaceId(0), from, &mut inbound[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => (),
            Err(error) => return Err(error.into()),
        }
        endpoint.handle_timeout(Instant::now());
    }
    Ok(())
}

fn say(end: &mut Endpoint, session: SessionId, answers: Option<RecvFlowId>, text: &str) -> Result<(), Box<dyn Error>> {
    let options = FlowOptions { return_of: answers, ..FlowOptions::default() };
    let flow = end.open_flow(Instant::now(), session, b"hello", options)?;
    end.send(Instant::now(), session, flow, text, Delivery::default())?;
    Ok(())
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map(|()| bytes)
}

//! The connections of the port that is tested: to one address of a server after the other, always from the same port, so that their servers
//! see what the NAT makes of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use introd_flash::amf::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::startup_packet::{StartupPacket, Tag, new_tag, watch};
use crate::cli::probe::connecting::{Setup, bind, connect_from};
use crate::cli::probe::failure::local_failure;
use introd_client::{Client, ClientFailure, Destination};

/// The method of the server that sends packets from addresses which the client has not sent to.
const TEST_NAT: &str = "introd.testNat";
/// How often the server is asked for such packets: each may be lost.
const ROUNDS: usize = 3;
/// How long packets may come after the server's last answer, which is sent at the same time.
const LATE: Duration = Duration::from_secs(1);

/// The port that is tested.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestedPort(SocketAddr);

impl TestedPort {
    /// A free port, of the address that the arguments name if they name one.
    pub(super) fn new(setup: &Setup<'_>, is_ipv4: bool) -> Self {
        let any: IpAddr = if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self(setup.args.bind.unwrap_or(SocketAddr::new(any, 0)))
    }

    /// The same address, with a port that the system chooses.
    pub(super) fn other(self) -> Self {
        Self(SocketAddr::new(self.0.ip(), 0))
    }

    pub(super) fn address(self) -> SocketAddr {
        self.0
    }

    /// Connects from the port to one address of a server. The first call chooses the port.
    pub(super) async fn connect(
        &mut self,
        setup: &Setup<'_>,
        uri: &str,
        server: SocketAddr,
    ) -> Result<Client, ClientFailure> {
        let socket = bind(self.0)?;
        self.0 = socket.local_address();
        let destination = Destination { uri: uri.to_owned(), addresses: vec![server] };
        connect_from(setup, vec![socket], destination, setup.args.timeout).await
    }
}

/// What the server did to help, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// Whether a packet from another port of the server's address came; `None` if none was sent.
    pub(super) other_port: Option<bool>,
    /// The same of a packet from another address.
    pub(super) other_address: Option<bool>,
    /// The addresses that the server says it listens on.
    pub(super) addresses: Vec<SocketAddr>,
    /// By which the server sends a packet to this client later.
    pub(super) ticket: Option<String>,
    /// Why the server does not help.
    pub(super) refusal: Option<String>,
}

/// What the server sends one time.
#[derive(Debug, Default)]
struct Sent {
    other_port: bool,
    other_address: bool,
    addresses: Vec<SocketAddr>,
    ticket: Option<String>,
}

impl Sent {
    /// Reads the server's answer. A server may tell anything: what makes no sense is left out.
    fn read(values: &[Value]) -> Self {
        let Some(answer) = values.first() else { return Self::default() };
        let is_address = |name| answer.get(name).and_then(Value::as_str).is_some();
        let addresses = match answer.get("addresses") {
            Some(Value::Array(addresses)) => &addresses[..],
            _ => &[],
        };
        Self {
            other_port: is_address("otherPort"),
            other_address: is_address("otherAddress"),
            addresses: addresses.iter().filter_map(|address| address.as_str()?.parse().ok()).collect(),
            ticket: answer.get("ticket").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// Gets a ticket, without waiting for the packets that the server sends.
pub(super) async fn ask_for_ticket(client: &mut Client, timeout: Duration) -> Result<Unasked, ClientFailure> {
    Ok(match client.call(TEST_NAT, vec![hex::encode(new_tag()?).into()], timeout).await? {
        Ok(values) => Unasked { ticket: Sent::read(&values).ticket, ..Unasked::default() },
        Err(status) => Unasked { refusal: Some(status.description), ..Unasked::default() },
    })
}

/// Has the server send packets to the client from addresses that the client has not sent to, and waits for them.
pub(super) async fn ask_for_unasked(client: &mut Client, timeout: Duration) -> Result<Unasked, ClientFailure> {
    let mut packets = watch(&mut client.peer().ports);
    let (mut unasked, mut tags) = (Unasked::default(), Vec::new());
    for _ in 0..ROUNDS {
        let tag = new_tag()?;
        tags.push(tag);
        match client.call(TEST_NAT, vec![hex::encode(tag).into()], timeout).await? {
            Ok(values) => {
                let sent = Sent::read(&values);
                for (arrived, is_sent) in
                    [(&mut unasked.other_port, sent.other_port), (&mut unasked.other_address, sent.other_address)]
                {
                    if is_sent {
                        arrived.get_or_insert(false);
                    }
                }
                (unasked.addresses, unasked.ticket) = (sent.addresses, sent.ticket);
            }
            Err(status) => {
                unasked.refusal = Some(status.description);
                break;
            }
        }
        take(client, &mut packets, &tags, &mut unasked);
        if unasked.is_complete() {
            break;
        }
    }
    let until = Instant::now() + LATE;
    while !unasked.is_complete() && Instant::now() < until {
        if let Ok(event) = timeout_at(until, client.next()).await {
            event.map_err(local_failure)?;
        }
        take(client, &mut packets, &tags, &mut unasked);
    }
    Ok(unasked)
}

impl Unasked {
    /// Whether all that was sent has come.
    fn is_complete(&self) -> bool {
        self.refusal.is_some() || (self.other_port != Some(false) && self.other_address != Some(false))
    }
}

/// Takes the packets that have come.
fn take(client: &Client, packets: &mut mpsc::Receiver<StartupPacket>, tags: &[Tag], unasked: &mut Unasked) {
    let server = client.connect_info().server_address;
    while let Ok(packet) = packets.try_recv() {
        if packet.from == server || !tags.iter().any(|own| own[..] == packet.tag[..]) {
            continue;
        }
        // Where a packet comes from counts, not where the server thinks that it sent it from: there may be a NAT before the server, too.
        let came = if packet.from.ip() == server.ip() { &mut unasked.other_port } else { &mut unasked.other_address };
        *came = Some(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_sense_is_nothing() {
        let text = |name: &'static str| (name, Value::from("x"));
        let wrong = Value::object([text("addresses"), ("ticket", Value::Number(1.0)), ("otherPort", Value::Null)]);
        for values in [&[][..], &[Value::Null], &[Value::Array(vec![Value::Null])], &[wrong]] {
            let sent = Sent::read(values);
            assert!(!sent.other_port && !sent.other_address && sent.addresses.is_empty() && sent.ticket.is_none());
        }
        let addresses = Value::Array(vec!["192.0.2.1:5".into(), "x".into(), Value::Null, "[2001:db8::1]:6".into()]);
        let answer =
            Value::object([("otherPort", "192.0.2.1:7".into()), ("addresses", addresses), ("ticket", "00".into())]);
        let sent = Sent::read(&[answer]);
        assert_eq!((sent.other_port, sent.other_address, sent.ticket.as_deref()), (true, false, Some("00")));
        assert_eq!(sent.addresses, ["192.0.2.1:5".parse().unwrap(), "[2001:db8::1]:6".parse().unwrap()]);
    }
}

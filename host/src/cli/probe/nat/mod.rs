//! `--nat`: what kind of NAT is in front of this machine.
//!
//! Servers say where they see the client, or its second one looks for it: so the probe learns what the NAT makes of one port, for several
//! addresses of servers ([`subject`], [`observer`]). What the NAT lets in is known only with the help of the server, which sends packets from
//! addresses that the client has not sent to.

mod behavior;
mod lifetime;
mod nat_report;
mod observer;
mod startup_packet;
mod subject;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use introd_flash::peer_info::behind_nat;
use introd_udp::LocalAddress;

pub(super) use self::nat_report::NatReport;

use self::behavior::{Observation, filtering, mapping};
use self::lifetime::Refused;
use self::nat_report::Ipv6Report;
use self::observer::{HelloSocket, Observer};
use self::subject::{TestedPort, ask_for_unasked};
use super::connecting::Setup;
use super::report::Report;
use introd_client::{Client, ClientFailure, ClientStep, Destination};

/// How many addresses of servers are asked for what they see.
const MAX_ADDRESSES: usize = 8;
/// An address beyond every network. The route to it shows this machine's own address; nothing is sent there.
const BEYOND: SocketAddr = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 1, 0, 0));

/// Finds out what kind of NAT is in front of this machine, and writes it into the report.
pub(super) async fn diagnose(
    setup: &Setup<'_>,
    destination: Destination,
    report: &mut Report,
) -> Result<(), ClientFailure> {
    let args = setup.args;
    let mut servers = vec![destination];
    if let Some(second) = &args.second {
        servers.push(Destination::resolve(second, |address| args.allows(address.ip())).await?);
    }
    let is_ipv4 = servers[0].addresses.iter().any(SocketAddr::is_ipv4);
    let mut diagnosis = Diagnosis {
        setup,
        port: TestedPort::new(setup, is_ipv4),
        addresses: Vec::new(),
        own: Vec::new(),
        nat: NatReport { family: if is_ipv4 { "ipv4" } else { "ipv6" }, ..NatReport::default() },
    };
    for server in &servers {
        for address in server.addresses.iter().filter(|address| address.is_ipv4() == is_ipv4) {
            diagnosis.add(&server.uri, *address);
        }
    }
    let result = diagnosis.run(report, is_ipv4, &servers[0]).await;
    report.nat_behavior = Some(diagnosis.nat);
    result
}

/// A diagnosis under way.
struct Diagnosis<'a> {
    setup: &'a Setup<'a>,
    port: TestedPort,
    /// The addresses of servers that are to be asked, each with the URI of its server.
    addresses: Vec<(String, SocketAddr)>,
    /// The port that is tested, with each address of this machine.
    own: Vec<SocketAddr>,
    nat: NatReport,
}

impl Diagnosis<'_> {
    fn add(&mut self, uri: &str, address: SocketAddr) {
        let is_known = self.addresses.iter().any(|(_, known)| *known == address);
        if !is_known && self.addresses.len() < MAX_ADDRESSES {
            self.addresses.push((uri.to_owned(), address));
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.nat.notes.push(text.into());
    }

    async fn run(
        &mut self,
        report: &mut Report,
        is_ipv4: bool,
        destination: &Destination,
    ) -> Result<(), ClientFailure> {
        let (uri, server, client) = self.connect_to_first().await?;
        report.connected(&client);
        self.nat.port = Some(self.port.address().port());
        self.nat.ipv6.address = LocalAddress::towards(BEYOND).filter(|ip| is_global_ipv6(*ip));
        self.own.clone_from(&client.connect_info().reported);
        self.filter(client).await?;
        if self.nat.observations.is_empty() {
            self.see_by_observers().await?;
        } else {
            self.see_from_everywhere(server).await;
        }
        let seen = self.nat.observations.first().map(|observation| observation.seen);
        let is_nat = seen.map(|seen| behind_nat(seen, &self.own));
        self.nat.mapping_possible = mapping(&self.nat.observations);
        if is_nat != Some(false) && self.nat.mapping_possible.known().is_none() {
            self.explain_mapping(server);
        }
        if is_nat == Some(true) {
            self.hairpin(&uri, server).await?;
        }
        self.nat.conclude(is_nat);
        self.ipv6(is_ipv4, destination).await;
        if let Some(longest) = self.setup.args.lifetime {
            match lifetime::lifetime(self.setup, &uri, server, self.port, longest).await {
                Ok(lifetime) => self.nat.binding_lifetime = Some(lifetime),
                Err(Refused::ByServer(reason)) => self.note(format!(
                    "the lifetime is unknown, because the server does not help to find it out ({}): try with a server of introd",
                    reason.as_deref().unwrap_or("it gives no ticket")
                )),
                Err(Refused::Failed(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Connects to the first address that answers.
    async fn connect_to_first(&mut self) -> Result<(String, SocketAddr, Client), ClientFailure> {
        let mut last = None;
        for (uri, server) in self.addresses.clone() {
            match self.port.connect(self.setup, &uri, server).await {
                Ok(client) => return Ok((uri, server, client)),
                Err(failure) => last = Some(failure),
            }
        }
        let none = || ClientFailure::new(ClientStep::Resolve, "the server has no address", "the URI");
        Err(last.unwrap_or_else(none))
    }

    /// What is let in. The port must not have sent anything to other addresses before.
    async fn filter(&mut self, mut client: Client) -> Result<(), ClientFailure> {
        let info = client.connect_info().clone();
        let unasked = ask_for_unasked(&mut client, self.setup.args.timeout).await?;
        client.close().await;
        if let Some(seen) = info.seen {
            self.nat.observations.push(Observation { server: info.server_address, seen });
        }
        self.nat.filtering_possible = filtering(unasked.other_port, unasked.other_address);
        if let Some(refusal) = unasked.refusal {
            self.note(format!(
                "the filter is unknown, because the server does not help to find it out ({refusal}): try with a server of introd"
            ));
        } else if self.nat.filtering_possible.known().is_none() {
            self.note("the filter is not wholly known, because the server has one address only to send from");
        }
        let (uri, server) = (self.uri_of(info.server_address), info.server_address);
        let is_outside = is_outside(server.ip());
        for address in unasked.addresses.into_iter().filter(|address| address.is_ipv4() == server.is_ipv4()) {
            // A server behind a NAT tells addresses of its own network, too, which mean nothing here.
            if !is_outside || is_outside == self::is_outside(address.ip()) {
                self.add(&uri, address);
            }
        }
        Ok(())
    }

    fn uri_of(&self, server: SocketAddr) -> String {
        let found = self.addresses.iter().find(|(_, address)| *address == server);
        found.map_or_else(|| self.setup.args.uri.clone(), |(uri, _)| uri.clone())
    }

    /// Where the other addresses of servers see the port.
    async fn see_from_everywhere(&mut self, first: SocketAddr) {
        for (uri, server) in self.addresses.clone().into_iter().filter(|(_, server)| *server != first) {
            match self.port.connect(self.setup, &uri, server).await {
                Ok(client) => {
                    let seen = client.connect_info().seen;
                    client.close().await;
                    match seen {
                        Some(seen) => self.nat.observations.push(Observation { server, seen }),
                        None => self.note(format!("{server} does not say at which address it sees this client")),
                    }
                }
                Err(failure) => self.note(format!("{server} was not asked what it sees: {failure}")),
            }
        }
    }

    /// The same with servers that do not say at which address they see a client: another socket asks them for a client of the probe, which
    /// they tell where the question came from.
    async fn see_by_observers(&mut self) -> Result<(), ClientFailure> {
        let socket = HelloSocket::bind(self.port.other().address()).await?;
        let port = socket.local().port();
        self.nat.port = Some(port);
        self.own.iter_mut().for_each(|own| own.set_port(port));
        let mut servers: Vec<(String, Vec<SocketAddr>)> = Vec::new();
        for (uri, address) in self.addresses.clone() {
            match servers.iter_mut().find(|(known, _)| *known == uri) {
                Some((_, addresses)) => addresses.push(address),
                None => servers.push((uri, vec![address])),
            }
        }
        for (uri, addresses) in servers {
            let Some(first) = addresses.first() else { continue };
            let client = match self.port.other().connect(self.setup, &uri, *first).await {
                Ok(client) => client,
                Err(failure) => {
                    self.note(format!("{uri} was not asked what it sees: {failure}"));
                    continue;
                }
            };
            let mut observer = Observer::start(client);
            for server in addresses {
                match socket.ask(server, &mut observer).await?.seen {
                    Some(seen) => self.nat.observations.push(Observation { server, seen }),
                    None => self.note(format!(
                        "{server} does not say at which address it sees this client, and did not introduce the probe's two clients to each other"
                    )),
                }
            }
            observer.stop().await;
        }
        Ok(())
    }

    fn explain_mapping(&mut self, server: SocketAddr) {
        let ips = || self.nat.observations.iter().map(|observation| observation.server.ip());
        let note = match self.nat.observations.len() {
            0 => "the mapping is unknown, because no server says what it sees of this client",
            1 => {
                "the mapping is unknown, because the server has one address only. Name a second server, or let this one listen on a second \
                 port (HostPort in Adaptor.xml)"
            }
            _ if ips().all(|ip| ip == server.ip()) => {
                "the mapping is not wholly known, because all addresses asked differ in the port alone: name a second server at another \
                 address"
            }
            _ => {
                "the mapping is not wholly known, because no two addresses asked differ in the port alone: let the server listen on a second \
                 port (HostPort in Adaptor.xml)"
            }
        };
        self.note(note);
    }

    /// Whether the NAT passes packets from inside to its own outside address back in.
    async fn hairpin(&mut self, uri: &str, server: SocketAddr) -> Result<(), ClientFailure> {
        let mut observer = Observer::start(self.port.other().connect(self.setup, uri, server).await?);
        let socket = HelloSocket::bind(self.port.other().address()).await?;
        // The observer answers to the outside address of the socket, which opens its side of the NAT for it.
        let introduced = socket.ask(server, &mut observer).await?;
        match (introduced.seen, introduced.observer) {
            (Some(_), Some(outside)) => self.nat.hairpin = Some(socket.reaches(outside, &mut observer).await?),
            _ => self.note(
                "hairpin is unknown, because the server did not introduce the probe's two clients to each other: a policy may keep them apart",
            ),
        }
        observer.stop().await;
        Ok(())
    }

    /// Whether the server answers over IPv6, if that was not what was tested.
    async fn ipv6(&mut self, is_ipv4: bool, destination: &Destination) {
        if !is_ipv4 {
            self.nat.ipv6.server_answers = Some(true);
            return;
        }
        let Some(server) = destination.addresses.iter().find(|address| address.is_ipv6()) else { return };
        if self.setup.args.bind.is_some() {
            return;
        }
        let mut port = TestedPort::new(self.setup, false);
        let answer = port.connect(self.setup, &destination.uri, *server).await;
        let address = self.nat.ipv6.address;
        self.nat.ipv6 = match answer {
            Ok(client) => {
                let seen = client.connect_info().seen.map(|seen| seen.ip()).filter(|ip| is_global_ipv6(*ip));
                client.close().await;
                Ipv6Report { address: seen.or(address), server_answers: Some(true) }
            }
            Err(_) => Ipv6Report { address, server_answers: Some(false) },
        };
    }
}

/// Whether an IPv6 address is one that others can reach.
fn is_global_ipv6(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => {
            !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unique_local() && ip.to_ipv4_mapped().is_none()
        }
    }
}

/// Whether an address can be reached from outside of its network.
fn is_outside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_private() && !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(_) => is_global_ipv6(ip),
    }
}

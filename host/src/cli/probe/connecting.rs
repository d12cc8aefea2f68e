//! The clients of a probe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::Config;
use rtmfp::crypto::{Group, HmacPreference, Identity, SequencePreference};
use rtmfp::flow::FlowConfig;

use super::args::ProbeArgs;
use super::failure::local_failure;
use crate::record::PeerRecording;
use introd_client::{Client, ClientFailure, ClientStep, Destination, PeerEndpoint};
use introd_udp::{BufferSizes, UdpSocket};

/// What all clients of a probe have in common.
pub(super) struct Setup<'a> {
    pub(super) args: &'a ProbeArgs,
    pub(super) recording: Option<PeerRecording>,
}

/// Connects a client, from the address that the arguments name.
pub(super) async fn connect(setup: &Setup<'_>, destination: Destination) -> Result<Client, ClientFailure> {
    let args = setup.args;
    let sockets = match args.bind {
        Some(address) => vec![bind(address)?],
        None => {
            let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
            let any = any.into_iter().filter(|ip| args.allows(*ip));
            any.filter_map(|ip| UdpSocket::bind(SocketAddr::new(ip, 0), BufferSizes::default()).ok()).collect()
        }
    };
    connect_from(setup, sockets, destination, args.timeout).await
}

/// Connects a client that uses these sockets. Each client has an identity of its own.
pub(super) async fn connect_from(
    setup: &Setup<'_>,
    sockets: Vec<UdpSocket>,
    destination: Destination,
    timeout: Duration,
) -> Result<Client, ClientFailure> {
    let args = setup.args;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(local_failure)?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    const GROUPS: [Group; 3] = [Group::Modp2, Group::Modp5, Group::Modp14];
    let identity = Arc::new(match (args.flash, args.ephemeral) {
        (true, _) => Identity::fixed(&GROUPS[..1], &mut rng),
        (_, true) => Identity::ephemeral(&GROUPS, None, false, &mut rng),
        _ => Identity::fixed(&GROUPS, &mut rng),
    });
    let id = identity.peer_id();
    let mut config = Config::peer(identity);
    config.max_datagram = args.max_datagram.into();
    config.flow = Arc::new(FlowConfig {
        packet_payload: FlowConfig::payload_of(config.max_datagram),
        ..FlowConfig::clone(&config.flow)
    });
    if args.no_hmac || args.plain || args.flash {
        config.keying.hmac = HmacPreference::default();
    }
    if args.no_sequence || args.plain || args.flash {
        config.keying.sequence = SequencePreference::default();
    }
    config.keying.log_keys = setup.recording.is_some();
    let mut peer = PeerEndpoint::with_sockets(config, sockets).map_err(local_failure)?;
    if let Some(recording) = &setup.recording {
        recording.record(&mut peer);
    }
    Client::connect(peer, id, destination, &args.connect_options(), timeout).await
}

/// Binds a socket for a client.
pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket, ClientFailure> {
    UdpSocket::bind(address, BufferSizes::default()).map_err(|error| {
        let problem = format!("{address} cannot be bound: {error}");
        let check = "that --bind, if it is given, names an address of this machine and a free port";
        ClientFailure::new(ClientStep::Resolve, problem, check)
    })
}

//! The options of `introd probe`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rtmfp::PeerId;

use introd_netgroup::Groupspec;

#[derive(Args)]
pub(in crate::cli) struct ProbeArgs {
    /// The server and application: rtmfp://host[:port]/application/instance. The port is 1935 if not given.
    pub(super) uri: String,
    /// Look up this peer, which must be connected to the same server, open a session with it, and send it a message.
    #[arg(long, value_name = "ID", value_parser = peer_id)]
    pub(super) peer: Option<PeerId>,
    /// Play this stream of the peer, instead of sending it a message.
    #[arg(long, value_name = "STREAM", requires = "peer")]
    pub(super) play: Option<String>,
    /// Start two peers: one finds the other through the server, and they exchange a message directly.
    #[arg(long, conflicts_with_all = ["peer", "stay"])]
    pub(super) meet: bool,
    /// Join this group through the server, reach the members that it names, and post something if the group allows that.
    #[arg(long, value_name = "GROUPSPEC", value_parser = groupspec, conflicts_with_all = ["peer", "meet"])]
    pub(super) group: Option<Groupspec>,
    /// Stay connected until Ctrl-C, so that other peers can find this one, and stay a member of the group.
    #[arg(long)]
    pub(super) stay: bool,
    /// Print one JSON object instead of text: with --stay as soon as the peer is connected, with --group as soon as it has
    /// reached the members that the server names.
    #[arg(long)]
    pub(super) json: bool,
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(super) ipv4: bool,
    /// Use IPv6 only.
    #[arg(short = '6', long)]
    pub(super) ipv6: bool,
    /// How long each step may take.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) timeout: Duration,
    /// Neither send nor request HMACs: packets carry the simple checksum.
    #[arg(long)]
    pub(super) no_hmac: bool,
    /// Neither send nor request session sequence numbers.
    #[arg(long)]
    pub(super) no_sequence: bool,
    /// The same as --no-hmac and --no-sequence together, as the oldest clients do.
    #[arg(long)]
    pub(super) plain: bool,
    /// Use an identity that makes a new key for each session. Without this option the identity has fixed Diffie-Hellman keys, and no
    /// other peer can show its peer id.
    #[arg(long)]
    pub(super) ephemeral: bool,
    /// Use an identity with fixed Diffie-Hellman keys, which is the default.
    #[arg(long, hide = true, conflicts_with = "ephemeral")]
    pub(super) static_keys: bool,
    /// Behave as Flash Player does: the same as --plain, with one fixed key, in group 2. Peers that use librtmfp accept no other key.
    #[arg(long, conflicts_with = "ephemeral")]
    pub(super) flash: bool,
    /// Write all traffic and its keys into this file. Anyone with the file can read all of the traffic.
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
}

fn peer_id(text: &str) -> Result<PeerId, String> {
    text.parse().map_err(|_| "a peer id is 64 hexadecimal digits".to_owned())
}

fn groupspec(text: &str) -> Result<Groupspec, String> {
    Groupspec::parse(text).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 0.1..=3600.0;
    match text.parse::<f64>() {
        Ok(seconds) if RANGE.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give a number of seconds from 0.1 to 3600".to_owned()),
    }
}

impl ProbeArgs {
    /// Whether the probe may use addresses of that family.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { !self.ipv6 } else { !self.ipv4 }
    }
}

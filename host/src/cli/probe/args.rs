//! The options of `introd probe`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rtmfp::PeerId;

use introd_flash::amf::{Object, Value};
use introd_flash::client::ConnectOptions;
use introd_netgroup::Groupspec;

#[derive(Args)]
pub(in crate::cli) struct ProbeArgs {
    /// The server and application: rtmfp://host[:port]/application/instance. The port is 1935 if not given.
    pub(super) uri: String,
    /// With --nat: another server, at another address. With two addresses of servers it is known how the NAT maps ports.
    #[arg(requires = "nat", value_name = "URI")]
    pub(super) second: Option<String>,
    /// Say what kind of NAT is in front of this machine: how it maps ports, what it lets in, whether it keeps ports, and whether devices
    /// behind it reach each other by their outside addresses.
    #[arg(long, conflicts_with_all = ["peer", "meet", "group", "stay"])]
    pub(super) nat: bool,
    /// With --nat: find out, too, for how long the NAT keeps a port open that is silent. It takes this time, 300 seconds if none is given.
    #[arg(long, value_name = "SECONDS", requires = "nat", num_args = 0..=1, require_equals = true, default_missing_value = "300",
          value_parser = lifetime)]
    pub(super) lifetime: Option<Duration>,
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
    /// Send from this address of this machine: IP or IP:PORT. Access rules can be tried so.
    #[arg(long, value_name = "ADDR", value_parser = local_address, conflicts_with_all = ["ipv4", "ipv6"])]
    pub(super) bind: Option<SocketAddr>,
    /// Send no datagram that is longer, in bytes without the headers of IP and UDP.
    #[arg(long, value_name = "BYTES", default_value_t = 1192, value_parser = clap::value_parser!(u16).range(548..=1452))]
    pub(super) max_datagram: u16,
    /// Pass these arguments to the application's onConnect, as the program of a client does: a JSON array, such as '["token", 5]'.
    #[arg(long, value_name = "JSON", value_parser = connect_arguments)]
    pub(super) connect_args: Option<ConnectArguments>,
    /// Say that this is the client's platform and version (flashVer): `client.agent` of a script.
    #[arg(long, value_name = "STRING")]
    pub(super) agent: Option<String>,
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

fn lifetime(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=600) => Ok(Duration::from_secs(seconds)),
        _ => Err("give a whole number of seconds from 1 to 600".to_owned()),
    }
}

/// The arguments of `connect`, as the client's program would give them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConnectArguments(pub(super) Vec<Value>);

fn connect_arguments(text: &str) -> Result<ConnectArguments, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(arguments)) => Ok(ConnectArguments(arguments.into_iter().map(value).collect())),
        Ok(_) => Err("give a JSON array, with an element for each argument: '[\"token\", 5]'".to_owned()),
        Err(error) => Err(format!("give a JSON array: {error}")),
    }
}

/// The value of ActionScript that JSON stands for.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Boolean(flag),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => Value::Array(items.into_iter().map(value).collect()),
        serde_json::Value::Object(properties) => {
            Value::Object(Object::plain(properties.into_iter().map(|(name, json)| (name, value(json))).collect()))
        }
    }
}

fn local_address(text: &str) -> Result<SocketAddr, String> {
    let ip = || text.trim_matches(['[', ']']).parse().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    text.parse().or_else(|_| ip()).map_err(|_| "give an IP address, or one with a port".to_owned())
}

impl ProbeArgs {
    /// What the client says of itself when it connects.
    pub(super) fn connect_options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        if let Some(agent) = &self.agent {
            options.agent.clone_from(agent);
        }
        if let Some(ConnectArguments(arguments)) = &self.connect_args {
            options.arguments.clone_from(arguments);
        }
        options
    }

    /// Whether the probe may use addresses of that family.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        if let Some(bind) = self.bind {
            return bind.is_ipv4() == ip.is_ipv4();
        }
        if ip.is_ipv4() { !self.ipv6 } else { !self.ipv4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_arguments_are_a_json_array() {
        let given = connect_arguments(r#"["t", 5, true, null, [1], {"a": "b"}]"#).unwrap();
        let expected = vec![
            "t".into(),
            Value::Number(5.0),
            Value::Boolean(true),
            Value::Null,
            Value::Array(vec![Value::Number(1.0)]),
            Value::object([("a", "b".into())]),
        ];
        assert_eq!(given, ConnectArguments(expected));
        assert_eq!(connect_arguments("[]"), Ok(ConnectArguments(Vec::new())));
        for wrong in ["", "token", r#""token""#, r#"{"a": 1}"#, "[1"] {
            assert!(connect_arguments(wrong).unwrap_err().starts_with("give a JSON array"), "{wrong}");
        }
    }

    #[test]
    fn a_local_address_has_a_port_or_none() {
        for (text, expected) in [
            ("127.0.0.2", Some("127.0.0.2:0")),
            ("127.0.0.2:5000", Some("127.0.0.2:5000")),
            ("::1", Some("[::1]:0")),
            ("[::1]", Some("[::1]:0")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("host", None),
            ("127.0.0.2:x", None),
        ] {
            assert_eq!(local_address(text).ok(), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}

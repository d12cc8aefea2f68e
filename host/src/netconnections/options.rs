//! What a script has asked for, read and checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use introd_client::{BindError, BufferSizes, UdpSocket};
use introd_flash::uri::Uri;
use introd_netgroup::participant::MAX_NAME;
use introd_policy::net_connection::{ConnectionOptions, OpenError};

/// How many addresses one connection binds at most.
const MAX_BIND: usize = 16;
/// What the kernel buffers for each socket and direction, in bytes.
const BUFFERS: BufferSizes = BufferSizes { receive: 1 << 20, send: 1 << 20 };

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere: an endpoint without a server.
    Serverless,
    /// To the server of this URI.
    Server(String),
}

/// The addresses to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// All addresses, with ports that the system chooses.
    Any,
    These(Vec<SocketAddr>),
}

/// What is asked for, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) target: Target,
    pub(super) bind: Bind,
}

pub(super) fn check(options: &ConnectionOptions) -> Result<Checked, OpenError> {
    let wrong = |text: String| Err(OpenError::Options(text));
    let uri = Uri::parse(&options.uri);
    let target = match (uri.scheme.as_str(), uri.host.is_empty()) {
        ("rtmfp", true) if options.uri.eq_ignore_ascii_case("rtmfp:") => Target::Serverless,
        ("rtmfp", false) => Target::Server(options.uri.clone()),
        _ => {
            return wrong(format!(
                "{:?} is no URI of RTMFP: it is rtmfp: for an endpoint without a server, or rtmfp://host[:port]/application",
                options.uri
            ));
        }
    };
    if let Some(name) = options.endpoint_name.as_deref().filter(|name| name.is_empty() || name.len() > MAX_NAME) {
        return wrong(format!("rtmfpEndpointName has {} bytes: it may have 1 to {MAX_NAME}", name.len()));
    }
    if options.bind_addresses.len() > MAX_BIND {
        return wrong(format!("rtmfpBindAddresses has more than {MAX_BIND} addresses"));
    }
    let mut bind = Vec::new();
    for text in &options.bind_addresses {
        match address(text) {
            Some(address) if !bind.contains(&address) => bind.push(address),
            Some(_) => (),
            None => {
                return wrong(format!(
                    "{text:?} in rtmfpBindAddresses is no IP address, with or without a port: an IPv6 address with a port has brackets"
                ));
            }
        }
    }
    let bind = if bind.is_empty() { Bind::Any } else { Bind::These(bind) };
    Ok(Checked { target, bind })
}

/// Reads an IP address with or without a port, 0 if there is none.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let without_port = || bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(without_port)
}

impl Bind {
    /// Binds the sockets.
    pub(super) fn sockets(&self) -> Result<Vec<UdpSocket>, BindError> {
        let bind = |address| UdpSocket::bind(address, BUFFERS).map_err(|source| BindError { address, source });
        match self {
            Self::These(addresses) => addresses.iter().map(|address| bind(*address)).collect(),
            Self::Any => {
                let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
                let bound = any.map(|ip| bind(SocketAddr::new(ip, 0)));
                // A machine has one family at least; it need not have both.
                match bound {
                    [Err(error), Err(_)] => Err(error),
                    bound => Ok(bound.into_iter().filter_map(Result::ok).collect()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str, bind: &[&str], name: Option<&str>) -> ConnectionOptions {
        ConnectionOptions {
            uri: uri.to_owned(),
            bind_addresses: bind.iter().map(|text| (*text).to_owned()).collect(),
            endpoint_name: name.map(str::to_owned),
            ..ConnectionOptions::default()
        }
    }

    #[test]
    fn uris_are_those_of_rtmfp() {
        let target = |uri| check(&options(uri, &[], None)).map(|checked| checked.target);
        assert_eq!([target("rtmfp:"), target("RTMFP:")], [Ok(Target::Serverless), Ok(Target::Serverless)]);
        let server = "rtmfp://[::1]:1936/app";
        assert_eq!(target(server), Ok(Target::Server(server.to_owned())));
        for wrong in ["", "rtmp://host/app", "rtmfp", "rtmfp:app", "rtmfp:///app", "host"] {
            assert!(matches!(target(wrong), Err(OpenError::Options(_))), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_with_or_without_a_port() {
        let bind = |texts: &[&str]| check(&options("rtmfp:", texts, None)).map(|checked| checked.bind);
        assert_eq!(bind(&[]), Ok(Bind::Any));
        let texts = ["192.0.2.1", "192.0.2.1:1936", "::1", "[::1]", "[::1]:5", "0.0.0.0", "::1"];
        let expected = ["192.0.2.1:0", "192.0.2.1:1936", "[::1]:0", "[::1]:5", "0.0.0.0:0"];
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(bind(&texts), Ok(Bind::These(expected.to_vec())));
        for wrong in ["", "host", "host:5", "192.0.2.1:x", "192.0.2.1:70000", "[192.0.2.1", "1.2.3"] {
            let error = bind(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
        let many: Vec<String> = (0..17).map(|port| format!("192.0.2.1:{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(bind(&many).is_err() && bind(&many[..16]).is_ok());
    }

    #[test]
    fn names_are_bounded() {
        let long = "n".repeat(MAX_NAME + 1);
        for (name, is_right) in [("", false), ("n", true), (&long, false), (&long[1..], true)] {
            assert_eq!(check(&options("rtmfp:", &[], Some(name))).is_ok(), is_right);
        }
    }

    #[test]
    fn what_is_bound_is_what_is_asked_for() {
        let loopback = Bind::These(vec!["127.0.0.1:0".parse().unwrap()]).sockets().unwrap();
        assert_eq!(loopback.len(), 1);
        let taken = Bind::These(vec![loopback[0].local_address()]).sockets().unwrap_err();
        assert!(taken.to_string().contains("another program has this port"), "{taken}");
        let any = Bind::Any.sockets().unwrap();
        assert!(any.iter().all(|socket| socket.local_address().ip().is_unspecified()) && !any.is_empty());
    }
}

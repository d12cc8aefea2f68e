//! A server's URI and its addresses.

use std::net::SocketAddr;

use introd_flash::uri::{DEFAULT_PORT, Uri};

use crate::failure::{ClientFailure, ClientStep};

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its URI, as the client sends it to the server.
    pub uri: String,
    /// Its addresses. The client uses the first one that answers.
    pub addresses: Vec<SocketAddr>,
}

impl Destination {
    /// Asks the system's resolver for the host in `uri`. Addresses that `accept` is false for are left out.
    ///
    /// # Errors
    /// If the URI is not one of RTMFP, or its host has no address that is accepted.
    pub async fn resolve(uri: &str, accept: impl Fn(&SocketAddr) -> bool) -> Result<Self, ClientFailure> {
        const URI: &str =
            "the URI: it is written rtmfp://host[:port]/application/instance, an IPv6 address in brackets";
        const NAME: &str = "the host's name, and this machine's name server";
        let parts = Uri::parse(uri);
        if parts.scheme != "rtmfp" || parts.host.is_empty() {
            return Err(ClientFailure::new(
                ClientStep::Resolve,
                format!("{uri:?} is not the URI of an RTMFP server"),
                URI,
            ));
        }
        if parts.port.is_none() && has_port(uri, &parts.host) {
            return Err(ClientFailure::new(
                ClientStep::Resolve,
                format!("the port in {uri:?} is not a number up to 65535"),
                URI,
            ));
        }
        let port = parts.port.unwrap_or(DEFAULT_PORT);
        let found = tokio::net::lookup_host((parts.host.as_str(), port)).await;
        let found =
            found.map_err(|error| ClientFailure::new(ClientStep::Resolve, format!("{}: {error}", parts.host), NAME))?;
        let mut addresses = Vec::new();
        for address in found.filter(accept) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let problem = format!("{} has no address of the kind asked for", parts.host);
            return Err(ClientFailure::new(
                ClientStep::Resolve,
                problem,
                "the options -4 and -6, and the host's DNS records",
            ));
        }
        Ok(Self { uri: uri.to_owned(), addresses })
    }
}

/// Whether there is any text where the port should be.
fn has_port(uri: &str, host: &str) -> bool {
    let authority = uri.split("//").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let after = authority.rsplit_once(host).map_or("", |(_, after)| after);
    !after.trim_start_matches([']', ':']).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(uri: &str, accept: fn(&SocketAddr) -> bool) -> Result<Vec<String>, ClientFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let destination = runtime.block_on(Destination::resolve(uri, accept))?;
        assert_eq!(destination.uri, uri);
        Ok(destination.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn literal_addresses_and_ports() {
        for (uri, address) in [
            ("rtmfp://192.0.2.1/app", "192.0.2.1:1935"),
            ("rtmfp://192.0.2.1:1936/app/room?x=//y", "192.0.2.1:1936"),
            ("RTMFP://[2001:db8::1]/app", "[2001:db8::1]:1935"),
            ("rtmfp://[2001:db8::1]:5/app", "[2001:db8::1]:5"),
            ("rtmfp://key@192.0.2.1:/", "192.0.2.1:1935"),
        ] {
            assert_eq!(resolve(uri, |_| true), Ok(vec![address.to_owned()]), "{uri}");
        }
    }

    #[test]
    fn wrong_uris_and_unwanted_families_are_no_destination() {
        for uri in
            ["", "192.0.2.1", "rtmp://192.0.2.1/app", "rtmfp:///app", "rtmfp://192.0.2.1:99999/", "rtmfp://[::1]:x"]
        {
            assert_eq!(resolve(uri, |_| true).map_err(|failure| failure.step), Err(ClientStep::Resolve), "{uri}");
        }
        let other_family = resolve("rtmfp://192.0.2.1/app", SocketAddr::is_ipv6);
        assert_eq!(other_family.map_err(|failure| failure.step), Err(ClientStep::Resolve));
    }
}

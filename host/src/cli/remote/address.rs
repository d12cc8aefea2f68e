//! Where the administration of the server is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use introd_config::Config;

/// The port of the administration where a URL names none.
const DEFAULT_PORT: u16 = 1111;

/// The addresses to try, in their order.
pub(super) async fn find(conf: Option<&Path>, url: Option<&str>) -> anyhow::Result<Vec<SocketAddr>> {
    match url {
        Some(url) => resolve(authority(url)?, DEFAULT_PORT).await,
        None => configured(conf),
    }
}

/// Reads the argument for the URL of an administration.
pub(super) fn check_url(text: &str) -> Result<String, String> {
    authority(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The host, and the port if there is one, of a URL.
fn authority(url: &str) -> anyhow::Result<&str> {
    anyhow::ensure!(
        !url.starts_with("https:"),
        "the administration has no TLS: use http://, through an SSH tunnel if the server is on another machine"
    );
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let is_plain = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']);
    anyhow::ensure!(is_plain, "{url} is not the URL of an administration, as http://127.0.0.1:1111 is");
    Ok(authority)
}

/// The addresses of `HOST`, `HOST:PORT`, `ADDRESS` or `[ADDRESS]:PORT`.
pub(super) async fn resolve(text: &str, default_port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, default_port)]);
    }
    let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{default_port}") };
    let found = tokio::net::lookup_host(&with_port).await.with_context(|| format!("{text} has no address"))?;
    let found: Vec<SocketAddr> = found.collect();
    anyhow::ensure!(!found.is_empty(), "{text} has no address");
    Ok(found)
}

fn configured(conf: Option<&Path>) -> anyhow::Result<Vec<SocketAddr>> {
    let loaded = Config::load(conf).map_err(|problems| {
        anyhow::anyhow!("the configuration does not say where the administration is; use --admin URL\n{problems}")
    })?;
    let admin = &loaded.config.server.admin;
    anyhow::ensure!(admin.enable, "the configuration turns the administration off (AdminServer/Enable of Server.xml)");
    let addresses: Vec<SocketAddr> = admin.listen.iter().map(|listen| reachable(listen.local)).collect();
    anyhow::ensure!(!addresses.is_empty(), "the configuration has no address of an administration; use --admin URL");
    Ok(addresses)
}

/// The address by which this machine reaches what listens at another.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(url: &str) -> Vec<String> {
        find(None, Some(url)).await.unwrap().iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_url_names_the_administration_with_or_without_what_goes_without_saying() {
        for (url, expected) in [
            ("http://192.0.2.1:80/", "192.0.2.1:80"),
            ("http://192.0.2.1", "192.0.2.1:1111"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("http://[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("http://[2001:db8::1]/", "[2001:db8::1]:1111"),
            ("2001:db8::1", "[2001:db8::1]:1111"),
        ] {
            assert_eq!(found(url).await, [expected], "{url}");
        }
        let local = found("http://localhost:7").await;
        assert!(local.iter().all(|at| at == "127.0.0.1:7" || at == "[::1]:7") && !local.is_empty(), "{local:?}");
    }

    #[tokio::test]
    async fn what_is_no_such_url_is_refused_with_a_word_on_what_to_do() {
        for (url, expected) in [
            ("https://127.0.0.1:1111", "SSH tunnel"),
            ("http://user:secret@127.0.0.1:1111", "is not the URL"),
            ("http://127.0.0.1:1111/api", "is not the URL"),
            ("http://", "is not the URL"),
            ("127.0.0.1:99999", "has no address"),
        ] {
            let error = find(None, Some(url)).await.unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{url}: {error:#}");
        }
    }

    #[test]
    fn where_the_administration_listens_on_all_addresses_it_is_asked_on_this_machines_own() {
        let of = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(
            [of("0.0.0.0:1111"), of("[::]:1112"), of("192.0.2.1:1113")],
            ["127.0.0.1:1111", "[::1]:1112", "192.0.2.1:1113"]
        );
    }
}

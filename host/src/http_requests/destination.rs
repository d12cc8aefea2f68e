//! Where a request goes, and whether it may go there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use introd_config::HttpHosts;
use introd_policy::http::{HttpFailure, NO_HTTP_URL, URL_WITH_USER};
use url::{Position, Url};

use super::addresses::is_public;

/// What of Application.xml permits a host.
const SETTING: &str = "ScriptEngine/HTTP/Allow in Application.xml";

/// Who is to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

/// A URL to which a request may be sent once [`Self::check`] and [`Self::permitted`] have agreed.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    url: Url,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

impl Destination {
    /// Reads an absolute URL.
    pub(super) fn parse(text: &str) -> Result<Self, HttpFailure> {
        Url::parse(text).map_err(|error| malformed(format!("the URL is malformed: {error}"))).and_then(Self::of)
    }

    /// Where a redirect from here leads.
    pub(super) fn redirected(&self, location: &[u8]) -> Result<Self, HttpFailure> {
        let location = std::str::from_utf8(location).ok().and_then(|text| self.url.join(text).ok());
        location.ok_or_else(|| malformed("it is not to a URL".to_owned())).and_then(Self::of)
    }

    fn of(url: Url) -> Result<Self, HttpFailure> {
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(malformed(NO_HTTP_URL.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed(URL_WITH_USER.to_owned()));
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name.strip_suffix('.').unwrap_or(name).to_owned()),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(IpAddr::V6(address).to_canonical()),
            None => return Err(malformed("the URL has no host".to_owned())),
        };
        let port = url.port_or_known_default().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { url, host, port, is_tls })
    }

    /// Whether the host is listed. A host that is a name must have a permitted address, too.
    pub(super) fn check(&self, allow: &HttpHosts) -> Result<(), HttpFailure> {
        let is_listed = match &self.host {
            Host::Name(name) => allow.has_name(name, self.port),
            Host::Address(address) => allow.has_address(*address, self.port),
        };
        if is_listed {
            return Ok(());
        }
        let why = if allow.is_empty() { "is empty, so that no request is permitted" } else { "does not list it" };
        Err(HttpFailure::NotAllowed(format!("{self} is not permitted: {SETTING} {why}")))
    }

    /// Whether a connection to that address may be used for this host.
    pub(super) fn permits(&self, allow: &HttpHosts, address: IpAddr) -> bool {
        allow.has_address(address, self.port) || (matches!(self.host, Host::Name(_)) && is_public(address))
    }

    /// Those of the host's addresses that may be connected to.
    pub(super) fn permitted(&self, allow: &HttpHosts, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, HttpFailure> {
        let first = found.first().map(|address| address.ip().to_canonical());
        let permitted: Vec<_> = found.into_iter().filter(|address| self.permits(allow, address.ip())).collect();
        match first {
            Some(first) if permitted.is_empty() => Err(HttpFailure::NotAllowed(format!(
                "{self} is not permitted: its address {first} is not a public one, and {SETTING} does not list it"
            ))),
            _ => Ok(permitted),
        }
    }

    /// Whether both have the same scheme, host and port.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    /// What the request line says: the path and the query.
    pub(super) fn path_and_query(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// The header `Host`.
    pub(super) fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }
}

/// The scheme, the host and the port. The rest of a URL may hold secrets, and is never shown.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.authority())
    }
}

fn malformed(what: String) -> HttpFailure {
    HttpFailure::Malformed(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(text: &str) -> HttpHosts {
        HttpHosts::parse(text).unwrap()
    }

    fn refusal(url: &str, listed: &str) -> String {
        Destination::parse(url)
            .and_then(|to| to.check(&allow(listed)))
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn only_hosts_that_are_listed_may_be_asked_however_they_are_written() {
        let listed = "api.example.com, *.cdn.example:443, 192.0.2.1, 2001:db8::1";
        for url in [
            "http://api.example.com/x",
            "https://API.EXAMPLE.COM.:8443/?q",
            "https://a.cdn.example",
            "http://192.0.2.1:8080",
            "http://3221225985/",
            "http://0xc0.0.02.1/",
            "http://[::ffff:192.0.2.1]/",
            "http://[2001:db8::1]/",
        ] {
            assert_eq!(refusal(url, listed), "", "{url}");
        }
        for url in [
            "http://example.com/",
            "http://api.example.com.evil.example/",
            "http://evil.example/api.example.com",
            "http://evil.example?api.example.com",
            "http://evil.example#@api.example.com",
            "http://a.cdn.example:80/",
            "http://127.0.0.1/",
            "http://0/",
            "http://localhost/",
            "http://[::1]/",
            "http:api.example.com@evil.example/",
        ] {
            let refusal = refusal(url, listed);
            assert!(refusal.contains("does not list it") || refusal.contains("user name"), "{url}: {refusal}");
        }
        let empty = refusal("https://api.example.com/?key=secret", "");
        assert_eq!(
            empty,
            "https://api.example.com is not permitted: ScriptEngine/HTTP/Allow in Application.xml is empty, so that no request is permitted"
        );
    }

    #[test]
    fn what_is_no_url_of_http_is_refused_and_its_secrets_are_not_repeated() {
        for url in [
            "",
            "api.example.com",
            "/x",
            "ftp://api.example.com/hunter2",
            "file:///etc/hunter2",
            "http://",
            "http:///",
            "https://ann:hunter2@api.example.com/",
            "https://hunter2@api.example.com/",
            "http://a b/hunter2",
            "http://api.example.com:99999/hunter2",
        ] {
            let problem = refusal(url, "api.example.com");
            assert!(!problem.is_empty() && !problem.contains("hunter2"), "{url}: {problem}");
        }
    }

    #[test]
    fn a_name_leads_to_public_addresses_and_to_others_only_if_these_are_listed() {
        let to = Destination::parse("http://api.example.com:8080/x?y#z").unwrap();
        let found = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let (public, private) = ("9.9.9.9:8080", "10.0.0.1:8080");
        assert_eq!(to.permitted(&allow("api.example.com"), found(&[private, public])).unwrap(), found(&[public]));
        let refused = to.permitted(&allow("api.example.com, 10.0.0.1:81"), found(&[private, "[::1]:8080"]));
        assert!(refused.unwrap_err().to_string().contains("its address 10.0.0.1 is not a public one"));
        assert_eq!(to.permitted(&allow("10.0.0.0/8:8080"), found(&[private])).unwrap(), found(&[private]));
        assert_eq!(to.permitted(&allow(""), Vec::new()).unwrap(), []);
        // A line end in a URL does not end the request's line.
        let split = Destination::parse("http://api.example.com/a\r\nb: c d").unwrap();
        assert_eq!(split.path_and_query(), "/ab:%20c%20d");
        assert_eq!(
            (to.path_and_query(), to.authority(), &*to.to_string()),
            ("/x?y", "api.example.com:8080", "http://api.example.com:8080")
        );
    }

    #[test]
    fn a_redirect_leads_on_from_where_it_is() {
        let from = Destination::parse("https://a.example/b/c?d").unwrap();
        for (location, expected, path, is_same) in [
            ("/x", "https://a.example", "/x", true),
            ("x?y", "https://a.example", "/b/x?y", true),
            ("//b.example/x", "https://b.example", "/x", false),
            ("http://a.example/", "http://a.example", "/", false),
            ("https://a.example:444/", "https://a.example:444", "/", false),
        ] {
            let to = from.redirected(location.as_bytes()).unwrap();
            assert_eq!((&*to.to_string(), to.path_and_query(), to.is_same_origin(&from)), (expected, path, is_same));
        }
        for location in [&b"\xff"[..], b"ftp://a.example/", b"https://user@a.example/", b"https://"] {
            assert!(from.redirected(location).is_err(), "{location:?}");
        }
    }
}

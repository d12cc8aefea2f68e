//! The hosts that scripts may send HTTP requests to.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};

/// The most hosts in one list.
const MAX_HOSTS: usize = 1024;

/// A list of hosts. One that is not listed is not permitted: an empty list permits none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpHosts(Vec<HttpHost>);

/// A host, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HttpHost {
    which: Which,
    /// `None` permits every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    /// The host of this name.
    Name(String),
    /// All hosts whose names end in a dot and this name.
    Below(String),
    /// The hosts of these addresses.
    Network(IpNet),
}

impl HttpHosts {
    /// Reads a list, as it stands in a file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|host| !host.is_empty()).take(MAX_HOSTS + 1);
        let hosts = parts.map(HttpHost::parse).collect::<Result<Vec<_>, _>>()?;
        if hosts.len() > MAX_HOSTS { Err(format!("more than {MAX_HOSTS} hosts")) } else { Ok(Self(hosts)) }
    }

    /// Whether no host is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a host is listed by its name, with that port. A dot at the end of the name, which is how DNS writes a whole name, does not
    /// count.
    pub fn has_name(&self, name: &str, port: u16) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.0.iter().filter(|host| host.is_for(port)).any(|host| match &host.which {
            Which::Name(listed) => *listed == name,
            Which::Below(parent) => name
                .strip_suffix(parent.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            Which::Network(_) => false,
        })
    }

    /// Whether an address is listed, with that port.
    pub fn has_address(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.0.iter().filter(|host| host.is_for(port)).any(|host| match &host.which {
            Which::Network(network) => network.contains(&address),
            Which::Name(_) | Which::Below(_) => false,
        })
    }
}

impl HttpHost {
    fn is_for(&self, port: u16) -> bool {
        self.port.is_none_or(|listed| listed == port)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{}` {what}", shown_value(text));
        if text.contains("://") {
            return Err(wrong("is a URL: name only its host, and its port if that matters"));
        }
        // Without brackets, the colons of an IPv6 address would be taken for that of a port.
        let is_address = text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok();
        let (host, port) = match text.rsplit_once(':').filter(|_| !is_address) {
            Some((host, port)) => {
                let digits = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
                let number = digits.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
                (host, Some(number.ok_or_else(|| wrong("ends with no port from 1 to 65535"))?))
            }
            None => (text, None),
        };
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Some(which) = network(plain)? {
            return Ok(Self { which: Which::Network(which), port });
        }
        let name = host.to_ascii_lowercase();
        let which = match name.strip_prefix("*.") {
            Some(parent) => Some(Which::Below(parent.to_owned())).filter(|_| is_name(parent)),
            None => Some(name.clone()).filter(|name| is_name(name)).map(Which::Name),
        };
        let which = which.ok_or_else(|| {
            wrong("is neither the name of a host, a name like `*.example.com`, an IP address nor a CIDR block; a name with other letters than those of ASCII is written in its form that begins with `xn--`")
        })?;
        Ok(Self { which, port })
    }
}

/// An address, or a CIDR block. `None` if it is neither.
fn network(text: &str) -> Result<Option<IpNet>, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Some(address.to_canonical().into()));
    }
    if !text.contains('/') {
        return Ok(None);
    }
    let network: IpNet = text.parse().map_err(|_| format!("`{}` is no CIDR block", shown_value(text)))?;
    if network.trunc() == network {
        return Ok(Some(network));
    }
    let (bits, whole) = (network.prefix_len(), network.trunc());
    Err(format!("`{}` has bits set behind the first {bits}; did you mean {whole}?", shown_value(text)))
}

/// Whether it can be the name of a host. A name whose last label is a number is a mistyped address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for HttpHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, HttpHost { which, port }) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            match which {
                Which::Name(name) => f.write_str(name)?,
                Which::Below(parent) => write!(f, "*.{parent}")?,
                Which::Network(network) => {
                    let is_one = network.prefix_len() == network.max_prefix_len();
                    let text = if is_one { network.addr().to_string() } else { network.to_string() };
                    let is_bracketed = port.is_some() && matches!(network, IpNet::V6(_));
                    if is_bracketed { write!(f, "[{text}]")? } else { f.write_str(&text)? }
                }
            }
            if let Some(port) = port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

/// A list of such hosts; none by default.
pub(super) struct HttpHostList;

impl Described for HttpHostList {
    fn describe(&self) -> String {
        "names of hosts, names like `*.example.com`, IP addresses and CIDR blocks, each with `:port` behind it or without, separated by commas"
            .into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for HttpHostList {
    type Value = HttpHosts;

    fn parse(&self, text: &str) -> Result<HttpHosts, Wrong> {
        HttpHosts::parse(text).map_err(Wrong::from)
    }

    fn default(&self) -> HttpHosts {
        HttpHosts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> HttpHosts {
        HttpHosts::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_permitted_if_it_is_listed_with_that_port_or_without_one() {
        let listed = hosts("API.example.com, *.cdn.example, web.example:8080");
        for (name, port, is_listed) in [
            ("api.example.com", 443, true),
            ("api.example.com", 1, true),
            ("Api.Example.Com.", 443, true),
            ("example.com", 443, false),
            ("x.api.example.com", 443, false),
            ("xapi.example.com", 443, false),
            ("api.example.com.evil.example", 443, false),
            ("a.cdn.example", 80, true),
            ("a.b.cdn.example", 80, true),
            ("cdn.example", 80, false),
            (".cdn.example", 80, false),
            ("xcdn.example", 80, false),
            ("web.example", 8080, true),
            ("web.example", 80, false),
            ("", 80, false),
            (".", 80, false),
        ] {
            assert_eq!(listed.has_name(name, port), is_listed, "{name}:{port}");
        }
        assert!(!hosts("").has_name("api.example.com", 443) && hosts(" , ").is_empty());
    }

    #[test]
    fn an_address_is_permitted_if_it_is_listed_in_whatever_form() {
        let listed = hosts("127.0.0.1:8080, 10.0.0.0/8, 2001:db8::1, [fd00::]:81, [fd01::/16]:82, ::ffff:192.0.2.1");
        for (address, port, is_listed) in [
            ("127.0.0.1", 8080, true),
            ("::ffff:127.0.0.1", 8080, true),
            ("127.0.0.1", 8081, false),
            ("127.0.0.2", 8080, false),
            ("10.255.0.1", 5, true),
            ("11.0.0.1", 5, false),
            ("2001:db8::1", 443, true),
            ("2001:db8::2", 443, false),
            ("fd00::", 81, true),
            ("fd00::", 80, false),
            ("fd01::7", 82, true),
            ("192.0.2.1", 80, true),
        ] {
            assert_eq!(listed.has_address(address.parse().unwrap(), port), is_listed, "{address} {port}");
        }
        assert!(!listed.has_name("127.0.0.1", 8080), "an address is no name");
    }

    #[test]
    fn a_list_is_shown_as_it_may_be_written() {
        let text = "api.example.com, *.cdn.example:81, 192.0.2.1:8080, 10.0.0.0/8, 2001:db8::1, [2001:db8::1]:443, [fd00::/8]:80";
        assert_eq!(hosts(text).to_string(), text);
        assert_eq!(hosts("").to_string(), "");
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_is_wrong_about_it() {
        for (text, why) in [
            ("https://api.example.com", "is a URL"),
            ("*", "is neither"),
            ("a.*.example", "is neither"),
            ("*.", "is neither"),
            ("*.1", "is neither"),
            ("a b", "is neither"),
            ("b\u{fc}cher.example", "xn--"),
            ("10.0.0.256", "is neither"),
            ("a..b", "is neither"),
            ("api.example.com/path", "is no CIDR block"),
            ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
            ("api.example.com:", "no port"),
            ("api.example.com:0", "no port"),
            ("api.example.com:+1", "no port"),
            ("api.example.com:65536", "no port"),
        ] {
            let problem = HttpHosts::parse(text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
        assert!(HttpHosts::parse(&"a,".repeat(MAX_HOSTS)).is_ok());
        assert!(HttpHosts::parse(&"a,".repeat(MAX_HOSTS + 1)).unwrap_err().contains("more than"));
    }
}

//! Lists of addresses and ports: `[host][:port[-port][,port[-port]]...][;...]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::view::shown_value;

/// The most pieces in one list.
const MOST_RUNS: usize = 256;

/// Ports in order, each on a host or on any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortList {
    runs: Vec<Run>,
}

/// Ports that follow each other, on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// `None` is every address of this machine.
    host: Option<IpAddr>,
    first: u16,
    last: u16,
}

impl PortList {
    /// Reads a list. A host without ports has those of `default`. Port 0 is one that the system chooses.
    pub(super) fn parse(text: &str, default: (u16, u16)) -> Result<Self, String> {
        let mut list = Self { runs: Vec::new() };
        for set in text.split(';').map(str::trim).filter(|set| !set.is_empty()) {
            let (host, ports) = split_host(set)?;
            if ports.trim().is_empty() {
                list.add(Run { host, first: default.0, last: default.1 })?;
                continue;
            }
            for range in ports.split(',').map(str::trim) {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (port(first.trim())?, port(last.trim())?);
                if last < first {
                    return Err(format!("the range {range} ends before it begins"));
                }
                list.add(Run { host, first, last })?;
            }
        }
        if list.runs.is_empty() { Err("no port at all".into()) } else { Ok(list) }
    }

    fn add(&mut self, run: Run) -> Result<(), String> {
        if self.runs.len() == MOST_RUNS {
            return Err(format!("more than {MOST_RUNS} ports or ranges"));
        }
        for other in &self.runs {
            let is_same_host = run.host == other.host || run.host.is_none() || other.host.is_none();
            let shared = run.first.max(other.first);
            if is_same_host && shared <= run.last.min(other.last) && shared != 0 {
                return Err(format!("port {shared} is in it twice"));
            }
        }
        self.runs.push(run);
        Ok(())
    }

    /// How many ports there are.
    pub fn count(&self) -> usize {
        self.runs.iter().map(Run::count).sum()
    }

    /// All of them in order: `None` is any address of this machine.
    pub fn iter(&self) -> impl Iterator<Item = (Option<IpAddr>, u16)> + '_ {
        self.runs.iter().flat_map(|run| (run.first..=run.last).map(|port| (run.host, port)))
    }

    /// The `index`th of them, from 0.
    pub fn get(&self, index: usize) -> Option<(Option<IpAddr>, u16)> {
        let mut index = index;
        for run in &self.runs {
            match u16::try_from(index) {
                Ok(offset) if index < run.count() => return Some((run.host, run.first + offset)),
                _ => index = index.checked_sub(run.count())?,
            }
        }
        None
    }

    /// Which one of them that address is, from 0.
    pub fn position(&self, address: SocketAddr) -> Option<usize> {
        let ip = address.ip().to_canonical();
        let mut before = 0;
        for run in &self.runs {
            let is_in = (run.first..=run.last).contains(&address.port()) && run.host.is_none_or(|host| host == ip);
            if is_in {
                return Some(before + usize::from(address.port() - run.first));
            }
            before += run.count();
        }
        None
    }

    /// The first host that names no single machine, as an advertised address must.
    pub(super) fn vague_host(&self) -> Option<Option<IpAddr>> {
        let vague =
            self.runs.iter().find(|run| run.host.is_none_or(|host| host.is_unspecified() || host.is_multicast()))?;
        Some(vague.host)
    }

    /// Whether one of the ports is 0.
    pub(super) fn has_zero(&self) -> bool {
        self.runs.iter().any(|run| run.first == 0)
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.runs.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            match run.host {
                Some(IpAddr::V6(host)) => write!(f, "{separator}[{host}]:{}", run.first)?,
                Some(host) => write!(f, "{separator}{host}:{}", run.first)?,
                None => write!(f, "{separator}:{}", run.first)?,
            }
            if run.last != run.first {
                write!(f, "-{}", run.last)?;
            }
        }
        Ok(())
    }
}

impl Run {
    fn count(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

/// Ports to listen at, and what to tell others that they are: the nth to the nth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Where to listen.
    pub local: PortList,
    /// What others reach it by, port by port; `None` is what it is. As many as there are local ones.
    pub public: Option<PortList>,
}

impl PortSet {
    /// What others reach a port of the set by, if that was configured.
    pub fn public_of(&self, local: SocketAddr) -> Option<SocketAddr> {
        let (host, port) = self.public.as_ref()?.get(self.local.position(local)?)?;
        host.map(|host| SocketAddr::new(host, port))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.public {
            Some(public) => write!(f, "{} (public {public})", self.local),
            None => self.local.fmt(f),
        }
    }
}

/// An address to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address to bind. An unspecified IP address is all of its family.
    pub local: SocketAddr,
    /// The address to tell others, if it is another one.
    pub public: Option<SocketAddr>,
    /// Whether the server runs without it too: every IPv6 address of a machine that may have none.
    pub is_optional: bool,
}

impl Listen {
    /// Every address of a set; a port on any host is one address for each family in use.
    pub(super) fn all(set: &PortSet, is_ipv6_on: bool, public_ip: Option<IpAddr>) -> Vec<Self> {
        let mut all = Vec::new();
        for (index, (host, port)) in set.local.iter().enumerate() {
            let explicit = set.public.as_ref().and_then(|public| public.get(index));
            let public = explicit.and_then(|(host, port)| Some(SocketAddr::new(host?, port)));
            let public = public.or_else(|| public_ip.map(|ip| SocketAddr::new(ip, port)));
            let hosts: &[IpAddr] = match &host {
                Some(host) => std::slice::from_ref(host),
                None if is_ipv6_on => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
                None => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            };
            all.extend(hosts.iter().map(|&host| {
                let public = public
                    .filter(|public| explicit.is_some() && hosts.len() == 1 || public.is_ipv4() == host.is_ipv4());
                Self { local: SocketAddr::new(host, port), public, is_optional: hosts.len() > 1 && host.is_ipv6() }
            }));
        }
        all
    }

    /// Whether both cannot be bound: the same port, of the same address or one of all of the family.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let (a, b) = (self.local, other.local);
        a.port() == b.port()
            && a.port() != 0
            && a.is_ipv4() == b.is_ipv4()
            && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public {
            Some(public) => write!(f, "{} (public {public})", self.local),
            None => self.local.fmt(f),
        }
    }
}

/// The host, and the text behind its colon.
fn split_host(set: &str) -> Result<(Option<IpAddr>, &str), String> {
    if let Ok(host) = set.parse() {
        return Ok((Some(host), ""));
    }
    let (host, ports) = match set.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, "")) => (host, ""),
        Some((host, behind)) => {
            let ports = behind
                .strip_prefix(':')
                .ok_or_else(|| format!("a colon must follow the ] in `{}`", shown_value(set)))?;
            (host, ports)
        }
        None => set.split_once(':').unwrap_or((set, "")),
    };
    let host = match host.trim() {
        "" => None,
        name if name.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        ip => Some(ip.parse().map_err(|_| format!("`{}` is not an IP address", shown_value(ip)))?),
    };
    Ok((host, ports))
}

fn port(text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok() } else { None };
    number.ok_or_else(|| format!("`{}` is not a port (1 to 65535)", shown_value(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> PortList {
        PortList::parse(text, (1935, 1935)).unwrap()
    }

    #[test]
    fn the_forms_of_a_host_and_its_ports() {
        for (text, shown) in [
            (":1935,80", ":1935;:80"),
            ("127.0.0.1", "127.0.0.1:1935"),
            ("127.0.0.1:", "127.0.0.1:1935"),
            ("localhost:1111", "127.0.0.1:1111"),
            ("10.0.0.1:1-3, 7;10.0.0.2:5", "10.0.0.1:1-3;10.0.0.1:7;10.0.0.2:5"),
            ("[::1]:1935", "[::1]:1935"),
            ("[2001:db8::1]", "[2001:db8::1]:1935"),
            ("2001:db8::1", "[2001:db8::1]:1935"),
            (":0", ":0"),
        ] {
            assert_eq!(list(text).to_string(), shown, "{text}");
        }
        assert_eq!(list("10.0.0.1:1-3,7").count(), 4);
        assert_eq!(PortList::parse(":", (19350, 65535)).unwrap().count(), 46186);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            ";",
            ":65536",
            ":-1",
            ":x",
            ":1-",
            ":2-1",
            "example.net:1",
            "[::1]1935",
            ":1,1",
            ":1-5,3",
            ":1;10.0.0.1:1",
            ":1,,2",
            ":+1",
        ] {
            assert!(PortList::parse(text, (1, 1)).is_err(), "{text}");
        }
        assert!(PortList::parse(&"10.0.0.1:1;".repeat(2), (1, 1)).is_err());
        let many: Vec<_> = (1..=MOST_RUNS + 1).map(|port| port.to_string()).collect();
        assert!(PortList::parse(&format!(":{}", many.join(",")), (1, 1)).is_err());
    }

    #[test]
    fn the_nth_port_has_the_nth_public_one() {
        // The example of the manual: port 1005 of 1000-2000 is 4005 of 4000-5000.
        let set = PortSet { local: list("192.0.2.1:1000-2000"), public: Some(list("203.0.113.1:4000-5000")) };
        assert_eq!(set.public_of("192.0.2.1:1005".parse().unwrap()), Some("203.0.113.1:4005".parse().unwrap()));
        assert_eq!(set.public_of("192.0.2.1:999".parse().unwrap()), None);
        assert_eq!(set.public_of("192.0.2.9:1005".parse().unwrap()), None);
        let any = PortSet { local: list(":1-2,9"), public: Some(list("203.0.113.1:5;203.0.113.2:6-7")) };
        assert_eq!(any.public_of("192.0.2.1:9".parse().unwrap()), Some("203.0.113.2:7".parse().unwrap()));
    }

    #[test]
    fn any_host_is_one_address_for_each_family() {
        let set = PortSet { local: list(":1935"), public: Some(list("203.0.113.1:2000")) };
        let shown = |is_ipv6_on, ip: Option<&str>, set: &PortSet| {
            Listen::all(set, is_ipv6_on, ip.map(|ip| ip.parse().unwrap()))
                .iter()
                .map(Listen::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(false, None, &set), ["0.0.0.0:1935 (public 203.0.113.1:2000)"]);
        assert_eq!(shown(true, None, &set), ["0.0.0.0:1935 (public 203.0.113.1:2000)", "[::]:1935"]);
        let plain = PortSet { local: list(":1935"), public: None };
        assert_eq!(shown(true, Some("2001:db8::5"), &plain), ["0.0.0.0:1935", "[::]:1935 (public [2001:db8::5]:1935)"]);
    }
}

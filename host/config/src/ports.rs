//! Lists of addresses and ports: `[host][:port[-port][,port[-port]]...][;...]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};

/// The most pieces in one list.
const MAX_RUNS: usize = 256;

/// Ports in order, each on a host or on any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortList {
    runs: Vec<Run>,
    /// The ports with a minus sign, by which Adobe's servers mark those for TLS. They are not listened at.
    tls: Vec<u16>,
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
    /// Reads a list. A host without ports has those of `default`. Port 0 is one that the system chooses. Ports with a minus sign are
    /// set apart: see [`Self::tls_ports`].
    pub(super) fn parse(text: &str, default: (u16, u16)) -> Result<Self, String> {
        let mut list = Self { runs: Vec::new(), tls: Vec::new() };
        for set in text.split(';').map(str::trim).filter(|set| !set.is_empty()) {
            let (host, ports) = split_host(set)?;
            if ports.trim().is_empty() {
                list.add(Run { host, first: default.0, last: default.1 })?;
                continue;
            }
            for range in ports.split(',').map(str::trim) {
                if let Some(tls) = range.strip_prefix('-') {
                    if list.tls.len() == MAX_RUNS {
                        return Err(format!("more than {MAX_RUNS} ports or ranges"));
                    }
                    list.tls.push(port(tls.trim())?);
                    continue;
                }
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (port(first.trim())?, port(last.trim())?);
                if last < first {
                    return Err(format!("the range {range} ends before it begins"));
                }
                list.add(Run { host, first, last })?;
            }
        }
        if list.runs.is_empty() && list.tls.is_empty() { Err("no port at all".into()) } else { Ok(list) }
    }

    /// These ports, on any host.
    pub(super) fn anywhere(first: u16, last: u16) -> Self {
        Self { runs: vec![Run { host: None, first, last }], tls: Vec::new() }
    }

    /// The ports for TLS, which are not listened at, in words: `port 443`; `None` if there are none.
    pub(super) fn tls_ports(&self) -> Option<String> {
        let ports: Vec<String> = self.tls.iter().map(u16::to_string).collect();
        let noun = if ports.len() == 1 { "port" } else { "ports" };
        (!ports.is_empty()).then(|| format!("{noun} {}", ports.join(", ")))
    }

    fn add(&mut self, run: Run) -> Result<(), String> {
        if self.runs.len() == MAX_RUNS {
            return Err(format!("more than {MAX_RUNS} ports or ranges"));
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

/// A list of ports, on any host if the default names none; a host without ports has the default one.
pub(super) struct Ports {
    host: Option<Ipv4Addr>,
    port: u16,
    most: usize,
}

/// The default is one port; there are `most` at most.
pub(super) const fn ports(host: Option<Ipv4Addr>, port: u16, most: usize) -> Ports {
    Ports { host, port, most }
}

/// How lists of ports look, as messages describe it.
const FORM: &str = "`host:port,port-port;...`";

impl Described for Ports {
    fn describe(&self) -> String {
        FORM.into()
    }

    fn default_text(&self) -> String {
        self.default().to_string()
    }
}

impl Syntax for Ports {
    type Value = PortList;

    fn parse(&self, text: &str) -> Result<PortList, Wrong> {
        let list = PortList::parse(text, (self.port, self.port))?;
        if list.count() > self.most { Err(format!("more than {} ports", self.most).into()) } else { Ok(list) }
    }

    fn default(&self) -> PortList {
        PortList {
            runs: vec![Run { host: self.host.map(IpAddr::V4), first: self.port, last: self.port }],
            tls: Vec::new(),
        }
    }
}

/// A list of ports, or none, which is the default. A host without ports has a range of them.
pub(super) struct OptionalPorts {
    first: u16,
    last: u16,
}

/// A host without ports has those from `first` to `last`.
pub(super) const fn optional_ports(first: u16, last: u16) -> OptionalPorts {
    OptionalPorts { first, last }
}

impl Described for OptionalPorts {
    fn describe(&self) -> String {
        FORM.into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for OptionalPorts {
    type Value = Option<PortList>;

    fn parse(&self, text: &str) -> Result<Option<PortList>, Wrong> {
        let list = PortList::parse(text, (self.first, self.last))?;
        match list.tls_ports() {
            Some(ports) => Err(format!("{ports} with a minus sign: there is no TLS here").into()),
            None => Ok(Some(list)),
        }
    }

    fn default(&self) -> Option<PortList> {
        None
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
        let many: Vec<_> = (1..=MAX_RUNS + 1).map(|port| port.to_string()).collect();
        assert!(PortList::parse(&format!(":{}", many.join(",")), (1, 1)).is_err());
    }

    #[test]
    fn ports_for_tls_are_set_apart() {
        let mixed = list(":1935,-443, 80");
        assert_eq!((mixed.to_string().as_str(), mixed.count()), (":1935;:80", 2));
        assert_eq!(mixed.tls_ports().as_deref(), Some("port 443"));
        let none = list("10.0.0.1:-443,-8443");
        assert_eq!((none.count(), none.tls_ports().as_deref()), (0, Some("ports 443, 8443")));
        assert_eq!(list(":1935").tls_ports(), None);
        for text in [":--1", ":-", ":-x", ":-65536", ":-1-2"] {
            assert!(PortList::parse(text, (1, 1)).is_err(), "{text}");
        }
        assert!(optional_ports(1, 2).parse(":-443").is_err(), "where ports for TLS make no sense");
        let many: Vec<_> = (0..=MAX_RUNS).map(|_| "-1").collect();
        assert!(PortList::parse(&format!(":{}", many.join(",")), (1, 1)).is_err());
    }

    #[test]
    fn a_list_has_so_many_pieces_and_no_more() {
        let pieces = |count: usize| (1..=count).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(list(&format!(":{}", pieces(MAX_RUNS))).count(), MAX_RUNS);
        assert!(PortList::parse(&format!(":{}", pieces(MAX_RUNS + 1)), (1, 1)).is_err());
        let syntax = ports(None, 1, 3);
        assert!(syntax.parse(":1-3").is_ok() && syntax.parse(":1-4").is_err());
    }

    #[test]
    fn a_port_is_found_by_its_number_in_the_list_and_back() {
        let list = list("10.0.0.1:5-7,9;10.0.0.2:5;:20-21");
        let all: Vec<_> = list.iter().collect();
        assert_eq!(all.len(), list.count());
        let any: IpAddr = "10.9.9.9".parse().unwrap();
        for (index, (host, port)) in all.iter().enumerate() {
            assert_eq!(list.get(index), Some((*host, *port)));
            assert_eq!(list.position(SocketAddr::new(host.unwrap_or(any), *port)), Some(index));
        }
        assert_eq!(list.get(all.len()), None);
        for address in ["10.0.0.1:4", "10.0.0.1:8", "10.0.0.2:6", "10.0.0.3:5", "10.0.0.1:22", "10.0.0.1:19"] {
            assert_eq!(list.position(address.parse().unwrap()), None, "{address}");
        }
        assert_eq!(list.position("[::ffff:10.0.0.2]:5".parse().unwrap()), Some(4));
    }

    #[test]
    fn the_same_port_of_two_hosts_is_no_repetition() {
        assert_eq!(list("10.0.0.1:5;10.0.0.2:5").count(), 2);
        assert_eq!(list(":1-2,3-4").count(), 4);
        assert_eq!(list(":0,0").count(), 2, "the system chooses two");
        for text in [":1-2,2-4", ":2-4,1-2", "10.0.0.1:5;:5", ":5;10.0.0.1:5"] {
            assert!(PortList::parse(text, (1, 1)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_that_names_no_machine_is_known_and_a_port_that_names_none() {
        let vague = |text: &str| list(text).vague_host();
        assert_eq!(vague("10.0.0.1:1;[2001:db8::1]:1"), None);
        assert_eq!(vague("10.0.0.1:1;:2"), Some(None));
        for host in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            assert_eq!(vague(host), Some(host.parse().ok()), "{host}");
        }
        assert!(list(":1,0").has_zero() && !list(":1,2").has_zero());
    }
}

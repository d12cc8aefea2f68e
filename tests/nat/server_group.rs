//! Servers in a server-only group, without a registry: five on three subnets, two of them bootstrap nodes, with the script as it is
//! shipped; their clients behind NATs.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

use introd_tests::program::{Ended, Files, GroupMember, Peer, Server, binary, groupspec};
use introd_tests::waiting::eventually;
use rtmfp::PeerId;
use rustix::process::Signal;

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{peer, probe, server};

/// The files of the script `lua/distributed`.
const SCRIPT: [(&str, &str); 7] = [
    ("main.lua", include_str!("../../lua/distributed/main.lua")),
    ("buckets.lua", include_str!("../../lua/distributed/buckets.lua")),
    ("members.lua", include_str!("../../lua/distributed/members.lua")),
    ("mesh.lua", include_str!("../../lua/distributed/mesh.lua")),
    ("others.lua", include_str!("../../lua/distributed/others.lua")),
    ("own.lua", include_str!("../../lua/distributed/own.lua")),
    ("settings.lua", include_str!("../../lua/distributed/settings.lua")),
];
/// The UDP port of the servers' own group.
const PORT: u16 = 1936;

/// A server on its host, and one client of it behind a NAT of its own.
struct Site {
    name: &'static str,
    host: Host,
    files: Files,
    server: Option<Server>,
    home: Host,
    client: Option<Peer>,
}

impl Site {
    fn new(net: &Internet, name: &'static str, host: Host) -> Self {
        let home = net.nat("n", Nat::PortRestricted).into_host("c");
        Self { name, host, files: Files::new(), server: None, home, client: None }
    }

    fn configure(&self, bootstrap: &str) {
        let bind = format!("{}:{PORT}", self.host.v4.unwrap());
        let settings = format!(
            "<LoadOnStartup>true</LoadOnStartup>\
             <ScriptEngine><ApplicationObject><config><secret>not to be guessed by others</secret>\
             <endpointName>server-{}</endpointName><bind>{bind}</bind>{bootstrap}</config></ApplicationObject></ScriptEngine>\
             <RTMFP><PeerLookupEvents mode=\"All\"/><GroupControl><JoinLeaveEvents mode=\"All\"/></GroupControl></RTMFP>",
            self.name
        );
        self.files.script("meet", SCRIPT[0].1, &settings);
        for (file, text) in SCRIPT {
            self.files.write(&format!("../applications/meet/{file}"), text);
        }
    }

    fn start(&mut self) {
        self.server = Some(server(&self.host, &["--conf", &self.files.path().to_string_lossy()]));
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn uri(&self) -> String {
        format!("rtmfp://{}/meet", self.host.v4.unwrap())
    }

    fn connect(&mut self) {
        self.client = Some(peer(&self.home, &self.uri()));
    }

    /// How often its log says that a server of the group lives, and that it does not any more.
    fn said(&self, other: &str) -> (usize, usize) {
        let log = self.server().log();
        let count = |what: &str| log.matches(what).count();
        (
            count(&format!("server server-{other} is in the group")),
            count(&format!("server server-{other} is not heard any more")),
        )
    }

    /// Whether it knows another one to live.
    fn knows(&self, other: &str) -> bool {
        let (here, gone) = self.said(other);
        here > gone
    }

    /// The home's peer at this server looks for the client of another one.
    fn meets(&self, other: &Self) -> Ended {
        let target = &other.client.as_ref().unwrap().id;
        probe(&self.home, &["--json", "--timeout", "30", "--peer", target, &self.uri()])
    }
}

/// Waits until each of the servers knows each other one, and says how long that took.
fn are_one_group(sites: &[&Site], what: &str, since: Instant) {
    eventually(what, || {
        sites.iter().all(|site| sites.iter().all(|other| site.name == other.name || site.knows(other.name)))
    });
    println!("{what}: {} ms", since.elapsed().as_millis());
}

/// Waits until none of the servers believes that another one lives, and says how long that took.
fn have_noticed(sites: &[&Site], dead: &str, since: Instant) {
    let what = format!("all know that server {dead} is gone");
    eventually(&what, || sites.iter().all(|site| !site.knows(dead)));
    println!("{what}: {} ms", since.elapsed().as_millis());
}

/// From each home, a peer of its server meets the clients of all other servers.
fn each_meets_each(sites: &[&Site]) {
    std::thread::scope(|scope| {
        for site in sites {
            scope.spawn(move || {
                for other in sites.iter().filter(|other| other.name != site.name) {
                    let ended = site.meets(other);
                    let (from, to) = (site.name, other.name);
                    assert_eq!(ended.code, Some(0), "{from} to {to}: {ended:?}\n{}", site.server().log());
                    let report = ended.json();
                    let met = (&report["introduced"], &report["message_exchanged"]);
                    assert_eq!(met, (&true.into(), &true.into()), "{from} to {to}: {report}");
                }
            });
        }
    });
}

/// Stops a site's server without a word. Its client goes as well.
fn kill(site: &mut Site) -> Instant {
    let server = site.server.take().unwrap();
    server.signal(Signal::KILL);
    assert_eq!(server.ended().code, None);
    drop(site.client.take());
    Instant::now()
}

/// Five servers, and a client of each. The first and the third are bootstrap nodes.
fn five(net: &Internet) -> [Site; 5] {
    let subnets = ["s", "t", "u"].map(|name| net.subnet(name));
    let [first, second, third] = &subnets;
    let hosts = [
        ("a", first.host("a")),
        ("b", first.host("b")),
        ("c", second.host("c")),
        ("d", second.host("d")),
        ("e", third.host("e")),
    ];
    let mut sites = hosts.map(|(name, host)| Site::new(net, name, host));
    let node = |site: &Site| {
        let (name, address) = (site.name, site.host.v4.unwrap());
        format!("<bootstrap><name>server-{name}</name><address>{address}:{PORT}</address></bootstrap>")
    };
    let bootstrap = [node(&sites[0]), node(&sites[2])].concat();
    for site in &mut sites {
        site.configure(&bootstrap);
    }
    sites.iter_mut().for_each(Site::start);
    subnets.into_iter().zip([0, 2, 4]).for_each(|(subnet, site)| sites[site].host.keep(subnet));
    sites
}

#[test]
fn five_servers_on_three_subnets_are_one_group_whatever_happens_to_its_bootstrap_nodes() {
    let net = Internet::new();
    let began = Instant::now();
    let mut sites = five(&net);
    are_one_group(&sites.each_ref(), "five servers are one group", began);
    sites.iter_mut().for_each(Site::connect);
    each_meets_each(&sites.each_ref());

    // The first bootstrap node dies, then the second one. The others lose nothing but those two.
    let killed = kill(&mut sites[0]);
    let rest = [&sites[1], &sites[2], &sites[3], &sites[4]];
    have_noticed(&rest, "a", killed);
    each_meets_each(&rest);
    let killed = kill(&mut sites[2]);
    let rest = [&sites[1], &sites[3], &sites[4]];
    have_noticed(&rest, "c", killed);
    each_meets_each(&rest);

    // A server that is started again while no bootstrap node lives is found by nobody; with the bootstrap node all are one group again.
    let restarted = Instant::now();
    sites[0].start();
    let now = [&sites[0], &sites[1], &sites[3], &sites[4]];
    are_one_group(&now, "the restarted bootstrap node is a member again", restarted);
    sites[0].connect();
    let now = [&sites[0], &sites[1], &sites[3], &sites[4]];
    each_meets_each(&now);
}

#[test]
fn members_of_a_group_on_different_servers_become_one_overlay_without_a_registry() {
    let net = Internet::new();
    let began = Instant::now();
    let sites = five(&net);
    are_one_group(&sites.each_ref(), "five servers are one group", began);
    let spec = groupspec("chess", true);
    let start = |site: &Site| GroupMember::by(&mut site.home.command(binary()), &site.uri(), &spec);
    let members = [1, 2, 3].map(|site| start(&sites[site]));
    let ids = Mutex::new(BTreeSet::new());
    eventually("each of three members on three servers is a neighbour of the others", || {
        let said: Vec<_> = members.iter().filter_map(GroupMember::neighbors).collect();
        *ids.lock().unwrap() = said.iter().map(|(own, _)| *own).collect();
        said.len() == members.len() && said.iter().all(|(_, neighbors)| neighbors.len() == members.len() - 1)
    });
    // One more, on another server, is told of them, reaches them and has its posting answered.
    let newcomer = &sites[4];
    let ended = probe(&newcomer.home, &["--json", "--timeout", "30", "--group", spec.as_str(), &newcomer.uri()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    let connected = report["neighbors_connected"].as_array().unwrap().iter();
    let connected: BTreeSet<PeerId> = connected.map(|id| id.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!((&connected, &report["posting_exchanged"]), (&ids.into_inner().unwrap(), &true.into()), "{report}");
}

//! Which crate of the workspace may depend on which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Each crate, and those of the workspace that it may depend on.
const ARROWS: [(&str, &[&str]); 24] = [
    // The protocol.
    ("rtmfp", &[]),
    ("introd-flash", &["rtmfp"]),
    ("introd-netgroup", &["rtmfp", "introd-flash"]),
    ("introd-udp", &["rtmfp"]),
    ("introd-relay", &["rtmfp"]),
    ("introd-client", &["rtmfp", "introd-flash", "introd-netgroup", "introd-udp"]),
    // What everything that runs on the server may know.
    ("introd-plugin", &[]),
    ("introd-log", &[]),
    ("introd-liveness", &["introd-log"]),
    ("introd-interrupt", &[]),
    ("introd-config", &["introd-plugin"]),
    // Policies. What they are told and answer is made of addresses, ids and AMF values.
    ("introd-policy", &["rtmfp", "introd-flash", "introd-config"]),
    (
        "introd-lua",
        &[
            "rtmfp",
            "introd-flash",
            "introd-netgroup",
            "introd-policy",
            "introd-config",
            "introd-plugin",
            "introd-liveness",
            "introd-interrupt",
            "introd-log",
        ],
    ),
    (
        "introd-native",
        &[
            "rtmfp",
            "introd-flash",
            "introd-netgroup",
            "introd-policy",
            "introd-config",
            "introd-plugin",
            "introd-liveness",
            "introd-log",
        ],
    ),
    // The server may know all of these.
    (
        "introd",
        &[
            "rtmfp",
            "introd-flash",
            "introd-netgroup",
            "introd-udp",
            "introd-relay",
            "introd-client",
            "introd-plugin",
            "introd-log",
            "introd-liveness",
            "introd-config",
            "introd-policy",
            "introd-lua",
            "introd-native",
        ],
    ),
    // Plugins know the SDK alone, as those of others do.
    ("group-bootstrap", &["introd-plugin"]),
    ("lookup-filter", &["introd-plugin"]),
    ("registry-redis", &["introd-plugin"]),
    ("memory-registry", &["introd-plugin"]),
    ("puppet", &["introd-plugin"]),
    // The simulated network tests the engine and the relay's pairs, and is built with them alone.
    ("introd-sim", &["rtmfp", "introd-relay"]),
    // Likewise what watches the protocol's secrets.
    ("introd-constant-time", &["rtmfp"]),
    // The soak sees the server from outside: its clients are endpoints, and all else it learns from the administration and the log.
    ("introd-soak", &["rtmfp", "introd-flash", "introd-netgroup", "introd-udp", TESTS]),
    (TESTS, &[ANY]),
];

/// The names of the protocol engine that a policy may use: addresses, ids and times, not its endpoint.
pub(crate) const FOR_POLICIES: [&str; 8] =
    ["InterfaceId", "Lookup", "MAX_SLOTS", "Moment", "Origin", "PeerId", "SessionId", "TaggedAddress"];

/// The crates of policies.
pub(crate) const OF_POLICIES: [&str; 3] = ["introd-policy", "introd-lua", "introd-native"];

/// May depend on all, and be a dev-dependency of all.
const TESTS: &str = "introd-tests";
const ANY: &str = "*";

/// They leave sockets, threads and the clock to their callers: tokio is not among what they build on, directly or not.
pub(crate) const WITHOUT_RUNTIME: [&str; 8] = [
    "rtmfp",
    "introd-relay",
    "introd-plugin",
    "introd-flash",
    "introd-netgroup",
    "introd-log",
    "introd-config",
    "introd-policy",
];

/// A dependency of a crate of the workspace on another one.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) manifest: PathBuf,
    pub(crate) is_dev: bool,
}

/// The dependencies that the table does not allow, in words.
pub(crate) fn wrong_arrows(dependencies: &[Dependency]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let wrong = dependencies.iter().filter(|dependency| {
        let Dependency { from, to, is_dev, .. } = dependency;
        let table = allowed.get(from.as_str()).copied().unwrap_or_default();
        !(table.contains(&ANY) || table.contains(&to.as_str()) || (*is_dev && to == TESTS))
    });
    let describe = |Dependency { from, to, manifest, .. }: &Dependency| {
        format!(
            "{}: {from} -> {to} is not among the arrows that tests/tests/house/arrows.rs allows",
            manifest.display()
        )
    };
    wrong.map(describe).collect()
}

/// What Cargo knows of the workspace.
pub(crate) struct Workspace(Value);

impl Workspace {
    pub(crate) fn read() -> Self {
        Self(introd_tests::cargo::metadata())
    }

    pub(crate) fn root(&self) -> &Path {
        Path::new(self.0["workspace_root"].as_str().expect("a folder"))
    }

    fn members(&self) -> impl Iterator<Item = &Value> {
        let members = list(&self.0["workspace_members"]);
        list(&self.0["packages"]).iter().filter(|package| members.contains(&package["id"]))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members().any(|package| package["name"] == name)
    }

    /// Each crate of the workspace with the root file of its library and of each of its programs.
    pub(crate) fn roots(&self) -> Vec<(String, PathBuf)> {
        let of_package = |package: &Value| {
            let name = text(&package["name"]).to_owned();
            let targets = list(&package["targets"]).iter().filter(|target| {
                list(&target["kind"]).iter().any(|kind| ["lib", "cdylib", "rlib", "bin"].contains(&text(kind)))
            });
            targets.map(|target| (name.clone(), PathBuf::from(text(&target["src_path"])))).collect::<Vec<_>>()
        };
        self.members().flat_map(of_package).collect()
    }

    /// What the crates of the workspace depend on among themselves.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        let names: BTreeSet<&str> = self.members().map(|package| text(&package["name"])).collect();
        let of_package = |package: &Value| {
            let dependencies = list(&package["dependencies"]).iter();
            let within = dependencies.filter(|dependency| names.contains(text(&dependency["name"])));
            let dependency = |dependency: &Value| Dependency {
                from: text(&package["name"]).to_owned(),
                to: text(&dependency["name"]).to_owned(),
                manifest: PathBuf::from(text(&package["manifest_path"])),
                is_dev: dependency["kind"] == "dev",
            };
            within.map(dependency).collect::<Vec<_>>()
        };
        self.members().flat_map(of_package).collect()
    }

    /// How a crate of the workspace comes to build on another package, outside its tests.
    pub(crate) fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let name_of: BTreeMap<&str, &str> =
            list(&self.0["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let nodes: BTreeMap<&str, &Value> =
            list(&self.0["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
        let start = self.members().find(|package| package["name"] == from)?;
        let mut waiting = VecDeque::from([vec![text(&start["id"])]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = waiting.pop_front() {
            let last = way[way.len() - 1];
            if name_of[last] == to {
                return Some(way.iter().map(|id| name_of[id].to_owned()).collect());
            }
            for dependency in list(&nodes[last]["deps"]) {
                let is_normal = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
                if is_normal && seen.insert(text(&dependency["pkg"])) {
                    waiting.push_back([&way[..], &[text(&dependency["pkg"])]].concat());
                }
            }
        }
        None
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn an_arrow_that_is_turned_is_found() {
    let dependency = |from: &str, to: &str, is_dev| Dependency {
        from: from.to_owned(),
        to: to.to_owned(),
        manifest: PathBuf::from(format!("host/{from}/Cargo.toml")),
        is_dev,
    };
    let allowed = [
        dependency("introd-netgroup", "introd-flash", false),
        dependency("introd-netgroup", "introd-tests", true),
        dependency("introd-tests", "introd", false),
    ];
    assert_eq!(wrong_arrows(&allowed), [""; 0]);
    for (from, to, is_dev) in [
        ("introd-flash", "introd-netgroup", false),
        ("introd-flash", "introd-netgroup", true),
        ("introd-lua", "introd-native", false),
        ("introd-native", "introd-lua", false),
        ("introd-policy", "introd", false),
        ("introd-policy", "introd-tests", false),
        ("of-no-table", "rtmfp", false),
    ] {
        let wrong = wrong_arrows(&[dependency(from, to, is_dev)]);
        assert!(wrong.len() == 1 && wrong[0].contains(&format!("{from} -> {to}")), "{wrong:?}");
        assert!(wrong[0].contains(&format!("host/{from}/Cargo.toml")), "{wrong:?}");
    }
}

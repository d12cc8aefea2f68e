//! Plugins of released ABI versions load, and shipped libraries export one function.

use std::path::Path;
use std::process::Command;

use introd_policy::Verdict;
use introd_tests::cargo::workspace;
use introd_tests::libraries::{c_examples, c_library, include, library};

use crate::bench::Bench;

#[test]
fn a_plugin_of_each_release_loads_and_decides() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/frozen-1.0.c");
    let bench = Bench::new(c_library(&source, &include().join("frozen/1.0"), "frozen-1-0", &[]), &[]);
    assert_eq!(bench.instance.library().abi(), (1, 0));
    assert_eq!(bench.verdict(0), Verdict::Continue);
    assert_eq!(bench.verdict(3), Verdict::Deny(None));
    assert_eq!(bench.verdict(4), Verdict::Ignore);
    let Verdict::Redirect(addresses) = bench.verdict(1) else { panic!("no redirect") };
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0].address, "192.0.2.77:7".parse().unwrap());
    let mut id = [0; 32];
    id[0] = 2;
    assert_eq!(bench.verdict(2), Verdict::Introduce(rtmfp::PeerId(id)));
    assert_eq!(bench.pending(5).1, [Verdict::Deny(None)]);
}

/// The names of ours that a library exports.
fn exported(library: &Path) -> Vec<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().expect("there is nm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.rsplit(' ').next()).filter(|name| name.contains("introd"));
    names.map(str::to_owned).collect()
}

#[test]
fn each_shipped_library_exports_one_function() {
    let mut libraries = c_examples().to_vec();
    for entry in std::fs::read_dir(workspace().join("plugins")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").exists() {
            libraries.push(library(path.file_name().unwrap().to_str().unwrap()));
        }
    }
    assert!(libraries.len() > 2);
    for library in libraries {
        assert_eq!(exported(&library), ["introd_plugin_entry_v1"], "{}", library.display());
    }
}

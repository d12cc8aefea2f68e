//! The header says what the Rust side says.

use std::path::Path;

/// In the order in which the header has them. `mod.rs` has nothing of its own.
const FILES: [&str; 9] = [
    "values.rs",
    "host.rs",
    "plugin.rs",
    "log.rs",
    "metrics.rs",
    "timer.rs",
    "registry.rs",
    "groups.rs",
    "group_registry.rs",
];

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is in order");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(root.join("src/abi").join(file));
    }
    let mut text = Vec::new();
    builder.generate().expect("the ABI can be written as a header").write(&mut text);
    String::from_utf8(text).expect("the header is text")
}

#[test]
fn the_header_is_the_one_that_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/introd_plugin.h");
    let generated = generated();
    if std::env::var_os("INTROD_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "include/introd_plugin.h is not what src/abi says: write it anew with `INTROD_BLESS=1 cargo test -p introd-plugin`, and read the difference"
    );
}

#[test]
fn no_file_is_forgotten() {
    let abi = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/abi");
    let mut there: Vec<String> =
        std::fs::read_dir(abi).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    let mut known: Vec<&str> = FILES.into_iter().chain(["mod.rs"]).collect();
    known.sort_unstable();
    assert_eq!(there, known);
}

#[test]
fn the_names_of_extensions_are_those_of_the_rust_side() {
    use introd_plugin::abi::{
        INTROD_EXT_GROUPS, INTROD_EXT_LOG, INTROD_EXT_METRICS, INTROD_EXT_REGISTRY, INTROD_EXT_TIMER,
    };
    let header = generated();
    for (name, id) in [
        ("LOG", INTROD_EXT_LOG),
        ("METRICS", INTROD_EXT_METRICS),
        ("TIMER", INTROD_EXT_TIMER),
        ("REGISTRY", INTROD_EXT_REGISTRY),
        ("GROUPS", INTROD_EXT_GROUPS),
    ] {
        let line = format!("#define INTROD_EXT_{name} {:?}\n", id.to_str().unwrap());
        assert!(header.contains(&line), "{line}");
    }
}

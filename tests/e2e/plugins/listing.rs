//! `introd plugins` says what libraries offer.

use introd_plugin::abi::{INTROD_ABI_MAJOR, INTROD_ABI_MINOR};
use introd_tests::libraries::{c_examples, library};
use introd_tests::program::{Ended, Files, Process, introd};

use super::plugin;

fn list(arguments: &[&str]) -> Ended {
    Process::start(&mut introd(&[&["plugins"], arguments].concat())).ended()
}

#[test]
fn introd_plugins_lists_what_each_library_offers() {
    let (filter, example) = (library("lookup-filter"), &c_examples()[0]);
    let ended = list(&[&filter.to_string_lossy(), &example.to_string_lossy()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(ended.stdout.starts_with(&format!("lookup-filter {version}\n  Allows and denies lookups")), "{ended:?}");
    for line in [
        &*format!("  ABI: {INTROD_ABI_MAJOR}.{INTROD_ABI_MINOR}"),
        "  callbacks: connect, disconnect, addresses_changed, lookup, cancel",
        "  extensions: introd.timer/1",
        "example-c 1.0.0",
        "  callbacks: lookup",
        "  extensions: none",
    ] {
        assert!(ended.stdout.lines().any(|said| said == line), "{line}: {ended:?}");
    }
}

#[test]
fn a_library_that_cannot_be_used_is_named_with_the_reason() {
    let filter = library("lookup-filter");
    let ended = list(&["/etc/hostname", &filter.to_string_lossy()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("/etc/hostname cannot be loaded: it is no shared library"), "{ended:?}");
    assert!(ended.stdout.contains("lookup-filter"), "the others are listed: {ended:?}");
    assert!(ended.stderr.contains("1 of 2 cannot be used"), "{ended:?}");
}

#[test]
fn without_arguments_the_plugins_of_the_configuration_are_listed() {
    let files = Files::new();
    let conf = files.path().to_string_lossy().into_owned();
    let none = list(&["--conf", &conf]);
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(none.stdout.starts_with("no plugins"), "{none:?}");
    let (configured, lying) = (library("lookup-filter"), library("group-bootstrap"));
    files.application(&format!("<Plugins>{}</Plugins>", plugin(&configured, "")));
    files.write("../plugins/readme.txt", "no library");
    std::fs::copy(&lying, files.path().join("../plugins/libgroup_bootstrap.so")).unwrap();
    let ended = list(&["--conf", &conf]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["lookup-filter ", "group-bootstrap "] {
        assert_eq!(ended.stdout.lines().filter(|line| line.starts_with(name)).count(), 1, "{ended:?}");
    }
}

//! `introd check-config` and `introd run` say the same of a configuration, its scripts and its plugins.

use introd_tests::libraries::{c_library, include, library};
use introd_tests::program::{Ended, Files, Process, Server, introd, probe};

use crate::plugins::plugin;

fn check(files: &Files) -> Ended {
    Process::start(&mut introd(&["check-config", "--conf", &files.path().to_string_lossy()])).ended()
}

fn run(files: &Files) -> Ended {
    let conf = files.path().to_string_lossy().into_owned();
    Process::start(&mut introd(&["run", "--admin", "none", "--listen", "127.0.0.1:0", "--conf", &conf])).ended()
}

/// The lines about what is wrong, or may be.
fn diagnostics(checked: &Ended) -> Vec<&str> {
    checked.stdout.lines().filter(|line| line.contains("error: ") || line.contains("warning: ")).collect()
}

#[test]
fn a_server_that_starts_logs_each_line_of_check_config_once() {
    let files = Files::new();
    files.script("torn", "", "");
    files.write("../applications/torn/Application.xml", "<Application>");
    files.script("syntax", "function application.onConnect(", "");
    files.script("idle", "function application.onConect() end function application.onConnect() end", "");
    files.script("without", "", "<Plugins><Plugin path=\"libmissing.so\"/></Plugins>");
    files.script("settings", "", &format!("<Plugins>{}</Plugins>", plugin(&library("lookup-filter"), "<rool/>")));
    files.server("<Mask>017</Mask>");
    let checked = check(&files);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let lines = diagnostics(&checked);
    for part in [
        "Application.xml:1:1: error: ",
        "error: application torn of _defaultVHost_ rejects clients and lookups",
        "error: application syntax rejects clients until its script loads: ",
        "warning: application idle: application.onConect is never called: there is no such event; did you mean onConnect?",
        "plugins/libmissing.so: No such file or directory",
        "plugin lookup-filter (",
        "Server.xml:",
    ] {
        assert_eq!(lines.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {checked:?}");
    }
    // What would run is told, too: the applications whose plugins cannot be used are closed.
    assert!(checked.stdout.contains("      without: rejects clients and lookups: "), "{checked:?}");

    let server = Server::configured(files.path(), 1);
    for instance in ["one", "two"] {
        let ended = probe(&[&format!("rtmfp://{}/idle/{instance}", server.addresses[0])]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let stopped = server.stop();
    for line in lines {
        assert_eq!(stopped.stderr.matches(line).count(), 1, "{line}: {stopped:?}");
    }
    assert_eq!(stopped.stderr.matches("onConect").count(), 1, "{stopped:?}");
}

#[test]
fn a_reload_says_again_what_there_is_to_say_of_scripts() {
    let files = Files::new();
    files.script("idle", "function application.onConect() end", "");
    let mut server = Server::configured(files.path(), 1);
    let ended = probe(&[&server.uri_of("idle")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(server.reload());
    server.logged().wait_for("application.onConect is never called", 2);
    // The instance has loaded its script again by then.
    server.logged().wait_for("the script is reloaded", 1);
    let stopped = server.stop();
    assert_eq!(stopped.stderr.matches("application.onConect is never called").count(), 2, "{stopped:?}");
}

#[test]
fn what_keeps_a_server_from_starting_has_the_same_words() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/misbehaving.c");
    let other_abi = c_library(&source, &include(), "abi-2", &["ENTRY=introd_plugin_entry_v2"]);
    let for_all = |path: &std::path::Path| {
        let files = Files::new();
        files.application(&format!("<Plugins>{}</Plugins>", plugin(path, "")));
        files
    };
    let registry = |path: &std::path::Path| {
        let files = Files::new();
        files.server(&format!("<PeerRegistry>{}</PeerRegistry>", plugin(path, "")));
        files
    };
    let missing = std::path::Path::new("/nonexistent/libmissing.so");
    let filter = library("lookup-filter");
    for (files, why) in [
        (for_all(missing), "/nonexistent/libmissing.so: No such file or directory"),
        (for_all(&other_abi), "is for hosts of ABI version 2, and this one has ABI version 1."),
        (for_all(std::path::Path::new("/etc/hostname")), "/etc/hostname cannot be loaded: it is no shared library"),
        (registry(missing), "/nonexistent/libmissing.so: No such file or directory"),
        (registry(&filter), "keeps no registry: it has no introd.registry/1"),
    ] {
        let (checked, ran) = (check(&files), run(&files));
        assert_eq!((checked.code, ran.code), (Some(1), Some(1)), "{checked:?} {ran:?}");
        let lines = diagnostics(&checked);
        let [line] = &lines[..] else { panic!("{checked:?}") };
        let said = line.strip_prefix("error: ").unwrap();
        assert!(said.starts_with("the server does not start: ") && said.contains(why), "{line}");
        assert!(ran.stderr.contains(&format!("introd: {said}\n")), "{said}: {ran:?}");
    }
}

#[test]
fn a_registry_without_groups_is_told() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/registry.c");
    let files = Files::new();
    let registry = c_library(&source, &include(), "registry-without-groups", &[]);
    files.server(&format!("<PeerRegistry>{}</PeerRegistry>", plugin(&registry, "")));
    let checked = check(&files);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let lines = diagnostics(&checked);
    assert_eq!(lines.len(), 1, "{checked:?}");
    assert!(lines[0].contains("members of groups do not meet those of other servers"), "{checked:?}");
    let stopped = Server::configured(files.path(), 1).stop();
    assert_eq!(stopped.stderr.matches(lines[0]).count(), 1, "{stopped:?}");
}

#[test]
fn the_host_of_public_ip_is_looked_up_and_what_it_is_now_is_told() {
    let files = Files::new();
    files.server("<PublicIP>localhost</PublicIP>");
    let checked = check(&files);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("  others reach it at: localhost, which is 127.0.0.1"), "{checked:?}");
    files.server("<PublicIP>server.invalid</PublicIP>");
    let checked = check(&files);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let lines = diagnostics(&checked);
    let told = "warning: Server.xml: PublicIP names the host server.invalid, which has no address now";
    assert!(lines.iter().any(|line| line.contains(told)), "{checked:?}");
    // The server runs, tells others of its own addresses, and follows the configuration at a reload.
    let mut server = Server::configured(files.path(), 1);
    server.logged().wait_for(told, 1);
    let near = |ip: &str| {
        format!("others reach the server at these addresses now addresses=[{ip}:{}", server.addresses[0].port())
    };
    let (address, name) = (near("198.51.100.9"), near("127.0.0.1"));
    files.server("<PublicIP>198.51.100.9</PublicIP>");
    assert!(server.reload());
    server.logged().wait_for(&address, 1);
    files.server("<PublicIP>localhost</PublicIP>");
    assert!(server.reload());
    server.logged().wait_for(&name, 1);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_port_of_ipv6_alone_is_told_to_be_that() {
    let files = Files::new();
    let conf = files.path().to_string_lossy().into_owned();
    let start = |listen: &[&str]| {
        let listen = listen.iter().flat_map(|address| ["--listen", *address]);
        let arguments: Vec<&str> = ["run", "--admin", "none", "--conf", &conf].into_iter().chain(listen).collect();
        Server::by(&mut introd(&arguments)).stop().stderr
    };
    let told = "takes IPv6 only";
    let alone = start(&["[::]:0"]);
    assert_eq!(alone.matches(told).count(), 1, "{alone}");
    let both = start(&[":0"]);
    assert_eq!(both.matches(told).count(), 0, "{both}");
}

//! What `introd new` writes runs as it is, and its tests pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use introd_plugin::abi::{INTROD_ABI_MAJOR, INTROD_ABI_MINOR};
use introd_tests::cargo::{cargo, profile_folder, workspace};
use introd_tests::folder::Folder;
use introd_tests::program::{Ended, Files, Process, Server, introd, probe};

fn in_folder(dir: &Path, args: &[&str]) -> Ended {
    Process::start(introd(args).current_dir(dir)).ended()
}

/// Runs a program to its end, which is a good one.
fn done(command: &mut Command) -> Ended {
    let ended = Process::start(command).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// The plugin of the folder loads, makes instances, and acts.
fn assert_is_plugin(library: &Path, name: &str) {
    let path = library.to_string_lossy();
    let listed = done(&mut introd(&["plugins", &path]));
    assert!(listed.stdout.starts_with(&format!("{name} 0.1.0\n")), "{listed:?}");
    assert!(listed.stdout.contains("lookup"), "{listed:?}");
    let files = Files::new();
    let with = |address: &str| {
        files.application(&format!(
            "<Plugins><Plugin path=\"{path}\"><Config><deny>{address}</deny></Config></Plugin></Plugins>"
        ));
        Process::start(&mut introd(&["check-config", "--conf", &files.path().to_string_lossy()])).ended()
    };
    let checked = with("somewhere");
    assert!(checked.code == Some(1) && checked.stdout.contains(&format!("plugin {name} (")), "{checked:?}");
    let met = |address: &str| {
        let checked = with(address);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let server = Server::configured(files.path(), 1);
        let ended = probe(&["--meet", "--json", "--timeout", "2", &server.uri(0)]);
        (ended.code, server.stop().counter("rtmfp_lookups_denied") > 0)
    };
    assert_eq!(met("192.0.2.7"), (Some(0), false));
    assert_eq!(met("127.0.0.1"), (Some(1), true));
}

#[test]
fn a_new_application_passes_its_test_and_serves() {
    let folder = Folder::new();
    let dir = folder.join("server");
    done(&mut introd(&["init", &dir.to_string_lossy()]));
    let made = in_folder(&dir, &["new", "app", "club-2"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("introd test lua/club-2"), "{made:?}");
    let tested = in_folder(&dir, &["test", "lua/club-2"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(!tested.stdout.contains("note") && tested.stdout.contains("rejects a name that is none"), "{tested:?}");
    let checked = in_folder(&dir, &["check-config"]);
    assert!(checked.code == Some(0) && !checked.stdout.contains("warning"), "{checked:?}");
    assert!(checked.stdout.contains("club-2: lookups by the script"), "{checked:?}");

    let server =
        Server::by(introd(&["run", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", "none"]).current_dir(&dir));
    let met = probe(&["--meet", "--json", &server.uri_of("club-2")]);
    assert_eq!(met.json()["introduced"], true, "{met:?}");
    server.stop();
}

#[test]
fn the_application_for_all_names_without_a_folder_is_made_as_well() {
    let folder = Folder::new();
    let dir = folder.join("server");
    done(&mut introd(&["init", &dir.to_string_lossy()]));
    let made = in_folder(&dir, &["new", "app", "_default_"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("introd probe rtmfp://127.0.0.1/ANY-NAME"), "{made:?}");
    let tested = in_folder(&dir, &["test", "lua/_default_"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    let checked = in_folder(&dir, &["check-config"]);
    assert!(checked.code == Some(0) && !checked.stdout.contains("warning"), "{checked:?}");

    let server =
        Server::by(introd(&["run", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", "none"]).current_dir(&dir));
    let met = probe(&["--meet", "--json", &server.uri_of("whatever")]);
    assert_eq!(met.json()["introduced"], true, "{met:?}");
    server.stop();
}

#[test]
fn a_new_plugin_in_rust_passes_its_tests_and_decides() {
    let folder = Folder::new();
    let made = in_folder(folder.path(), &["new", "plugin", "keep-out"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("cargo build --release"), "{made:?}");
    let dir = folder.join("keep-out");
    // The versions that this workspace has are on this machine. The folder with what is built lasts, so that it is built once.
    std::fs::copy(workspace().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let target = profile_folder().parent().unwrap().join("new-plugin");
    for what in ["test", "build"] {
        let mut command = cargo();
        command.args([what, "--offline", "--quiet", "--target-dir"]).arg(&target).current_dir(&dir);
        done(command.env("RUSTFLAGS", "-D warnings"));
    }
    assert_is_plugin(&target.join("debug/libkeep_out.so"), "keep-out");
}

#[test]
fn a_new_plugin_in_c_passes_its_test_and_decides_with_the_header_beside_it_or_an_installed_one() {
    let folder = Folder::new();
    let made = in_folder(folder.path(), &["new", "plugin", "keep-out", "--lang", "c"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let dir = folder.join("keep-out");
    let make = |target: &str, pkg_config: &Path| {
        let mut make = Command::new("make");
        make.arg("-C").arg(&dir).arg("CFLAGS=-Werror").arg(target).env("PKG_CONFIG_PATH", pkg_config);
        done(&mut make)
    };
    let nowhere = folder.join("nowhere");
    let tested = make("test", &nowhere);
    assert!(tested.stdout.contains("all tests passed") && tested.stdout.contains("-Iinclude"), "{tested:?}");
    make("libkeep_out.so", &nowhere);
    assert_is_plugin(&dir.join("libkeep_out.so"), "keep-out");

    let prefix = folder.join("a prefix");
    let installed = done(&mut introd(&["plugins", "--pkg-config", &prefix.to_string_lossy()]));
    assert!(installed.stdout.contains("share/pkgconfig/introd-plugin.pc"), "{installed:?}");
    make("clean", &nowhere);
    std::fs::remove_dir_all(dir.join("include")).unwrap();
    let pkg_config = prefix.join("share/pkgconfig");
    let tested = make("test", &pkg_config);
    assert!(tested.stdout.contains("all tests passed"), "{tested:?}");
    let version =
        done(Command::new("pkg-config").args(["--modversion", "introd-plugin"]).env("PKG_CONFIG_PATH", &pkg_config));
    assert_eq!(version.stdout, format!("{INTROD_ABI_MAJOR}.{INTROD_ABI_MINOR}\n"));
}

#[test]
fn the_header_is_printed() {
    let printed = done(&mut introd(&["plugins", "--header"]));
    let header = std::fs::read_to_string(workspace().join("plugin-api/include/introd_plugin.h")).unwrap();
    assert_eq!(printed.stdout, header);
}

#[test]
fn new_overwrites_nothing_and_takes_no_name_that_would_need_quotes() {
    for (args, folder) in [
        (&["new", "app", "mine"][..], "lua/mine"),
        (&["new", "plugin", "mine"], "mine"),
        (&["new", "plugin", "mine", "--lang", "c"], "mine"),
    ] {
        let dir = Folder::new();
        let there: PathBuf = dir.join(folder);
        std::fs::create_dir_all(&there).unwrap();
        std::fs::write(there.join("README.md"), "mine").unwrap();
        let ended = in_folder(dir.path(), args);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("is there already, and nothing was written"), "{ended:?}");
        assert_eq!(std::fs::read_to_string(there.join("README.md")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(&there).unwrap().count(), 1);
    }
    let dir = Folder::new();
    for args in
        [&["new", "app", "../mine"][..], &["new", "app", ""], &["new", "plugin", "7up"], &["new", "plugin", "fn"]]
    {
        let ended = in_folder(dir.path(), args);
        assert!(ended.code != Some(0) && !ended.stderr.is_empty(), "{ended:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

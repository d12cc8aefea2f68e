//! The crates that can be taken on their own can be packaged: `cargo publish` would accept them.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use introd_tests::cargo::{cargo, metadata, profile_folder, workspace};
use serde_json::Value;

/// The crates for other projects: the SDK of plugins, and the protocol engine.
const CRATES: [&str; 2] = ["introd-plugin", "rtmfp"];

/// What each of them has in its package.
const FILES: [&str; 5] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"];

fn done(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn crates_that_stand_alone_can_be_packaged_and_what_is_packaged_builds() {
    let target = profile_folder().parent().expect("a target folder").join("packages");
    let mut package = cargo();
    package.args(["package", "--no-verify", "--allow-dirty", "--offline", "--target-dir"]).arg(&target);
    package.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    for name in CRATES {
        package.args(["--package", name]);
    }
    let said = done(&mut package);
    assert!(!said.contains("warning"), "{said}");
    for name in CRATES {
        let folder = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let _ = std::fs::remove_dir_all(target.join(&folder));
        let file = target.join("package").join(format!("{folder}.crate"));
        done(Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(&target));
        for file in FILES {
            let path = target.join(&folder).join(file);
            assert!(path.metadata().is_ok_and(|about| about.is_file() && about.len() > 0), "{}", path.display());
        }
    }
    // Without the feature `config` the SDK needs no other crate, so that this takes a moment.
    let sdk = target.join(format!("introd-plugin-{}", env!("CARGO_PKG_VERSION")));
    assert!(sdk.join("include/introd_plugin.h").is_file() && sdk.join("examples/deferring.rs").is_file());
    std::fs::write(sdk.join("Cargo.lock"), std::fs::read(workspace().join("Cargo.lock")).unwrap()).unwrap();
    alone(&sdk);
    done(cargo().args(["check", "--quiet", "--offline", "--no-default-features"]).current_dir(&sdk));
}

/// Makes a package a workspace of its own: it lies below this one.
fn alone(package: &Path) {
    let manifest = package.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    std::fs::write(manifest, format!("{text}\n[workspace]\n")).expect("a manifest");
}

#[test]
fn crates_that_stand_alone_say_what_they_are() {
    let metadata = metadata();
    let packages: Vec<&Value> = metadata["packages"].as_array().expect("packages").iter().collect();
    for name in CRATES {
        let package = packages.iter().find(|package| package["name"] == name).expect("it is here");
        for field in ["description", "license", "readme", "repository", "documentation", "rust_version"] {
            assert!(package[field].as_str().is_some_and(|text| !text.is_empty()), "{name}: {field}");
        }
        for field in ["keywords", "categories"] {
            let list = package[field].as_array().map(Vec::len).unwrap_or_default();
            assert!((1..=5).contains(&list), "{name}: {field}");
        }
        assert!(package["publish"].is_null(), "{name} may be published");
    }
}

//! Keeps the house as `ARCHITECTURE.md` draws it: which crate may know which, and no ring of files within a crate.
//!
//! `cargo test -p introd-tests --test house -- --nocapture` prints the rings of every crate.
#![forbid(unsafe_code)]

mod arrows;
mod modules;
mod rings;
mod systems;
mod tokens;
mod uses;

use arrows::Workspace;
use rings::rings;
use uses::{Uses, names_of_crate};

/// Crates that still have rings: they are printed, and no error.
const NOT_YET: &[&str] = &[];

/// The rule is in `rings.rs`.
#[test]
fn no_files_of_a_crate_use_each_other_in_a_ring() {
    let workspace = Workspace::read();
    let mut refused = String::new();
    for (package, root) in workspace.roots() {
        let uses = Uses::of(&root, &|path| std::fs::read_to_string(path).ok());
        let rings = rings(&uses);
        println!("{package}: {} files, {} rings", uses.parents.len(), rings.len());
        for ring in &rings {
            let text = format!("{package}: {}", ring.describe(workspace.root()));
            println!("{text}");
            if !NOT_YET.contains(&package.as_str()) {
                refused += &text;
            }
        }
    }
    assert!(
        refused.is_empty(),
        "{refused}Move what the files of a ring share into a file that uses none of them. Only a parent module and its direct \
         children may use each other, as long as no ring is left without the parent."
    );
}

#[test]
fn crates_depend_on_each_other_along_the_arrows_alone() {
    let wrong = arrows::wrong_arrows(&Workspace::read().dependencies());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn protocol_and_policy_crates_do_without_a_runtime() {
    let workspace = Workspace::read();
    let present = arrows::WITHOUT_RUNTIME.iter().filter(|package| workspace.has(package));
    for package in present {
        let way = workspace.way(package, "tokio");
        assert!(way.is_none(), "{package} must build without tokio, and comes to it by {}", way.unwrap().join(" -> "));
    }
    assert!(workspace.way("introd", "tokio").is_some(), "ways are found");
}

#[test]
fn policies_know_addresses_and_ids_of_the_protocol_and_no_endpoint() {
    let mut refused = Vec::new();
    for (package, root) in Workspace::read().roots() {
        if !arrows::OF_POLICIES.contains(&package.as_str()) {
            continue;
        }
        for (name, (file, line)) in names_of_crate(&root, &|path| std::fs::read_to_string(path).ok(), "rtmfp") {
            if !arrows::FOR_POLICIES.contains(&name.as_str()) {
                refused.push(format!("{}:{line}: {package} uses rtmfp::{name}", file.display()));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// The rule is in `systems.rs`.
#[test]
fn portable_crates_have_code_for_one_system_in_files_of_its_own() {
    let roots = Workspace::read().roots();
    let mut refused = Vec::new();
    for (package, allowed) in systems::PORTABLE {
        let own: Vec<_> = roots.iter().filter(|(name, _)| name == package).collect();
        assert!(!own.is_empty(), "{package} is there");
        for (_, root) in own {
            let found = systems::misplaced(root, &|path| std::fs::read_to_string(path).ok(), allowed);
            refused.extend(found.into_iter().map(|place| format!("{package}: {place}")));
        }
    }
    assert!(refused.is_empty(), "only on some systems, and not in the files for them:\n{}", refused.join("\n"));
}

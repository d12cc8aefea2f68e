//! Which file of a crate uses what is defined in which other one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::modules::{Import, Module, modules};

/// The files of a crate and what they use of each other.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// Each file, and the one that declares it as a module.
    pub(crate) parents: BTreeMap<PathBuf, Option<PathBuf>>,
    /// From a file to a file: the names that are used, with the line of one of them.
    pub(crate) edges: BTreeMap<(PathBuf, PathBuf), BTreeMap<String, usize>>,
}

impl Uses {
    pub(crate) fn of(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let modules = modules(root, read);
        let mut uses = Self::default();
        for module in &modules {
            let parent = module.parent.map(|parent| modules[parent].file.clone()).filter(|file| *file != module.file);
            if module.parent.is_none_or(|parent| modules[parent].file != module.file) {
                uses.parents.insert(module.file.clone(), parent);
            }
        }
        for (at, module) in modules.iter().enumerate() {
            for (target, name, line) in used(&modules, at) {
                let defined = &modules[target].file;
                if *defined != module.file {
                    let names = uses.edges.entry((module.file.clone(), defined.clone())).or_default();
                    names.entry(name).or_insert(line);
                }
            }
        }
        uses
    }
}

/// What a crate names of another one: `PeerId` of `rtmfp::PeerId`, with the file and line of the first use.
pub(crate) fn names_of_crate(
    root: &Path,
    read: &dyn Fn(&Path) -> Option<String>,
    other: &str,
) -> BTreeMap<String, (PathBuf, usize)> {
    let mut names = BTreeMap::new();
    for Module { file, paths, imports, .. } in modules(root, read) {
        let imported = imports.iter().map(|import| (&import.path, &import.name, import.line));
        let written = paths.iter().map(|(path, line)| (path, &path[path.len() - 1], *line));
        for (path, last, line) in imported.chain(written).filter(|(path, ..)| path[0] == other) {
            names.entry(path.get(1).unwrap_or(last).clone()).or_insert((file.clone(), line));
        }
    }
    names
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Module(usize),
    Item(usize, String),
}

/// What a module uses: the module that defines it, its name, and the line.
fn used(modules: &[Module], at: usize) -> Vec<(usize, String, usize)> {
    let module = &modules[at];
    let mut used = Vec::new();
    let mut add = |target: Option<Target>, line: usize| {
        // A module is only a name on the way to what is in it.
        if let Some(Target::Item(defined, name)) = target {
            used.push((defined, name, line));
        }
    };
    for (path, line) in &module.paths {
        add(resolve(modules, at, path, &mut BTreeSet::new()), *line);
    }
    for Import { path, name, is_public, line } in &module.imports {
        let target = resolve(modules, at, path, &mut BTreeSet::new());
        match (name.as_str(), target) {
            // Of a glob, what the code names.
            ("*", Some(Target::Module(all))) => {
                for (name, line) in module.names.iter().filter(|_| !is_public) {
                    let is_known =
                        module.items.contains(name) || module.imports.iter().any(|other| other.name == *name);
                    if !is_known {
                        add(look_up(modules, all, name, true, &mut BTreeSet::new()), *line);
                    }
                }
            }
            // Who only passes a name on does not use it.
            (name, target) if !is_public || module.names.contains_key(name) => add(target, *line),
            _ => {}
        }
    }
    used
}

/// Follows a path from a module. `visited` breaks imports that go in circles.
fn resolve(
    modules: &[Module],
    from: usize,
    path: &[String],
    visited: &mut BTreeSet<(usize, String)>,
) -> Option<Target> {
    let mut target = None;
    for (index, name) in path.iter().enumerate() {
        let is_last = index + 1 == path.len();
        target = Some(match (&target, name.as_str()) {
            (None, "crate") => Target::Module(0),
            (None, "self") => Target::Module(from),
            (None, "super") => Target::Module(modules[from].parent?),
            (None, name) => look_up(modules, from, name, is_last, visited)?,
            (Some(Target::Module(module)), "super") => Target::Module(modules[*module].parent?),
            // What a macro defines is in the file that has the path to it.
            (Some(Target::Module(module)), name) => look_up(modules, *module, name, is_last, visited)
                .unwrap_or_else(|| Target::Item(*module, name.to_owned())),
            (Some(Target::Item(..)), _) => break,
        });
    }
    target
}

/// What a name means in a module. At the end of a path, a name that is of a module and of an item means the item.
fn look_up(
    modules: &[Module],
    at: usize,
    name: &str,
    is_last: bool,
    visited: &mut BTreeSet<(usize, String)>,
) -> Option<Target> {
    let module = &modules[at];
    let child = module.children.get(name).map(|child| Target::Module(*child));
    if child.is_some() && !is_last {
        return child;
    }
    if module.items.contains(name) {
        return Some(Target::Item(at, name.to_owned()));
    }
    if !visited.insert((at, name.to_owned())) {
        return child;
    }
    let imported = module.imports.iter().filter(|import| import.name == name);
    let named = imported.filter_map(|import| resolve(modules, at, &import.path, visited)).next();
    let globs = module.imports.iter().filter(|import| import.name == "*");
    named.or(child).or_else(|| {
        globs
            .filter_map(|import| match resolve(modules, at, &import.path, visited)? {
                Target::Module(all) if all != at => look_up(modules, all, name, is_last, visited),
                _ => None,
            })
            .next()
    })
}

#[test]
fn names_of_another_crate_are_found_in_imports_and_in_code() {
    let read = |path: &Path| match path.to_str() {
        Some("lib.rs") => Some("mod a; use rtmfp::{PeerId, crypto::{Group, Identity}};".to_owned()),
        Some("a.rs") => Some("// rtmfp::Comment\nfn f() { rtmfp::flow::open(1); }\nuse rtmfp::*;".to_owned()),
        _ => None,
    };
    let names = names_of_crate(Path::new("lib.rs"), &read, "rtmfp");
    assert_eq!(names.keys().collect::<Vec<_>>(), ["*", "PeerId", "crypto", "flow"]);
    assert_eq!(names["flow"], (PathBuf::from("a.rs"), 2));
}

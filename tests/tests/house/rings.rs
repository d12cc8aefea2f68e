//! Rings of files: files each of which uses, directly or through others, what is defined in each of the others.
//!
//! The rule: **a ring may only be a parent and direct children of it, and without the parent no ring is left.** So the file
//! of a module may be composed of what its children define while they use its type. A ring of siblings, of a grandchild, or
//! across rooms is an error: what the files share belongs in a file of its own that uses none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::uses::Uses;

/// A ring that the rule does not allow.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) files: BTreeSet<PathBuf>,
    /// Each use in it, in words.
    pub(crate) uses: Vec<String>,
}

impl Ring {
    pub(crate) fn describe(&self, root: &Path) -> String {
        let mut text = format!("a ring of {} files\n", self.files.len());
        for line in &self.uses {
            let _ = writeln!(text, "    {}", line.replace(&format!("{}/", root.display()), ""));
        }
        text
    }
}

/// The rings of a crate that the rule does not allow.
pub(crate) fn rings(uses: &Uses) -> Vec<Ring> {
    let files = uses.parents.keys().map(PathBuf::as_path).collect();
    let refused = components(&files, uses).into_iter().filter(|ring| !is_allowed(ring, uses));
    let describe = |ring: BTreeSet<&Path>| {
        let within = uses.edges.iter().filter(|((from, to), _)| is_within(&ring, from, to));
        let words = within.map(|((from, to), names)| {
            let line = names.values().min().copied().unwrap_or_default();
            let names: Vec<_> = names.keys().map(String::as_str).collect();
            format!("{}:{line} uses {} of {}", from.display(), names.join(", "), to.display())
        });
        Ring { uses: words.collect(), files: ring.into_iter().map(Path::to_path_buf).collect() }
    };
    refused.map(describe).collect()
}

/// Is the ring a parent and direct children of it, which are in no ring without the parent?
fn is_allowed(ring: &BTreeSet<&Path>, uses: &Uses) -> bool {
    let mut others = ring.clone();
    let is_family = |parent: &Path, others: &BTreeSet<&Path>| {
        others.iter().all(|file| uses.parents[*file].as_deref() == Some(parent)) && components(others, uses).is_empty()
    };
    ring.iter().any(|parent| {
        others.remove(parent);
        let is_allowed = is_family(parent, &others);
        others.insert(parent);
        is_allowed
    })
}

/// The largest sets of two files or more, among these, that all come to each other along uses within these.
fn components<'a>(files: &BTreeSet<&'a Path>, uses: &Uses) -> Vec<BTreeSet<&'a Path>> {
    let mut successors: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for (from, to) in uses.edges.keys().filter(|(from, to)| is_within(files, from, to)) {
        successors.entry(from).or_default().push(to);
    }
    let reach: BTreeMap<&Path, BTreeSet<&Path>> =
        files.iter().map(|file| (*file, reachable(file, &successors))).collect();
    let mut found: Vec<BTreeSet<&Path>> = Vec::new();
    for file in files {
        let together: BTreeSet<&Path> =
            files.iter().copied().filter(|other| reach[file].contains(other) && reach[other].contains(file)).collect();
        if together.len() > 1 && !found.contains(&together) {
            found.push(together);
        }
    }
    found
}

fn is_within(files: &BTreeSet<&Path>, from: &Path, to: &Path) -> bool {
    files.contains(from) && files.contains(to)
}

fn reachable<'a>(from: &'a Path, successors: &BTreeMap<&'a Path, Vec<&'a Path>>) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for next in successors.get(file).into_iter().flatten() {
            if reached.insert(*next) {
                waiting.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rings of a crate made of those files, as sets of file names.
    fn rings_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        let uses = Uses::of(Path::new("lib.rs"), &|path| files.get(path).cloned());
        let rings = rings(&uses);
        rings.iter().map(|ring| ring.files.iter().map(|file| file.display().to_string()).collect()).collect()
    }

    const NONE: [Vec<String>; 0] = [];

    #[test]
    fn two_files_that_use_each_other_are_a_ring() {
        let root = ("lib.rs", "mod a; mod b;");
        assert_eq!(
            rings_of(&[
                root,
                ("a.rs", "use crate::b::B; pub struct A(B);"),
                ("b.rs", "fn f(a: super::a::A) {} struct B;")
            ]),
            [["a.rs", "b.rs"]]
        );
        assert_eq!(rings_of(&[root, ("a.rs", "use crate::b::B; pub struct A(B);"), ("b.rs", "struct B;")]), NONE);
    }

    #[test]
    fn a_ring_of_three_files_across_folders_is_found() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a/mod.rs", "mod inner; pub(crate) use self::inner::A;"),
            ("a/inner.rs", "use crate::{b::{self}, c}; pub(crate) struct A(b::B);"),
            ("b.rs", "use super::c::{C as Other}; pub struct B(Other);"),
            ("c.rs", "use crate::a::A; pub struct C(Option<Box<A>>);"),
        ];
        assert_eq!(rings_of(&files), [["a/inner.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_name() {
        // Both use a name that the parent passes on; neither uses the parent.
        let files = [
            ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use c::*;"),
            ("a.rs", "use crate::C; pub struct A(C);"),
            ("b.rs", "use crate::{A, C};"),
            ("c.rs", "pub struct C;"),
        ];
        assert_eq!(rings_of(&files), NONE);
    }

    #[test]
    fn a_parent_may_be_made_of_children_that_use_it() {
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod one; mod two; pub struct Room { one: one::One, two: two::Two }"),
            ("room/one.rs", "use super::Room; pub struct One; fn f(room: &Room) {}"),
            ("room/two.rs", "use crate::room::Room; pub struct Two; fn f(room: &Room) {}"),
        ];
        assert_eq!(rings_of(&files), NONE);
    }

    #[test]
    fn children_that_use_each_other_are_a_ring_with_their_parent_or_without() {
        let one = ("room/one.rs", "use super::two::Two; pub struct One(Two);");
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod one; mod two; use one::One; pub struct Room { one: One }"),
            one,
            ("room/two.rs", "pub struct Two; impl super::Room {} impl From<super::one::One> for Two {}"),
        ];
        assert_eq!(rings_of(&files), [["room/mod.rs", "room/one.rs", "room/two.rs"]]);
        let apart = [files[0], files[1], one, ("room/two.rs", "pub struct Two; impl super::Room {}")];
        assert_eq!(rings_of(&apart), NONE);
    }

    #[test]
    fn a_grandchild_closes_a_ring() {
        let files = [
            ("lib.rs", "mod a; pub struct Root(a::A);"),
            ("a/mod.rs", "mod b; pub struct A(b::B);"),
            ("a/b.rs", "use crate::Root; pub struct B(Option<Box<Root>>);"),
        ];
        assert_eq!(rings_of(&files), [["a/b.rs", "a/mod.rs", "lib.rs"]]);
    }

    #[test]
    fn what_a_parent_uses_of_what_it_passes_on_counts() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; pub use b::B; pub struct A(B);"),
            ("a/b/mod.rs", "mod c; pub struct B(c::C);"),
            ("a/b/c.rs", "pub struct C(Option<Box<crate::a::A>>);"),
        ];
        assert_eq!(rings_of(&files), [["a/b/c.rs", "a/b/mod.rs", "a/mod.rs"]]);
    }

    #[test]
    fn a_glob_counts_by_the_names_that_are_used() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::*; pub struct A(B);"),
            ("b.rs", "pub struct B(Option<Box<crate::a::A>>);"),
        ];
        assert_eq!(rings_of(&files), [["a.rs", "b.rs"]]);
        let unused = [files[0], ("a.rs", "use crate::b::*; pub struct A;"), files[2]];
        assert_eq!(rings_of(&unused), NONE);
    }

    #[test]
    fn tests_comments_and_text_do_not_count() {
        let b = "pub struct B;
            // crate::a::A
            const TEXT: &str = \"crate::a::A\";
            #[cfg(test)]
            use crate::a::A;
            #[cfg(test)]
            pub(crate) fn of(a: A, _: Vec<[u8; 2]>) -> crate::a::A { a }
            struct C { #[cfg(test)] a: crate::a::A, b: u8 }
            #[cfg(test)]
            mod tests { use crate::a::A; }
            #[cfg(all(test, feature = \"x\"))]
            mod more;";
        assert_eq!(
            rings_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B; pub struct A(B);"), ("b.rs", b)]),
            NONE
        );
        let after = format!("{b} fn f() {{ let a: Option<crate::a::A> = None; }}");
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B; pub struct A(B);"), ("b.rs", &after)];
        assert_eq!(rings_of(&files), [["a.rs", "b.rs"]]);
    }

    #[test]
    fn a_module_written_in_its_parents_file_belongs_to_that_file() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub mod inner { use super::super::b::B; pub struct A(B); }"),
            ("b.rs", "pub struct B(Option<Box<crate::a::inner::A>>);"),
        ];
        assert_eq!(rings_of(&files), [["a.rs", "b.rs"]]);
    }
}

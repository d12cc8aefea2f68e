//! Libraries in files: which are loaded, which are refused, and when a file counts as another version.

use std::path::{Path, PathBuf};
use std::process::Command;

use introd_policy::Verdict;
use tempfile::TempDir;

use super::fake::{Kind, registry_table, table};
use crate::Library;

/// A folder for one test.
pub(crate) struct Folder {
    path: PathBuf,
    _kept: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().canonicalize().unwrap(), _kept: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file with that text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A file that counts as the library of the plugin of these tests.
    pub(crate) fn plugin(&self, name: &str) -> PathBuf {
        let path = self.file(name, "");
        self.replace(name);
        path
    }

    /// From now on the file as it is now counts as the library of the plugin of these tests, another one than before.
    pub(crate) fn replace(&self, name: &str) {
        Library::of_file(&self.path().join(name), Box::leak(Box::new(table())));
    }

    /// A file that counts as the library of a registry.
    pub(crate) fn registry(&self, name: &str) -> PathBuf {
        let path = self.file(name, "");
        Library::of_file(&path, Box::leak(Box::new(registry_table(Kind::Current))));
        path
    }

    /// Puts a library in the place of whatever has that name, as installers do. Its entry has that name, and the plugin that.
    fn install(&self, name: &str, entry: &str, plugin: &str) -> PathBuf {
        let (source, built, path) = (self.file("plugin.c", SOURCE), self.path.join("built"), self.path.join(name));
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api/include");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-fPIC", "-shared"]).arg("-I").arg(include).arg("-o").arg(&built).arg(source);
        let loads = self.path.join("loads");
        cc.arg(format!("-DENTRY={entry}")).arg(format!("-DNAME=\"{plugin}\""));
        cc.arg(format!("-DLOADS=\"{}\"", loads.display()));
        let compiled = cc.output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        std::fs::rename(built, &path).unwrap();
        path
    }
}

const SOURCE: &str = r#"
#include <introd_plugin.h>
#include <stdio.h>

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    (void)host, (void)create, (void)answer;
    *instance = 0;
    return INTROD_OK;
}

static int32_t destroy(introd_instance instance)
{
    (void)instance;
    return INTROD_OK;
}

static const introd_plugin plugin = {
    .struct_size = sizeof(introd_plugin),
    .abi_major = INTROD_ABI_MAJOR,
    .abi_minor = 7,
    .name = {(const uint8_t *)NAME, sizeof NAME - 1},
    .version = {(const uint8_t *)"1.2.3", 5},
    .description = {(const uint8_t *)"does nothing", 12},
    .create = create,
    .destroy = destroy,
};

/* Runs whenever the system loads the file. */
__attribute__((constructor)) static void note(void)
{
    FILE *loads = fopen(LOADS, "a");
    if (loads) {
        fputs(NAME "\n", loads);
        fclose(loads);
    }
}

INTROD_PLUGIN_EXPORT const introd_plugin *ENTRY(const introd_host *host);

const introd_plugin *ENTRY(const introd_host *host)
{
    return host->abi_major == INTROD_ABI_MAJOR ? &plugin : 0;
}
"#;

const ENTRY: &str = "introd_plugin_entry_v1";

fn refusal(path: &Path) -> String {
    Library::load(path)
        .map(|library| library.name())
        .unwrap_err()
        .to_string()
        .replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_library_says_what_it_is() {
    let folder = Folder::new();
    let path = folder.install("liba.so", ENTRY, "plugin-a");
    let library = Library::load(&path).unwrap();
    assert_eq!((library.name(), library.version(), library.description()), ("plugin-a", "1.2.3", "does nothing"));
    assert_eq!((library.abi(), library.path()), ((1, 7), path.as_path()));
    assert_eq!((library.callbacks(), library.extensions()), (vec![], vec![]));
    let bench = super::bench::Bench::new();
    let instance = bench.instance_of(library).unwrap();
    assert_eq!(super::bench::ask(&instance), crate::PluginAnswer::Verdict(Verdict::Continue), "it has no callback");
}

#[test]
fn a_file_is_one_library_until_it_changes_and_then_another_beside_it() {
    let folder = Folder::new();
    let path = folder.install("liba.so", ENTRY, "first");
    let first = Library::load(&path).unwrap();
    assert!(std::ptr::eq(first, Library::load(&path).unwrap()));
    std::os::unix::fs::symlink(&path, folder.path().join("link.so")).unwrap();
    assert!(std::ptr::eq(first, Library::load(&folder.path().join("link.so")).unwrap()), "a link is the same file");
    let other = Library::load(&folder.install("libb.so", ENTRY, "other")).unwrap();
    folder.install("liba.so", ENTRY, "second");
    let second = Library::load(&path).unwrap();
    assert!(std::ptr::eq(second, Library::load(&path).unwrap()));
    assert_eq!([first, other, second].map(Library::name), ["first", "other", "second"]);
}

#[test]
fn what_is_no_plugin_is_refused_with_the_reason() {
    let folder = Folder::new();
    assert_eq!(refusal(&folder.path().join("none.so")), "FILE: No such file or directory (os error 2)");
    assert_eq!(refusal(folder.path()), "FILE: it is a folder and no regular file");
    let text =
        refusal(&folder.file("text.so", "this is no library, however long it may be: it has not the form of one"));
    assert_eq!(text, "FILE cannot be loaded: it is no shared library (ELF)");
    let path = folder.install("no-entry.so", "something_else", "a");
    assert_eq!(refusal(&path), "FILE is no introd plugin: it does not export introd_plugin_entry_v1");
    for major in [2, 16] {
        let path = folder.install(&format!("major-{major}.so"), &format!("introd_plugin_entry_v{major}"), "a");
        let text = refusal(&path);
        assert!(text.starts_with(&format!("FILE is for hosts of ABI version {major}, and this one has")), "{text}");
    }
}

#[test]
fn a_refused_library_is_loaded_once_for_each_version() {
    let folder = Folder::new();
    let path = folder.install("liba.so", "something_else", "bad");
    let loads = || std::fs::read_to_string(folder.path().join("loads")).unwrap();
    for _ in 0..3 {
        assert!(Library::load(&path).is_err());
    }
    assert_eq!(loads(), "bad\n");
    folder.install("liba.so", "something_else", "worse");
    for _ in 0..3 {
        assert!(refusal(&path).contains("does not export"));
    }
    assert_eq!(loads(), "bad\nworse\n");
}

/// The system keeps what it has loaded once, even if it is refused, and knows it by its name.
#[test]
fn a_library_that_was_refused_is_loaded_when_another_has_taken_its_place() {
    let folder = Folder::new();
    let path = folder.install("liba.so", "something_else", "bad");
    assert!(Library::load(&path).is_err());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(&*path.to_string_lossy()), "it stays loaded");
    folder.install("liba.so", ENTRY, "good");
    assert_eq!(Library::load(&path).unwrap().name(), "good");
    // The other way round as well: the one that was loaded stays, and a file that is no library takes nothing from it.
    folder.file("text", "this is no library");
    std::fs::rename(folder.path().join("text"), &path).unwrap();
    assert!(Library::load(&path).is_err());
    folder.install("liba.so", ENTRY, "better");
    assert_eq!(Library::load(&path).unwrap().name(), "better");
}

#[test]
fn a_library_that_needs_another_says_which_is_missing() {
    let folder = Folder::new();
    let (needed, path) = (folder.path().join("libneeded-by-a.so"), folder.path().join("liba.so"));
    let source = folder.file("empty.c", "int empty(void);\nint empty(void) { return 0; }\n");
    let link = |out: &Path, with: &[&Path]| {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"]).arg(out).arg(&source).args(with);
        assert!(cc.status().unwrap().success());
    };
    link(&needed, &[]);
    link(&path, &[&needed]);
    std::fs::remove_file(&needed).unwrap();
    let text = refusal(&path);
    assert!(text.starts_with("FILE cannot be loaded: it needs the library "), "{text}");
    assert!(text.contains("libneeded-by-a.so, which is not on this machine"), "{text}");
}

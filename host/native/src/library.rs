//! A plugin's library: what it says of itself, and its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_void};
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ::introd_plugin::abi::{self, introd_bytes, introd_plugin, introd_plugin_entry};
use ::introd_plugin::files;
use libloading::os::unix::Library as Dynamic;
use parking_lot::Mutex;

use super::crash::{self, Stage};
use super::dynamic::{open, open_beside};
use super::entry;
use super::load_error::LoadError;
use super::values::filled_up;

/// What the name of the exported function begins with; the major version follows.
const ENTRY: &str = "introd_plugin_entry_v";
/// Major versions that may exist some day: a library that exports one of them gets an error that names it.
const MAJORS: std::ops::RangeInclusive<u32> = 1..=16;
/// The longest name, version and description, in bytes.
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 1024;

/// A library that is loaded. It stays loaded for ever.
pub struct Library {
    path: PathBuf,
    stamp: Stamp,
    table: *const introd_plugin,
    /// The plugin and its file, in words.
    label: String,
    name: String,
    version: String,
    description: String,
    abi: (u32, u32),
}

// SAFETY: a plugin's table does not change, and its functions may be called from any thread: the ABI demands both.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// What tells one version of a file from another.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// The stamp of a file, and its path without links.
    fn of(path: &Path) -> Result<(PathBuf, Self), LoadError> {
        let at = |error| LoadError::File(path.to_owned(), error);
        let path = path.canonicalize().map_err(at)?;
        let (_, about) = files::open(&path).map_err(at)?;
        let modified = about.modified().ok();
        Ok((path, Self { device: about.dev(), inode: about.ino(), bytes: about.len(), modified }))
    }
}

/// The loaded libraries. They belong to the process, and so does the list.
static LOADED: Mutex<Loaded> =
    Mutex::new(Loaded { libraries: Vec::new(), opened: BTreeSet::new(), refused: BTreeMap::new() });

struct Loaded {
    libraries: Vec<&'static Library>,
    /// The files that the system has loaded under their own names. It never loads another file of such a name, even if what it has
    /// loaded is no plugin: it is not unloaded.
    opened: BTreeSet<PathBuf>,
    /// The last version of each file that was loaded and refused. It is not loaded again at each reload, since none is unloaded.
    refused: BTreeMap<PathBuf, (Stamp, Dynamic)>,
}

impl Library {
    /// The library in a file. One that is loaded already is used again, unless the file has changed: then the new version is
    /// loaded beside the old.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub fn load(path: &Path) -> Result<&'static Self, LoadError> {
        let (path, stamp) = &Stamp::of(path)?;
        let mut loaded = LOADED.lock();
        let is_it = |library: &&&Self| library.path == *path && library.stamp == *stamp;
        if let Some(known) = loaded.libraries.iter().find(is_it) {
            return Ok(known);
        }
        let refused = loaded.refused.remove(path).filter(|(of, _)| of == stamp);
        let dynamic = match refused {
            Some((_, dynamic)) => Ok(dynamic),
            None if loaded.opened.contains(path) => open_beside(path),
            None => open(path),
        };
        let dynamic = dynamic.map_err(|error| LoadError::NotALibrary(path.clone(), error))?;
        loaded.opened.insert(path.clone());
        let library = match Self::examine(path.clone(), stamp.clone(), &dynamic) {
            Ok(library) => library,
            Err(error) => {
                loaded.refused.insert(path.clone(), (stamp.clone(), dynamic));
                return Err(error);
            }
        };
        // Never unloaded: threads and thread-local values of the library may outlive everything.
        std::mem::forget(dynamic);
        let library: &'static Self = Box::leak(Box::new(library));
        loaded.libraries.push(library);
        Ok(library)
    }

    /// As [`Self::load`], for a plugin that is to keep the registry.
    ///
    /// # Errors
    /// If it cannot be loaded, or keeps no registry.
    pub fn load_registry(path: &Path) -> Result<&'static Self, LoadError> {
        let library = Self::load(path)?;
        match library.registry() {
            Some(_) => Ok(library),
            None => Err(LoadError::NoRegistry { name: library.name.clone(), path: library.path.clone() }),
        }
    }

    fn examine(path: PathBuf, stamp: Stamp, dynamic: &Dynamic) -> Result<Self, LoadError> {
        let symbol = |major: u32| {
            // SAFETY: a symbol of that name is a function of that type: this is what makes a library a plugin.
            unsafe { dynamic.get::<introd_plugin_entry>(format!("{ENTRY}{major}").as_bytes()) }.ok()
        };
        let Some(function) = symbol(abi::INTROD_ABI_MAJOR) else {
            return Err(match MAJORS.filter(|major| symbol(*major).is_some()).max() {
                Some(theirs) => LoadError::OtherMajor { path, theirs },
                None => LoadError::NoEntry(path),
            });
        };
        let label = format!("the library {}", path.display());
        let table = crash::during(&label, Stage::Load, || {
            // SAFETY: the table is valid until the process ends. A plugin with the symbol promises to take it.
            unsafe { function(entry::host()) }
        });
        // SAFETY: as above.
        unsafe { Self::read(path, stamp, table) }
    }

    /// The library whose table that is, if the table makes sense.
    ///
    /// # Safety
    /// The table is null, or begins with three numbers of which the first is its size in bytes, and is valid until the process ends.
    unsafe fn read(path: PathBuf, stamp: Stamp, table: *const introd_plugin) -> Result<Self, LoadError> {
        // SAFETY: a plugin's table is valid until the process ends; what is read here, every version has.
        let Some(&[struct_size, abi_major, abi_minor]) = (unsafe { table.cast::<[u32; 3]>().as_ref() }) else {
            return Err(LoadError::Refuses(path));
        };
        if abi_major != abi::INTROD_ABI_MAJOR {
            return Err(LoadError::OtherMajor { path, theirs: abi_major });
        }
        // No field of version 1.0 may be missing.
        let needs = std::mem::offset_of!(introd_plugin, get_extension) + size_of::<usize>();
        if (struct_size as usize) < needs {
            return Err(LoadError::TooShort { path, has: struct_size, needs });
        }
        // SAFETY: the table is as long as that of version 1.0, and valid until the process ends.
        let plugin = unsafe { &*table };
        let nonsense = |what| LoadError::Nonsense(path.clone(), what);
        // SAFETY: the texts of a table are valid as long as it is.
        let (name, version, description) = unsafe {
            (text(plugin.name, MAX_NAME), text(plugin.version, MAX_NAME), text(plugin.description, MAX_TEXT))
        };
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let name = name.filter(is_name).ok_or_else(|| {
            nonsense("its name is not made of letters, digits, `-` and `_`, or is longer than 64 of them")
        })?;
        let version = version.ok_or_else(|| nonsense("its version is no text of up to 64 bytes"))?;
        let description = description.ok_or_else(|| nonsense("its description is no text of up to 1024 bytes"))?;
        if plugin.create.is_none() || plugin.destroy.is_none() {
            return Err(nonsense("its table has no `create` or no `destroy`"));
        }
        let label = format!("plugin {name} ({})", path.display()).replace(char::is_control, "?");
        Ok(Self { path, stamp, table, label, name, version, description, abi: (abi_major, abi_minor) })
    }

    pub(super) fn table(&self) -> &'static introd_plugin {
        // SAFETY: it was as long as it must be when it was loaded, and is valid until the process ends.
        unsafe { &*self.table }
    }

    /// A further table of the plugin's, if it is as long as `T`, which is as long as in its first version.
    pub(super) fn extension<T>(&self, id: &CStr) -> Option<&'static T> {
        let table = self.table_of(id, size_of::<T>())?;
        // SAFETY: the table is of the type that its name stands for, as long as that, and valid until the process ends.
        unsafe { table.cast::<T>().as_ref() }
    }

    /// The table of a plugin that keeps a registry. Functions that its version does not have are absent.
    pub(super) fn registry(&self) -> Option<abi::introd_plugin_registry> {
        let min_size = offset_of!(abi::introd_plugin_registry, publish_session);
        let table = self.table_of(abi::INTROD_EXT_REGISTRY, min_size)?;
        // SAFETY: a table of that name is of that type, and zeros stand for functions that are absent.
        unsafe { filled_up(table.cast(), min_size) }
    }

    /// The table of a plugin whose registry also has the members of groups.
    pub(super) fn group_registry(&self) -> Option<&'static abi::introd_plugin_group_registry> {
        self.extension(abi::INTROD_EXT_GROUP_REGISTRY)
    }

    /// Whether the plugin can do all that the members of groups need of a registry.
    pub fn has_group_registry(&self) -> bool {
        self.group_registry().is_some_and(|table| {
            let abi::introd_plugin_group_registry { join, leave, neighbors, .. } = table;
            join.is_some() && leave.is_some() && neighbors.is_some()
        })
    }

    /// A further table of the plugin's, if it has at least `min_size` bytes.
    fn table_of(&self, id: &CStr, min_size: usize) -> Option<*const c_void> {
        let get_extension = self.table().get_extension?;
        let table = crash::during(&self.label, Stage::Load, || {
            // SAFETY: the name ends with a zero.
            unsafe { get_extension(id.as_ptr()) }
        });
        // SAFETY: a table of that name begins with its size.
        let size = *unsafe { table.cast::<u32>().as_ref() }?;
        if (size as usize) < min_size {
            let (name, id) = (&self.name, id.to_string_lossy());
            tracing::warn!(plugin = %name, %id, size, "the plugin's table is too short and is not used");
            return None;
        }
        Some(table)
    }

    /// The extensions that the plugin offers.
    pub fn extensions(&self) -> Vec<&'static str> {
        let mut offered = Vec::new();
        if self.registry().is_some() {
            offered.push("introd.registry/1");
        }
        if self.group_registry().is_some() {
            offered.push("introd.group-registry/1");
        }
        if self.extension::<abi::introd_plugin_groups>(abi::INTROD_EXT_GROUPS).is_some() {
            offered.push("introd.groups/1");
        }
        if self.extension::<abi::introd_plugin_timer>(abi::INTROD_EXT_TIMER).is_some() {
            offered.push("introd.timer/1");
        }
        offered
    }

    /// The names of the callbacks that the plugin's main table has.
    pub fn callbacks(&self) -> Vec<&'static str> {
        let table = self.table();
        let known = [
            ("connect", table.connect.is_some()),
            ("disconnect", table.disconnect.is_some()),
            ("addresses_changed", table.addresses_changed.is_some()),
            ("lookup", table.lookup.is_some()),
            ("cancel", table.cancel.is_some()),
        ];
        known.into_iter().filter(|(_, is_present)| *is_present).map(|(name, _)| name).collect()
    }

    /// The plugin and its file, in words.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the plugin says it does.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The major and minor version of the ABI that it was built for.
    pub fn abi(&self) -> (u32, u32) {
        self.abi
    }

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A text of at most `max_length` bytes; `None` if it is longer, or not UTF-8.
///
/// # Safety
/// The memory is valid.
unsafe fn text(raw: introd_bytes, max_length: usize) -> Option<String> {
    if raw.len > max_length || raw.len > 0 && raw.ptr.is_null() {
        return None;
    }
    if raw.len == 0 {
        return Some(String::new());
    }
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts(raw.ptr, raw.len) };
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
impl Library {
    /// A plugin of this process.
    pub(super) fn of_table(table: &'static introd_plugin) -> Result<&'static Self, LoadError> {
        // SAFETY: the table is whole, and lasts.
        unsafe { Self::of_own(Path::new("test"), table) }
    }

    /// A plugin of this process, as if it had been loaded from that file.
    pub(super) fn of_file(path: &Path, table: &'static introd_plugin) -> &'static Self {
        let (path, stamp) = Stamp::of(path).unwrap();
        // SAFETY: the table is whole, and lasts.
        let library: &'static Self = Box::leak(Box::new(unsafe { Self::read(path, stamp, table) }.unwrap()));
        LOADED.lock().libraries.push(library);
        library
    }
}

#[cfg(any(test, feature = "testing"))]
impl Library {
    /// A plugin of this process, under that path.
    ///
    /// # Safety
    /// As for [`Self::read`].
    pub(super) unsafe fn of_own(path: &Path, table: *const introd_plugin) -> Result<&'static Self, LoadError> {
        let stamp = Stamp { device: 0, inode: 0, bytes: 0, modified: None };
        // SAFETY: the caller says so.
        let library = unsafe { Self::read(path.to_owned(), stamp, table) }?;
        Ok(Box::leak(Box::new(library)))
    }
}

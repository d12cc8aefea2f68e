//! Loading a library, and what it says of itself.

use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::SystemTime;

use ::introd_plugin::abi::{self, introd_bytes, introd_plugin, introd_plugin_entry};
use ::introd_plugin::files;
use libloading::os::unix::{Library as Dynamic, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;

use super::entry;

/// What the name of the exported function begins with; the major version follows.
const ENTRY: &str = "introd_plugin_entry_v";
/// Majors that may exist some day, looked for to tell of them.
const MAJORS: std::ops::RangeInclusive<u32> = 1..=16;
/// The most bytes of a name, a version and a description.
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 1024;

/// Why a library is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {why}", .0.display(), why = .1)]
    File(PathBuf, io::Error),
    /// The system does not load it.
    #[error("{} is not a library that can be loaded: {why}", .0.display(), why = .1)]
    NotALibrary(PathBuf, String),
    /// It is some other library.
    #[error("{} is no introd plugin: it does not export introd_plugin_entry_v{major}", .0.display(), major = abi::INTROD_ABI_MAJOR)]
    NoEntry(PathBuf),
    /// It is for hosts of another major version.
    #[error("{} is for hosts of ABI version {theirs}, and this one has ABI version {ours}.{minor}: build it anew", .path.display(), ours = abi::INTROD_ABI_MAJOR, minor = abi::INTROD_ABI_MINOR)]
    OtherMajor {
        /// The file.
        path: PathBuf,
        /// Its major version.
        theirs: u32,
    },
    /// It does not want to work with this host.
    #[error("{} refuses to work with this host", .0.display())]
    Refuses(PathBuf),
    /// Its table is shorter than the first that there was.
    #[error("{}: its table has {has} bytes, and needs {needs} at least", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// The bytes that it has.
        has: u32,
        /// Those that it needs.
        needs: usize,
    },
    /// What it says of itself makes no sense.
    #[error("{}: {why}", .0.display(), why = .1)]
    Nonsense(PathBuf, &'static str),
    /// An instance could not be made.
    #[error("plugin {name} ({}) could not be made: {why}", .path.display())]
    Create {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
        /// What it says.
        why: String,
    },
    /// It does not keep a registry.
    #[error("plugin {name} ({}) keeps no registry: it has no {}", .path.display(), abi::INTROD_EXT_REGISTRY.to_string_lossy())]
    NoRegistry {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

/// A library that is loaded, for ever.
pub struct Library {
    path: PathBuf,
    stamp: Stamp,
    table: *const introd_plugin,
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

/// What has been loaded. Libraries belong to the process, and so does the list.
static LOADED: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());

impl Library {
    /// The library in a file. One that is loaded already is used again, unless the file has changed: then the new version is
    /// loaded beside the old.
    ///
    /// # Errors
    /// Why it is of no use.
    pub fn load(path: &Path) -> Result<&'static Self, LoadError> {
        let at = |error| LoadError::File(path.to_owned(), error);
        let path = &path.canonicalize().map_err(at)?;
        let (_, about) = files::open(path).map_err(at)?;
        let modified = about.modified().ok();
        let stamp = Stamp { device: about.dev(), inode: about.ino(), bytes: about.len(), modified };
        let mut loaded = LOADED.lock();
        let of_path = || loaded.iter().filter(|library| library.path == *path);
        if let Some(known) = of_path().find(|library| library.stamp == stamp) {
            return Ok(known);
        }
        let dynamic = if of_path().next().is_none() { open(path) } else { open_beside(path) };
        let dynamic = dynamic.map_err(|error| LoadError::NotALibrary(path.clone(), error))?;
        let library = Self::examine(path.clone(), stamp, &dynamic)?;
        // Never unloaded: threads and thread-local values of the library may outlive everything.
        std::mem::forget(dynamic);
        let library: &'static Self = Box::leak(Box::new(library));
        loaded.push(library);
        Ok(library)
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
        // SAFETY: the table is valid until the process ends. A plugin with the symbol promises to take it.
        let table = unsafe { function(entry::host()) };
        // SAFETY: a plugin's table is valid until the process ends; what is read here, every version has.
        let Some(&[struct_size, abi_major, abi_minor]) = (unsafe { table.cast::<[u32; 3]>().as_ref() }) else {
            return Err(LoadError::Refuses(path));
        };
        if abi_major != abi::INTROD_ABI_MAJOR {
            return Err(LoadError::OtherMajor { path, theirs: abi_major });
        }
        // Of what there was in version 1.0, nothing may be missing.
        let needs = std::mem::offset_of!(introd_plugin, get_extension) + size_of::<usize>();
        if (struct_size as usize) < needs {
            return Err(LoadError::TooShort { path, has: struct_size, needs });
        }
        // SAFETY: the table is as long as that of version 1.0, and valid until the process ends.
        let plugin = unsafe { &*table };
        let nonsense = |what| LoadError::Nonsense(path.clone(), what);
        // SAFETY: the texts of a table are valid as long as it is.
        let (name, version, description) = unsafe {
            (said(plugin.name, MAX_NAME), said(plugin.version, MAX_NAME), said(plugin.description, MAX_TEXT))
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
        Ok(Self { path, stamp, table, name, version, description, abi: (abi_major, abi_minor) })
    }

    pub(super) fn table(&self) -> &'static introd_plugin {
        // SAFETY: it was as long as it must be when it was loaded, and is valid until the process ends.
        unsafe { &*self.table }
    }

    /// A further table of the plugin's, if it is as long as `T`, which is as long as it was at first.
    pub(super) fn extension<T>(&self, id: &CStr) -> Option<&'static T> {
        let table = self.table_of(id, size_of::<T>())?;
        // SAFETY: it is of the type that its name stands for, as long as that, and valid until the process ends.
        unsafe { table.cast::<T>().as_ref() }
    }

    /// The table of a plugin that keeps a registry; what its version does not know yet is absent.
    pub(super) fn registry(&self) -> Option<abi::introd_plugin_registry> {
        let least = offset_of!(abi::introd_plugin_registry, publish_session);
        let table = self.table_of(abi::INTROD_EXT_REGISTRY, least)?;
        // SAFETY: a table begins with its size.
        let size = unsafe { *table.cast::<u32>() } as usize;
        let mut whole = MaybeUninit::<abi::introd_plugin_registry>::zeroed();
        // SAFETY: both are valid for so many bytes and do not overlap, and zeros stand for functions that are absent.
        unsafe {
            let size = size.min(size_of::<abi::introd_plugin_registry>());
            ptr::copy_nonoverlapping(table.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), size);
            Some(whole.assume_init())
        }
    }

    /// A further table of the plugin's, if it is at least so long.
    fn table_of(&self, id: &CStr, least: usize) -> Option<*const c_void> {
        let get_extension = self.table().get_extension?;
        // SAFETY: the name ends with a zero.
        let table = unsafe { get_extension(id.as_ptr()) };
        // SAFETY: a table of that name begins with its size.
        let size = *unsafe { table.cast::<u32>().as_ref() }?;
        if (size as usize) < least {
            let (name, id) = (&self.name, id.to_string_lossy());
            tracing::warn!(plugin = %name, %id, size, "the plugin's table is too short, and not used");
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
        if self.extension::<abi::introd_plugin_groups>(abi::INTROD_EXT_GROUPS).is_some() {
            offered.push("introd.groups/1");
        }
        if self.extension::<abi::introd_plugin_timer>(abi::INTROD_EXT_TIMER).is_some() {
            offered.push("introd.timer/1");
        }
        offered
    }

    /// The callbacks of its main table that it has.
    pub fn callbacks(&self) -> Vec<&'static str> {
        let table = self.table();
        let known = [
            ("connect", table.connect.is_some()),
            ("disconnect", table.disconnect.is_some()),
            ("addresses_changed", table.addresses_changed.is_some()),
            ("lookup", table.lookup.is_some()),
            ("cancel", table.cancel.is_some()),
        ];
        known.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// What the plugin is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it does.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The major and minor version of the ABI that it was built for.
    pub fn abi(&self) -> (u32, u32) {
        self.abi
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A text of at most so many bytes.
///
/// # Safety
/// The memory is valid.
unsafe fn said(raw: introd_bytes, most: usize) -> Option<String> {
    if raw.len > most || raw.len > 0 && raw.ptr.is_null() {
        return None;
    }
    if raw.len == 0 {
        return Some(String::new());
    }
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts(raw.ptr, raw.len) };
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn open(path: &Path) -> Result<Dynamic, String> {
    // SAFETY: whoever writes the configuration wants this library's code to run in this process.
    unsafe { Dynamic::open(Some(path), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE) }.map_err(|error| {
        // The system's own text names the file again.
        let text = error.to_string();
        text.split_once(": ").map_or(text.clone(), |(_, reason)| reason.to_owned())
    })
}

/// Loads a copy of the file: by its own name the system would find the version that is loaded already.
fn open_beside(path: &Path) -> Result<Dynamic, String> {
    let copy = || -> io::Result<File> {
        let name = CString::new("introd-plugin").map_err(io::Error::other)?;
        // SAFETY: the name is a C string.
        let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it has just been made, and is nobody else's.
        let mut copy = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        io::copy(&mut files::open(path)?.0, &mut copy)?;
        Ok(copy)
    };
    let copy = copy().map_err(|error| error.to_string())?;
    let name = format!("/proc/self/fd/{}", copy.as_raw_fd());
    let opened = open(Path::new(&name));
    // The name stands for this copy for as long as the library is loaded, that is for ever.
    std::mem::forget(copy);
    opened
}

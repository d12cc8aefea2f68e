//! Native plugins, as the files name them.

use std::path::{Path, PathBuf};

use super::keys::application as keys;
use super::settings::XmlSettings;
use super::view::View;

/// A native plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The library.
    pub path: PathBuf,
    /// The settings that it receives.
    pub config: XmlSettings,
}

impl Plugin {
    pub(super) fn read(view: &View<'_, keys::PluginElement>, root: &Path) -> Option<Self> {
        let path = view.read(&keys::PLUGIN_PATH);
        if path.is_none() {
            view.incomplete(&keys::PLUGIN_PATH);
        }
        Some(Self { path: plugin_path(root, &path?), config: XmlSettings::read(view, &keys::PLUGIN_CONFIG) })
    }
}

/// A library's place: one without a folder is in that of the plugins, and a relative one counts from `root`.
pub(super) fn plugin_path(root: &Path, path: &Path) -> PathBuf {
    let has_folder = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
    if has_folder { root.join(path) } else { root.join("plugins").join(path) }
}

//! Plugins that are part of the program, for tests of the server.

use std::path::Path;

use ::introd_plugin::Plugin;
use ::introd_plugin::glue::{Extensions, table};
use introd_config::XmlSettings;

use crate::instance::PluginInstance;
use crate::library::Library;
use crate::load_error::LoadError;
use crate::plugins::Plugins;

impl Plugins {
    /// Lets applications find an instance of `P`, as if it came from the library at `path`.
    ///
    /// # Errors
    /// That of its `create`.
    pub fn add_own<P: Plugin, E: Extensions>(&self, path: &Path) -> Result<(), LoadError> {
        // SAFETY: the SDK's tables are whole, and last as long as the program.
        let library = unsafe { Library::of_own(path, table::<P, E>()) }?;
        self.put(path, PluginInstance::create(library, self.state(), &XmlSettings::default(), path, &[])?);
        Ok(())
    }
}

//! Configurations and scripts for the program.

use std::path::{Path, PathBuf};

use crate::folder::Folder;

/// The applications that introd ships.
pub const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lua");

/// A folder of configuration files, and one of applications beside it. Both are gone when this is dropped.
pub struct Files {
    root: Folder,
    conf: PathBuf,
}

impl Files {
    /// No files: a server with these runs as it does by default.
    ///
    /// # Panics
    /// If the folders cannot be made.
    #[allow(clippy::new_without_default, reason = "it is made on disk")]
    pub fn new() -> Self {
        let root = Folder::new();
        let conf = root.join("conf");
        std::fs::create_dir_all(conf.join("_defaultRoot_/_defaultVHost_")).expect("a folder");
        Self { root, conf }
    }

    /// The folder of the configuration.
    pub fn path(&self) -> &Path {
        &self.conf
    }

    /// Where a script or another file of an application is.
    pub fn of_application(&self, application: &str, file: &str) -> PathBuf {
        self.root.join("applications").join(application).join(file)
    }

    /// What `<Server>` of Server.xml holds.
    pub fn server(&self, inside: &str) -> &Self {
        self.write("Server.xml", &format!("<Root><Server>{inside}</Server></Root>"))
    }

    /// What Adaptor.xml holds.
    pub fn adaptor(&self, inside: &str) -> &Self {
        self.write("_defaultRoot_/Adaptor.xml", &format!("<Adaptor>{inside}</Adaptor>"))
    }

    /// What Vhost.xml of the default virtual host holds.
    pub fn vhost(&self, inside: &str) -> &Self {
        self.write("_defaultRoot_/_defaultVHost_/Vhost.xml", &format!("<VirtualHost>{inside}</VirtualHost>"))
    }

    /// What holds for all applications.
    pub fn application(&self, inside: &str) -> &Self {
        let text = format!("<Application>{inside}</Application>");
        self.write("_defaultRoot_/_defaultVHost_/Application.xml", &text)
    }

    /// The applications are those that introd ships.
    pub fn shipped_applications(&self) -> &Self {
        self.vhost(&format!("<AppsDir>{SHIPPED}</AppsDir>"))
    }

    /// An application with this script and these settings.
    pub fn script(&self, application: &str, script: &str, settings: &str) -> &Self {
        self.vhost(&format!("<AppsDir>{}</AppsDir>", self.root.join("applications").display()));
        self.write(&format!("../applications/{application}/main.lua"), script);
        let settings = format!("<Application>{settings}</Application>");
        self.write(&format!("../applications/{application}/Application.xml"), &settings)
    }

    /// Any file, by its path from the folder of the configuration.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.conf.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }
}

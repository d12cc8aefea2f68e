//! Configurations and scripts for the program.

use std::path::{Path, PathBuf};

/// The applications that introd ships.
pub(crate) const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lua");

/// A folder of configuration files, and one of applications beside it; gone when dropped.
pub(crate) struct Files {
    root: PathBuf,
    conf: PathBuf,
}

impl Files {
    pub(crate) fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("introd-e2e-{}-{name}", std::process::id()));
        let conf = root.join("conf");
        std::fs::create_dir_all(conf.join("_defaultRoot_/_defaultVHost_")).expect("a folder");
        Self { root, conf }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.conf
    }

    pub(crate) fn server(&self, inside: &str) -> &Self {
        self.write("Server.xml", &format!("<Root><Server>{inside}</Server></Root>"))
    }

    pub(crate) fn adaptor(&self, inside: &str) -> &Self {
        self.write("_defaultRoot_/Adaptor.xml", &format!("<Adaptor>{inside}</Adaptor>"))
    }

    pub(crate) fn vhost(&self, inside: &str) -> &Self {
        self.write("_defaultRoot_/_defaultVHost_/Vhost.xml", &format!("<VirtualHost>{inside}</VirtualHost>"))
    }

    /// What holds for all applications.
    pub(crate) fn application(&self, inside: &str) -> &Self {
        let text = format!("<Application>{inside}</Application>");
        self.write("_defaultRoot_/_defaultVHost_/Application.xml", &text)
    }

    /// The applications are those that introd ships.
    pub(crate) fn shipped_applications(&self) -> &Self {
        self.vhost(&format!("<AppsDir>{SHIPPED}</AppsDir>"))
    }

    /// An application with this script and these settings.
    pub(crate) fn script(&self, application: &str, script: &str, settings: &str) -> &Self {
        self.vhost(&format!("<AppsDir>{}</AppsDir>", self.root.join("applications").display()));
        self.write(&format!("../applications/{application}/main.lua"), script);
        let settings = format!("<Application>{settings}</Application>");
        self.write(&format!("../applications/{application}/Application.xml"), &settings)
    }

    /// Any file, by its path from the folder of the configuration.
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.conf.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

//! The configuration and the applications of a server.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use introd_tests::program::SHIPPED;

use crate::bounds::{DEAD_PEER_TIMEOUT, HEARTBEAT, SERVER_KEEPALIVE};

/// The applications: in the first the server introduces clients, in the second a script that has the registry.
pub(crate) const APPLICATIONS: [&str; 2] = ["plain", "shared"];
const SCRIPTS: [&str; 2] = [include_str!("../scripts/plain.lua"), include_str!("../scripts/shared.lua")];
const SETTINGS: [&str; 2] = ["", "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>"];
/// A file that ends in the middle.
const BROKEN_CONFIGURATION: &str = "<Root><Server>";
/// What no Lua begins with.
const BROKEN: &str = "end )( this is no script\n";

/// The files of one server.
pub(crate) struct Files {
    root: PathBuf,
    /// How often scripts were written.
    version: u32,
}

impl Files {
    /// Writes the files of the server of that name into a folder.
    pub(crate) fn write(root: PathBuf, name: &str, redis: &str, plugin: &Path) -> anyhow::Result<Self> {
        let mut files = Self { root, version: 0 };
        let registry = format!(
            "<PeerRegistry><Plugin path=\"{}\"><Config><url>{redis}</url><server>{name}</server><heartbeat>{}</heartbeat>\
             </Config></Plugin></PeerRegistry>",
            plugin.display(),
            HEARTBEAT.as_millis(),
        );
        files.put("conf/Server.xml", &format!("<Root><Server>{registry}</Server></Root>"))?;
        files.put(
            "conf/Users.xml",
            "<Root><UserList><User name=\"admin\"><Password encrypt=\"false\">soak</Password></User></UserList></Root>",
        )?;
        let (timeout, keepalive) = (DEAD_PEER_TIMEOUT.as_secs(), SERVER_KEEPALIVE.as_secs());
        let server = format!("<Server>{keepalive}</Server>");
        let adaptor = format!(
            "<Adaptor><RTMFP><KeepAliveTime><NoNAT>{server}</NoNAT><NAT>{server}</NAT></KeepAliveTime>\
             <DeadPeerTimeout>{timeout}</DeadPeerTimeout></RTMFP></Adaptor>"
        );
        files.put("conf/_defaultRoot_/Adaptor.xml", &adaptor)?;
        let applications = files.root.join("applications");
        let host = format!("<VirtualHost><AppsDir>{}</AppsDir></VirtualHost>", applications.display());
        files.put("conf/_defaultRoot_/_defaultVHost_/Vhost.xml", &host)?;
        let introduces = std::fs::read_to_string(Path::new(SHIPPED).join("shared-registry/main.lua"))?;
        files.put("applications/shared/registry.lua", &introduces)?;
        files.write_settings(None)?;
        files.write_scripts()?;
        Ok(files)
    }

    /// The folder of the configuration.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.root.join("conf")
    }

    /// A configuration that cannot be read, in a folder of its own.
    pub(crate) fn broken_configuration(&self) -> anyhow::Result<PathBuf> {
        self.put("broken/Server.xml", BROKEN_CONFIGURATION)?;
        Ok(self.root.join("broken"))
    }

    /// Where a process that runs waits for another that takes its place.
    pub(crate) fn takeover_socket(&self) -> PathBuf {
        self.root.join("takeover")
    }

    /// Writes scripts that differ from those before.
    pub(crate) fn write_scripts(&mut self) -> anyhow::Result<()> {
        self.version += 1;
        for (application, script) in APPLICATIONS.into_iter().zip(SCRIPTS) {
            let text = format!("{script}\n-- Version {}.\n", self.version);
            self.put(&format!("applications/{application}/main.lua"), &text)?;
        }
        Ok(())
    }

    /// Writes scripts that do not load.
    pub(crate) fn break_scripts(&self) -> anyhow::Result<()> {
        APPLICATIONS
            .into_iter()
            .try_for_each(|application| self.put(&format!("applications/{application}/main.lua"), BROKEN))
    }

    /// Changes the file at which a handler of each script hangs.
    pub(crate) fn hang_scripts(&mut self) -> anyhow::Result<()> {
        self.version += 1;
        let text = self.version.to_string();
        APPLICATIONS
            .into_iter()
            .try_for_each(|application| self.put(&format!("applications/{application}/hang.txt"), &text))
    }

    /// Writes the settings of the applications, with these elements in the first one.
    pub(crate) fn write_settings(&self, more: Option<&str>) -> anyhow::Result<()> {
        for (application, settings) in APPLICATIONS.into_iter().zip(SETTINGS) {
            let more = more.filter(|_| application == APPLICATIONS[0]).unwrap_or_default();
            let text = format!("<Application>{settings}{more}</Application>");
            self.put(&format!("applications/{application}/Application.xml"), &text)?;
        }
        Ok(())
    }

    fn put(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(path);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            // A server that reads meanwhile finds the old text or the new one.
            let beside = path.with_extension("new");
            std::fs::write(&beside, text)?;
            std::fs::rename(&beside, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

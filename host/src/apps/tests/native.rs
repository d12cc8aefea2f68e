//! Applications with native plugins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use introd_config::{Application, Config, Plugin, XmlSettings};
use tempfile::TempDir;

use super::{localhost, plugins, request};
use crate::apps::Applications;

/// The example of a plugin in C, as a library that is removed at the end.
struct Example(TempDir);

impl Example {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir().unwrap();
        let library = library_in(&folder);
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-fPIC", "-shared", "-I"]).arg(root.join("plugin-api/include")).arg("-o").arg(&library);
        let compiled = cc.arg(root.join("plugins/c-example/example.c")).output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Self(folder)
    }

    fn plugin(&self) -> Plugin {
        Plugin { path: library_in(&self.0), config: XmlSettings::default() }
    }
}

fn library_in(folder: &TempDir) -> PathBuf {
    folder.path().join("example.so")
}

fn with_plugins(all: &[Plugin]) -> Config {
    let mut config = Config::built_in();
    let defaults: &mut Application = Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults);
    defaults.plugins = all.to_vec();
    config
}

/// Applications in which that configuration is in force, with its plugins.
fn applications(config: Config) -> Arc<Applications> {
    let plugins = plugins();
    plugins.keep(plugins.prepare(&config).unwrap());
    Arc::new(Applications::new(config, None, plugins))
}

#[test]
fn an_instance_with_a_plugin_has_a_say_while_it_has_it() {
    let example = Example::new();
    let applications = applications(with_plugins(&[example.plugin()]));
    let seat = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    let instance = seat.instance();
    let is_guarded = || applications.guards().has(instance.id());
    assert_eq!((instance.plugins().len(), instance.has_say(), is_guarded()), (1, true, true));
    assert!(instance.permits(localhost()) && !instance.bars(localhost(), false), "it bars nobody by that");
    applications.reconfigure(with_plugins(&[]));
    assert_eq!((instance.plugins().len(), instance.has_say(), is_guarded()), (0, false, false));
    applications.reconfigure(with_plugins(&[example.plugin()]));
    assert_eq!((instance.plugins().len(), instance.has_say(), is_guarded()), (1, true, true));
    assert!(Arc::ptr_eq(&instance.plugins()[0], &applications.plugins().instances()[0]));
}

#[test]
fn the_plugins_end_with_the_server_though_instances_still_have_them() {
    let example = Example::new();
    let applications = applications(with_plugins(&[example.plugin()]));
    let seat = applications.admit(0, &request("rtmfp://host/app"), localhost()).unwrap();
    let plugin = Arc::downgrade(&applications.plugins().instances()[0]);
    applications.end_plugins();
    assert!(seat.instance().plugins().is_empty() && applications.plugins().instances().is_empty());
    assert!(plugin.upgrade().is_none(), "nobody has it any more");
}

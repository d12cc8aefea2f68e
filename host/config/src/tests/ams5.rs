//! The files that came with AMS 5, in `ams5/`: every element with its stock value, by a table of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Folder;
use crate::Loaded;
use crate::load::Loader;

fn stock() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/ams5/conf")
}

fn load() -> Loaded {
    Loader { dir: &stock(), root: Path::new("/srv"), environment: &|_| None }.load().unwrap()
}

#[test]
fn the_stock_files_load_with_a_few_lines() {
    let loaded = load();
    assert!(loaded.broken.is_empty());
    let lines: Vec<String> = loaded.diagnostics(false).iter().map(ToString::to_string).collect();
    let lines = lines.join("\n").replace(&format!("{}/", stock().display()), "conf/") + "\n";
    let path = stock().with_file_name("warnings.txt");
    if std::env::var_os("INTROD_BLESS").is_some() {
        fs::write(&path, &lines).unwrap();
    }
    assert_eq!(lines, fs::read_to_string(&path).unwrap());
}

#[test]
fn stock_values_mean_what_they_mean_there() {
    let config = load().config;
    let adaptor = &config.default_adaptor;
    assert_eq!(adaptor.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.0.0.0:1935"]);
    assert_eq!(adaptor.rtmfp.unsent_age, Some(Duration::from_secs(8)));
    let vhost = &adaptor.default_vhost;
    assert_eq!(vhost.apps_dirs, [Path::new("/opt/adobe/ams/applications")]);
    assert!(!vhost.accepts_unregistered, "nobody can say which policies are in the folder that is not there");
    assert_eq!(vhost.defaults.max_idle_time, Duration::from_secs(1200));
    assert_eq!(vhost.defaults.script.memory, 8192 * 1024);
}

#[test]
fn each_stock_file_may_stand_in_the_folder_of_an_application() {
    let vhost = stock().join("_defaultRoot_/_defaultVHost_");
    let files = [
        stock().join("Server.xml"),
        stock().join("Users.xml"),
        stock().join("Logger.xml"),
        stock().join("ams.ini"),
        stock().join("_defaultRoot_/Adaptor.xml"),
        vhost.join("Vhost.xml"),
        vhost.join("Application.xml"),
    ];
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let folder = Folder::new().with("ams.ini", fs::read(stock().join("ams.ini")).unwrap());
        folder.put(&format!("lua/copied/{name}"), fs::read(&file).unwrap());
        let dir = folder.conf();
        let loaded = Loader { dir: &dir, root: folder.0.path(), environment: &|_| None }.load().unwrap();
        assert!(loaded.broken.is_empty(), "{name}: {:?}", loaded.broken);
        let is_application = loaded.config.default_adaptor.default_vhost.applications.contains_key("copied");
        assert_eq!(is_application, name == "Application.xml", "{name}");
    }
}

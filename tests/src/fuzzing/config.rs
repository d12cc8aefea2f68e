//! Files of the configuration with arbitrary content.

use std::path::PathBuf;

use introd_config::Config;

/// The files that the first byte chooses from.
const FILES: [&str; 6] = [
    "Server.xml",
    "Users.xml",
    "introd.ini",
    "_defaultRoot_/Adaptor.xml",
    "_defaultRoot_/_defaultVHost_/Vhost.xml",
    "_defaultRoot_/_defaultVHost_/Application.xml",
];

/// The most problems that are told, and the line that says that there are more.
const MAX_PROBLEMS: usize = 201;

/// Takes the first byte for the choice of a file and the rest for its content; the other files are missing.
pub fn run(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    // In memory where there is such a folder.
    let base = Some(PathBuf::from("/dev/shm")).filter(|shared| shared.is_dir()).unwrap_or_else(std::env::temp_dir);
    let root = base.join(format!("introd-fuzz-{}", std::process::id()));
    let conf = root.join("conf");
    let file = conf.join(FILES[usize::from(*choice) % FILES.len()]);
    std::fs::create_dir_all(conf.join("_defaultRoot_/_defaultVHost_")).unwrap();
    std::fs::write(&file, content).unwrap();
    let outcome = Config::load(Some(&conf));
    std::fs::remove_dir_all(&root).unwrap();
    match outcome {
        Ok(loaded) => {
            assert!(loaded.warnings.len() <= MAX_PROBLEMS, "{} warnings", loaded.warnings.len());
            loaded.warnings.iter().for_each(|problem| assert_ne!(problem.to_string(), ""));
            assert!(loaded.config.all_adaptors().next().is_some());
        }
        Err(problems) => {
            let text = problems.to_string();
            assert!(!text.is_empty() && text.lines().count() <= MAX_PROBLEMS + content.len(), "{text}");
        }
    }
}

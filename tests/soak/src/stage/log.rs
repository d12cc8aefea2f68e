//! What a server writes to its log: each line is kept in a file, and told if it matters.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::sync::mpsc::Sender;

use anyhow::Context as _;
use serde_json::Value;

/// A line has at most so many bytes: what is longer is cut.
const LONGEST: u64 = 1 << 16;

/// What a line of a server's log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// `onConnect` of this application was called for this client, whose program passed this number, and accepts it or not.
    Connects { application: String, client: String, number: u64, is_accepted: bool },
    /// `onDisconnect` was called for this client.
    Disconnects { client: String },
    /// `onAppStart` was called for this reason in this instance of an application, whose script knows so many clients.
    Starts { instance: String, reason: String, clients: usize },
    /// `onAppStop` was called, likewise.
    Stops { instance: String, reason: String },
    /// An error, or a line that is no record.
    Error(String),
}

/// What a server has said.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) server: usize,
    /// Which of the server's processes has said it: 1 is the first.
    pub(crate) life: u32,
    pub(crate) said: Said,
}

/// Reads a log in a thread of its own until the process has closed it. Returns the thread: when it has ended, all has been told.
pub(crate) fn follow(
    log: impl Read + Send + 'static,
    file: &Path,
    (server, life): (usize, u32),
    to: Sender<Told>,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let mut copy = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(std::thread::spawn(move || {
        let (mut log, mut line) = (BufReader::new(log), Vec::new());
        loop {
            line.clear();
            match log.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => (),
            }
            // If the disk is full, the soak goes on without a copy.
            let _ = copy.write_all(&line);
            if let Some(said) = read(String::from_utf8_lossy(&line).trim_end()) {
                let _ = to.send(Told { server, life, said });
            }
        }
    }))
}

/// What a line says, if it matters. The scripts of the soak (`scripts` beside this folder) trace `soak connects ID NUMBER WISH` in `onConnect`,
/// `soak disconnects ID` in `onDisconnect`, `soak starts REASON CLIENTS` in `onAppStart`, and `soak stops REASON` in `onAppStop`.
fn read(line: &str) -> Option<Said> {
    let Ok(record) = serde_json::from_str::<Value>(line) else {
        // With `--log-format json` the lines that are no records are those about the end of the process.
        return (!line.is_empty()).then(|| Said::Error(line.to_owned()));
    };
    let message = record["message"].as_str().unwrap_or_default();
    if record["level"] == "ERROR" {
        return Some(Said::Error(line.to_owned()));
    }
    let mut words = message.strip_prefix("soak ")?.split(' ');
    let (what, whom) = (words.next()?, words.next()?.to_owned());
    let instance = record["app"].as_str()?.to_owned();
    match what {
        "connects" => {
            let application = instance.split('/').next()?.to_owned();
            let number = words.next()?.parse().ok()?;
            let is_accepted = words.next() != Some("rejection");
            Some(Said::Connects { application, client: whom, number, is_accepted })
        }
        "disconnects" => Some(Said::Disconnects { client: whom }),
        "starts" => Some(Said::Starts { instance, reason: whom, clients: words.next()?.parse().ok()? }),
        "stops" => Some(Said::Stops { instance, reason: whom }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_matter_are_told() {
        let traced = |text: &str| {
            read(&format!(r#"{{"level":"INFO","target":"introd::script","message":"{text}","app":"plain/_definst_"}}"#))
        };
        let (client, application) = ("1".to_owned(), "plain".to_owned());
        assert_eq!(
            traced("soak connects 1 22 acceptance"),
            Some(Said::Connects { application, client: client.clone(), number: 22, is_accepted: true })
        );
        assert_eq!(traced("soak disconnects 1"), Some(Said::Disconnects { client }));
        let instance = "plain/_definst_".to_owned();
        let reason = "takeover".to_owned();
        let starts = Said::Starts { instance: instance.clone(), reason: reason.clone(), clients: 7 };
        assert_eq!(traced("soak starts takeover 7"), Some(starts));
        assert_eq!(traced("soak stops takeover"), Some(Said::Stops { instance, reason }));
        assert_eq!(traced("anything else"), None);
        let error = r#"{"level":"ERROR","message":"soak connects 1 22"}"#;
        assert_eq!(read(error), Some(Said::Error(error.to_owned())));
        assert_eq!(read("introd: a thread panicked"), Some(Said::Error("introd: a thread panicked".to_owned())));
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_log_is_followed_to_its_end_and_copied() {
        let folder = introd_tests::folder::Folder::new();
        let (to, told) = std::sync::mpsc::channel();
        let log = b"introd: one\nintrod: two".as_slice();
        follow(log, &folder.join("log"), (1, 2), to).unwrap().join().unwrap();
        let said: Vec<_> = told.iter().map(|told| (told.server, told.life, told.said)).collect();
        assert_eq!(
            said,
            [(1, 2, Said::Error("introd: one".to_owned())), (1, 2, Said::Error("introd: two".to_owned()))]
        );
        assert_eq!(std::fs::read(folder.join("log")).unwrap(), log);
    }
}

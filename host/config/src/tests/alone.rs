//! An Application.xml by itself.

use std::path::Path;
use std::time::Duration;

use super::Folder;
use crate::{Application, ConnectDefault, LookupMode, Problem, Problems};

fn read(text: &str) -> Result<Option<(Application, Vec<Problem>)>, Problems> {
    let folder = Folder::new().with("lua/club/Application.xml", text);
    Application::read_alone(&folder.0.path().join("lua/club/Application.xml"))
}

#[test]
fn what_the_file_says_holds_and_the_defaults_elsewhere() {
    let text = "<Application>
        <ScriptEngine><ConnectDefault>pending</ConnectDefault></ScriptEngine>
        <RTMFP><PeerLookupEvents mode='Partial'/></RTMFP>
        <Policy><Deadline>${NO.SUCH.VARIABLE}</Deadline></Policy>
    </Application>";
    let (settings, warnings) = read(text).unwrap().unwrap();
    assert_eq!(
        (settings.script.connect_default, settings.peer_lookup_events),
        (ConnectDefault::Pending, LookupMode::Partial)
    );
    assert_eq!((settings.policy.deadline, warnings), (Duration::from_secs(2), vec![]));
    let (defaults, _) = read("<Application/>").unwrap().unwrap();
    assert_eq!(
        (defaults.script.connect_default, defaults.peer_lookup_events),
        (ConnectDefault::Accept, LookupMode::None)
    );
}

#[test]
fn what_is_wrong_in_it_is_told_and_no_file_is_none() {
    let wrong = "<Application><ScriptEngine><ConnectDefault>perhaps</ConnectDefault></ScriptEngine></Application>";
    for (text, why) in [(wrong, "`accept` or `pending`"), ("<Application>", "error"), ("<Aplication/>", "Application")]
    {
        let message = read(text).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
    let warned = read("<Application><Process><Scope>vhost</Scope></Process></Application>").unwrap().unwrap().1;
    assert!(warned.iter().all(Problem::is_warning) && warned.len() == 1, "{warned:?}");
    assert_eq!(Application::read_alone(Path::new("/nonexistent/Application.xml")), Ok(None));
}

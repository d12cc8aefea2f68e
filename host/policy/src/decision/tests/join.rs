use introd_config::{Fallback, JoinLeaveMode, LookupMode};

use super::App;
use crate::Verdict;
use crate::decision::{JoinDecision, JoinInput, JoinStep};

fn play(app: App, mode: JoinLeaveMode, verdicts: &[Verdict]) -> Vec<String> {
    let mut decision = JoinDecision::new(app, mode);
    let verdicts = verdicts.iter().cloned().map(JoinInput::Verdict);
    std::iter::once(JoinInput::Begin)
        .chain(verdicts)
        .map(|input| match decision.advance(input) {
            JoinStep::AskPlugin(index) => format!("plugin {index}"),
            JoinStep::TellScript => "script".to_owned(),
            JoinStep::Bootstrap => "bootstrap".to_owned(),
            JoinStep::LeaveAlone => "leave alone".to_owned(),
        })
        .collect()
}

#[test]
fn plugins_come_first_and_the_mode_says_who_is_next() {
    use JoinLeaveMode::{All, None};
    use Verdict::{Continue, Handled};
    let plugins = |count| App::open(1).plugins(count).script(LookupMode::None);
    let cases: [(usize, JoinLeaveMode, &[Verdict], &[&str]); 6] = [
        (0, None, &[], &["bootstrap"]),
        (0, All, &[Handled], &["script", "leave alone"]),
        (2, None, &[Continue, Continue], &["plugin 0", "plugin 1", "bootstrap"]),
        (2, All, &[Continue, Continue, Handled], &["plugin 0", "plugin 1", "script", "leave alone"]),
        (2, None, &[Handled], &["plugin 0", "leave alone"]),
        (2, All, &[Continue, Handled], &["plugin 0", "plugin 1", "leave alone"]),
    ];
    for (count, mode, verdicts, expected) in cases {
        assert_eq!(play(plugins(count), mode, verdicts), expected, "{count} {mode:?} {verdicts:?}");
    }
}

#[test]
fn a_policy_that_fails_opens_no_group_unless_the_settings_say_so() {
    let failed = || Verdict::Failed("it broke".to_owned());
    for (word, then) in
        [(Fallback::Deny, "leave alone"), (Fallback::Ignore, "leave alone"), (Fallback::Continue, "bootstrap")]
    {
        let app = App::open(1).falling_back(word, Fallback::Deny);
        assert_eq!(play(app.clone().plugins(1), JoinLeaveMode::None, &[failed()]), ["plugin 0", then]);
        assert_eq!(play(app, JoinLeaveMode::All, &[failed()]), ["script", then], "a script that is busy");
    }
}

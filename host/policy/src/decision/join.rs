//! The decision about a join: which policy names members to a newcomer of a group.

use introd_config::JoinLeaveMode;

use super::{DecidingApplication, Missing, fallback};
use crate::Verdict;

/// An event of a join's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinInput {
    /// A client has joined.
    Begin,
    /// The policy that was asked has decided. A script that was told gives no verdict: [`Verdict::Handled`] stands for it.
    Verdict(Verdict),
}

/// The next step of a join's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinStep {
    /// Ask the plugin at this place.
    AskPlugin(usize),
    /// Tell the script.
    TellScript,
    /// Name members and the newcomer to each other by the built-in bootstrap.
    Bootstrap,
    /// Name no member: a policy does so, or `deny` or `ignore` took the place of its verdict.
    LeaveAlone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Plugin(usize),
    Script,
}

/// A join on its way through the policies of its application: the plugins in their order, then by `JoinLeaveEvents` the script or the
/// built-in bootstrap. The decision waits for no policy: a policy may name members at any later time.
#[derive(Clone, Debug)]
pub struct JoinDecision<A> {
    application: A,
    mode: JoinLeaveMode,
    stage: Stage,
}

impl<A: DecidingApplication> JoinDecision<A> {
    /// The decision about a join of a client of that application. `mode` says whether the script is told.
    pub fn new(application: A, mode: JoinLeaveMode) -> Self {
        Self { application, mode, stage: Stage::Plugin(0) }
    }

    /// Takes an event and returns the next step.
    pub fn advance(&mut self, input: JoinInput) -> JoinStep {
        let verdict = match input {
            JoinInput::Begin => return self.next(0),
            JoinInput::Verdict(Verdict::Failed(_)) => fallback(&self.application.policy(), Missing::Failed),
            JoinInput::Verdict(verdict) => verdict,
        };
        match (verdict, self.stage) {
            (Verdict::Continue, Stage::Plugin(index)) => self.next(index + 1),
            (Verdict::Continue, Stage::Script) => JoinStep::Bootstrap,
            _ => JoinStep::LeaveAlone,
        }
    }

    fn next(&mut self, index: usize) -> JoinStep {
        if index < self.application.plugins() {
            self.stage = Stage::Plugin(index);
            return JoinStep::AskPlugin(index);
        }
        match self.mode {
            JoinLeaveMode::None => JoinStep::Bootstrap,
            JoinLeaveMode::All => {
                self.stage = Stage::Script;
                JoinStep::TellScript
            }
        }
    }
}

//! The decision who bootstraps a client's membership in a group.

use introd_config::JoinLeaveMode;

use super::{DecidingApplication, Missing, fallback};
use crate::Verdict;

/// What has happened to a join.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinInput {
    /// A client has joined.
    Begin,
    /// The policy that was asked has decided. A script is told, and decides later what it likes: [`Verdict::Handled`].
    Verdict(Verdict),
}

/// What to do next about a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinStep {
    /// Ask the plugin at this place.
    AskPlugin(usize),
    /// Tell the script.
    TellScript,
    /// Name members and the newcomer to each other, as is built in.
    Bootstrap,
    /// Name no member: a policy does, or is to.
    LeaveAlone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Plugin(usize),
    Script,
}

/// A join on its way through the policies of its application: the plugins in their order, then by `JoinLeaveEvents` the script or what is
/// built in. No policy waits: names of members may follow at any time.
#[derive(Clone, Debug)]
pub struct JoinDecision<A> {
    application: A,
    mode: JoinLeaveMode,
    stage: Stage,
}

impl<A: DecidingApplication> JoinDecision<A> {
    /// A join of a client of that application. `mode` says whether the script is told.
    pub fn new(application: A, mode: JoinLeaveMode) -> Self {
        Self { application, mode, stage: Stage::Plugin(0) }
    }

    /// Takes what has happened, and says what to do next.
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

//! The decision whether a client may connect.

use std::time::Duration;

use introd_flash::server::Rejection;

use super::{DecidingApplication, Missing, PolicyKind, fallback};
use crate::Verdict;

/// An event of a connect's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectInput {
    /// The application has room for the client: its policies are asked.
    Begin,
    /// The policy that is asked has decided.
    Verdict(Verdict),
    /// The policy that is asked decides later.
    Pending,
    /// The deadline of the policy that is asked has passed.
    Late,
}

/// The next step of a connect's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectStep {
    /// Ask the plugin at this place.
    AskPlugin(usize),
    /// Ask the script.
    AskScript,
    /// Wait for the policy that was asked, up to this time.
    Wait(Duration),
    /// Accept the client.
    Accept,
    /// Reject the client, as this policy has decided.
    Reject(PolicyKind, Box<Rejection>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Plugin(usize),
    Script,
    Done,
}

/// A connect on its way through the policies of its application: the plugins in their order, then the script. A client that none
/// of them rejects is accepted.
#[derive(Clone, Debug)]
pub struct ConnectDecision<A> {
    application: A,
    stage: Stage,
}

impl<A: DecidingApplication> ConnectDecision<A> {
    /// The decision about a connect to an application.
    pub fn new(application: A) -> Self {
        Self { application, stage: Stage::Start }
    }

    /// The application.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// How many plugins have been asked, including the one that is asked now: they must be told when the client is gone.
    pub fn plugins_asked(&self) -> usize {
        match self.stage {
            Stage::Start => 0,
            Stage::Plugin(index) => index + 1,
            Stage::Script | Stage::Done => self.application.plugins(),
        }
    }

    /// The place of the plugin that is asked now.
    pub fn plugin(&self) -> Option<usize> {
        match self.stage {
            Stage::Plugin(index) => Some(index),
            _ => None,
        }
    }

    /// Takes an event and returns the next step.
    pub fn advance(&mut self, input: ConnectInput) -> ConnectStep {
        match input {
            ConnectInput::Begin => self.next(0),
            ConnectInput::Pending => ConnectStep::Wait(self.application.policy().deadline),
            ConnectInput::Verdict(verdict) => self.decided(verdict),
            ConnectInput::Late => {
                let late = match self.stage {
                    Stage::Plugin(_) => "a plugin takes too long",
                    _ => "the application did not decide in time",
                };
                self.instead(Missing::Late, late)
            }
        }
    }

    /// Asks the plugin at that place, or after the last plugin the script.
    fn next(&mut self, index: usize) -> ConnectStep {
        if index < self.application.plugins() {
            self.stage = Stage::Plugin(index);
            ConnectStep::AskPlugin(index)
        } else if self.application.has_script() && self.stage != Stage::Script {
            self.stage = Stage::Script;
            ConnectStep::AskScript
        } else {
            self.stage = Stage::Done;
            ConnectStep::Accept
        }
    }

    fn decided(&mut self, verdict: Verdict) -> ConnectStep {
        match verdict {
            Verdict::Continue => self.passed(),
            Verdict::Reject(rejection) => ConnectStep::Reject(self.asked(), rejection),
            // A plugin's failure message is for the log, not for clients.
            Verdict::Failed(why) if self.stage == Stage::Script => self.instead(Missing::Failed, &why),
            // The other verdicts do not fit a connect.
            _ => self.instead(Missing::Failed, "a plugin has failed"),
        }
    }

    fn instead(&mut self, missing: Missing, why: &str) -> ConnectStep {
        if fallback(&self.application.policy(), missing) == Verdict::Continue {
            return self.passed();
        }
        ConnectStep::Reject(self.asked(), Box::new(Rejection::rejected(why)))
    }

    /// Goes on after the policy that was asked has not rejected the client.
    fn passed(&mut self) -> ConnectStep {
        match self.stage {
            Stage::Plugin(index) => self.next(index + 1),
            _ => self.next(usize::MAX),
        }
    }

    fn asked(&self) -> PolicyKind {
        match self.stage {
            Stage::Plugin(_) => PolicyKind::Plugin,
            Stage::Script => PolicyKind::Script,
            Stage::Start | Stage::Done => PolicyKind::Server,
        }
    }
}

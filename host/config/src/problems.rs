//! What is wrong in a configuration that the server refuses.

use std::fmt;

use super::grouping::grouped;
use super::problem::Problem;

/// Everything that is wrong in a configuration that the server refuses, warnings included, in the order of the files. Shown as [`grouped`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(&self.0).join("\n"))
    }
}

impl std::error::Error for Problems {}

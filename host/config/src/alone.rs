//! An Application.xml by itself, without the files around it: the tests of a script run without a server's configuration.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use super::application::Application;
use super::idle::IdleClients;
use super::key::File;
use super::keys::application::ApplicationXml;
use super::problem::{Findings, Problem};
use super::problems::Problems;
use super::source;
use super::variables::Variables;
use super::view::View;

impl Application {
    /// Reads an Application.xml as if that of its virtual host had nothing in it. Variables come from the environment, and are empty if they
    /// are not there; relative paths count from the current folder. `None` if there is no such file; with the settings come the warnings.
    ///
    /// # Errors
    /// Everything that is wrong in the file.
    pub fn read_alone(file: &Path) -> Result<Option<(Self, Vec<Problem>)>, Problems> {
        let mut findings = Findings::default();
        let environment = |name: &str| Some(std::env::var(name).unwrap_or_default());
        let variables = Variables::new(&environment);
        let tree = source::tree(file, ApplicationXml::schema(), true, &variables, &mut findings);
        let Some(tree) = tree else {
            return if findings.has_errors() { Err(Problems(findings.into_vec())) } else { Ok(None) };
        };
        let found = RefCell::new(findings);
        let idle = IdleClients { enable: false, max_idle_time: Duration::ZERO };
        let settings = Self::read(&View::new(Some(&tree), &found), Path::new("."), idle);
        let findings = found.into_inner();
        if findings.has_errors() {
            return Err(Problems(findings.into_vec()));
        }
        Ok(Some((settings, findings.into_vec())))
    }
}

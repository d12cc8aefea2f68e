//! A reload: what stays of the configuration that is in force.
//!
//! A file that is broken or gone never leads to the admission of clients that the file kept out. If it is a file of an application, the
//! whole application stays as it was. If it is another file, the whole old configuration stays.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::adaptor::Adaptor;
use super::config::{Config, Loaded};
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::vhost::{Registered, Vhost};

/// An application that the new configuration does not change, though its files have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its adaptor.
    pub adaptor: String,
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub application: String,
    /// Why, with the place.
    pub reason: String,
    /// Whether there is no working configuration to keep: it rejects clients.
    pub is_closed: bool,
}

/// What to do with a broken application that did not work before either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Leave it as it is now.
    Leave,
    /// Close it: it rejects clients and lookups.
    Close,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.is_closed { "rejects clients" } else { "keeps its old settings" };
        write!(f, "application {} {outcome}: {}", self.application, self.reason)
    }
}

impl Loaded {
    /// Prepares this configuration to replace the one in force, `old`, which was read from `old_files`. Applications whose files are
    /// broken or gone stay as they are in `old`. Returns them, and those that reject clients.
    ///
    /// # Errors
    /// If a file of `old_files` is gone: then the old configuration must stay as a whole.
    pub fn take_over(&mut self, old: &Config, old_files: &[PathBuf]) -> Result<Vec<Kept>, Problems> {
        let gone = old_files.iter().filter(|file| !self.files.contains(file));
        let gone: Vec<Problem> = gone
            .map(|file| {
                let message =
                    "the file was there and is gone; to go on without it, leave its root element empty, or restart the server";
                Problem::error(&Place::whole(&file.as_path().into()), message)
            })
            .collect();
        if !gone.is_empty() {
            return Err(Problems(gone));
        }
        let mut kept = Vec::new();
        for adaptor in std::iter::once(&mut self.config.default_adaptor).chain(&mut self.config.adaptors) {
            let old_adaptor = old.all_adaptors().find(|known| known.name == adaptor.name);
            let name = adaptor.name.clone();
            for vhost in std::iter::once(&mut adaptor.default_vhost).chain(&mut adaptor.vhosts) {
                let old_vhost =
                    old_adaptor.and_then(|known| Adaptor::all_vhosts(known).find(|known| known.name == vhost.name));
                keep(&name, vhost, old_vhost, &mut kept);
            }
        }
        Ok(kept)
    }
}

impl Config {
    /// Keeps the applications that `is_broken` gives a reason for as they are in `old`, and returns them. An application that
    /// does not work in `old` either is treated as `otherwise` says, and returned if that closes it.
    pub fn keep_broken(
        &mut self,
        old: Option<&Config>,
        otherwise: Otherwise,
        is_broken: impl Fn(&Adaptor, &Vhost, &str, &Registered) -> Option<String>,
    ) -> Vec<Kept> {
        let mut broken = self.broken(is_broken);
        broken.retain_mut(|broken| {
            let before = old.and_then(|old| working(old, broken)).cloned();
            broken.is_closed = before.is_none();
            if broken.is_closed && otherwise == Otherwise::Leave {
                return false;
            }
            if let Some(vhost) = self.vhost_mut(&broken.adaptor, &broken.vhost) {
                keep_old(vhost, before.as_ref(), &broken.application, &broken.reason);
            }
            true
        });
        broken
    }

    fn broken(&self, is_broken: impl Fn(&Adaptor, &Vhost, &str, &Registered) -> Option<String>) -> Vec<Kept> {
        let in_order = self.registered().filter(|(.., registered)| registered.closed.is_none() && !registered.is_kept);
        let broken = in_order.filter_map(|(adaptor, vhost, application, registered)| {
            let reason = is_broken(adaptor, vhost, application, registered)?;
            let (adaptor, vhost, application) = (adaptor.name.clone(), vhost.name.clone(), application.to_owned());
            Some(Kept { adaptor, vhost, application, reason, is_closed: false })
        });
        broken.collect()
    }

    fn vhost_mut(&mut self, adaptor: &str, vhost: &str) -> Option<&mut Vhost> {
        let mut adaptors = std::iter::once(&mut self.default_adaptor).chain(&mut self.adaptors);
        let adaptor = adaptors.find(|known| known.name == adaptor)?;
        let mut vhosts = std::iter::once(&mut adaptor.default_vhost).chain(&mut adaptor.vhosts);
        vhosts.find(|known| known.name == vhost)
    }
}

/// The application as it is in `old`, if it works there.
fn working<'a>(old: &'a Config, Kept { adaptor, vhost, application, .. }: &Kept) -> Option<&'a Registered> {
    let is_it = |(known, of, name, _): &(&Adaptor, &Vhost, &str, &Registered)| {
        (&known.name, &of.name, *name) == (adaptor, vhost, application.as_str())
    };
    old.registered().find(is_it).map(|(.., before)| before).filter(|before| before.closed.is_none())
}

/// Keeps an application as it is in `old`. If it is not there or rejects clients, it rejects clients from now on; false then.
fn keep_old(vhost: &mut Vhost, old: Option<&Registered>, name: &str, reason: &str) -> bool {
    let old = old.filter(|old| old.closed.is_none());
    let registered = match old {
        Some(old) => Registered { is_kept: true, ..old.clone() },
        None => {
            let folder = vhost.applications.get(name).map(|registered| registered.folder.clone());
            Registered::closed(vhost, folder.unwrap_or_default(), reason.into())
        }
    };
    vhost.applications.insert(name.to_owned(), registered);
    old.is_some()
}

/// Keeps the applications of a virtual host that are broken or gone.
fn keep(adaptor: &str, vhost: &mut Vhost, old: Option<&Vhost>, kept: &mut Vec<Kept>) {
    let mut reasons: Vec<(String, Arc<str>)> = Vec::new();
    for (name, registered) in &vhost.applications {
        let before = old.and_then(|old| old.applications.get(name)).filter(|before| before.closed.is_none());
        let folder = registered.folder.display();
        if let Some(closed) = &registered.closed {
            reasons.push((name.clone(), Arc::clone(closed)));
        } else if before.is_some_and(|before| before.has_file && !registered.has_file) {
            reasons.push((name.clone(), format!("{folder}/Application.xml is gone").into()));
        } else if before.is_some_and(|before| before.has_script && !registered.has_script) {
            reasons.push((name.clone(), format!("{folder}: the script is gone").into()));
        }
    }
    // If the virtual host has another folder of applications now, the old applications are not gone: the new ones are other applications.
    for (name, before) in
        old.filter(|old| old.apps_dirs == vhost.apps_dirs).into_iter().flat_map(|old| &old.applications)
    {
        if before.closed.is_none() && !vhost.applications.contains_key(name) {
            reasons.push((name.clone(), format!("{}: the application is gone", before.folder.display()).into()));
        }
    }
    for (name, reason) in reasons {
        let before = old.and_then(|old| old.applications.get(&name));
        let is_kept = keep_old(vhost, before, &name, &reason);
        let (adaptor, vhost) = (adaptor.to_owned(), vhost.name.clone());
        kept.push(Kept { adaptor, vhost, application: name, reason: reason.to_string(), is_closed: !is_kept });
    }
}

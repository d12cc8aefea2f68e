//! Files of the configuration as text and as trees.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use introd_plugin::files;

use super::encoding;
use super::presence::Presence;
use super::problem::{Findings, Place, Problem};
use super::schema::Schema;
use super::variables::Variables;
use super::xml::{self, Element};

/// The largest file, in bytes. The largest one that Adobe ships is a twentieth of it.
const MAX_FILE: u64 = 1024 * 1024;

/// The text of a file; `None` if there is none, or none that can be read, which is reported.
pub(super) fn text(path: &Path, findings: &mut Findings) -> Option<(Arc<Path>, String)> {
    let name: Arc<Path> = path.into();
    // A link that leads nowhere is not taken for no file at all.
    if let Some(why) = Presence::of(path).unless_file() {
        findings.push(Problem::error(&Place::whole(&name), format!("the file cannot be read: {why}")));
        return None;
    }
    let message = match files::read(path, MAX_FILE) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) if error.kind() == ErrorKind::FileTooLarge => error.to_string(),
        Err(error) => format!("the file cannot be read: {error}"),
        Ok(bytes) => match encoding::text(bytes) {
            Ok(text) => return Some((name, text)),
            Err(why) => why,
        },
    };
    findings.push(Problem::error(&Place::whole(&name), message));
    None
}

/// The checked tree of a file with its variables filled in; `None` if there is none to go by. `is_default`: see
/// [`Schema::check`].
pub(super) fn tree(
    path: &Path,
    schema: &Schema,
    is_default: bool,
    variables: &Variables<'_>,
    findings: &mut Findings,
) -> Option<Element> {
    let (name, text) = text(path, findings)?;
    match xml::parse(&name, &text) {
        Ok(mut root) => {
            schema.check(&mut root, is_default, findings);
            variables.expand(&mut root, findings);
            Some(root)
        }
        Err(problem) => {
            findings.push(problem);
            None
        }
    }
}

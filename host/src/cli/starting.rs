//! The start of a server: in the place of another one, if one can be taken over. A process that is told to stop meanwhile ends without having
//! served, and the other one goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, bail};
use tokio::sync::oneshot;

use crate::server::{Heir, Server, ServerSettings};
use crate::takeover::Predecessor;

/// A server that has started.
pub(super) struct Started {
    pub(super) server: Server,
    /// The process was told to stop when it was too late to give the takeover up.
    pub(super) is_to_stop: bool,
}

/// Starts the server: in the place of another one, if one listens at that path. `stop` ends when the process is told to stop.
///
/// # Errors
/// If the server cannot start, or the process is told to stop before it serves in the place of another one. Then a thread may still be
/// preparing the takeover, and the process is to end.
pub(super) async fn start(
    settings: ServerSettings,
    takeover: Option<PathBuf>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Started> {
    let Some(path) = takeover else {
        return Ok(Started { server: Server::start(&settings)?, is_to_stop: false });
    };
    let (course, (done, mut is_done)) = (Arc::new(Course::default()), oneshot::channel());
    let its_course = Arc::clone(&course);
    // A takeover waits for another process: signals are obeyed meanwhile.
    let starting = move || drop(done.send(take_place(&settings, &path, &its_course)));
    std::thread::Builder::new().name("start".to_owned()).spawn(starting).context("no thread can be started")?;
    let ended = "the thread that starts the server has panicked";
    tokio::select! {
        result = &mut is_done => return Ok(Started { server: result.context(ended)??, is_to_stop: false }),
        () = stop => (),
    }
    if course.turn(GIVEN_UP) {
        bail!("the takeover is given up: this process was told to stop before it served. The server that runs goes on");
    }
    Ok(Started { server: is_done.await.context(ended)??, is_to_stop: true })
}

const PREPARES: u8 = 0;
const SERVES: u8 = 1;
const GIVEN_UP: u8 = 2;

/// How far a takeover has come.
#[derive(Default)]
struct Course(AtomicU8);

impl Course {
    /// What has only been prepared takes this turn. False if it has taken another before.
    fn turn(&self, to: u8) -> bool {
        self.0.compare_exchange(PREPARES, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The process serves from now on. If it has given that up, it is about to end, and this does not return.
    fn serve(&self) {
        while !self.turn(SERVES) {
            std::thread::park();
        }
    }
}

fn take_place(settings: &ServerSettings, path: &Path, course: &Course) -> anyhow::Result<Server> {
    let failed = || "the takeover has failed: nothing was started, and a server that still runs goes on";
    let Some((predecessor, offer)) = Predecessor::find(path).with_context(failed)? else {
        tracing::info!(path = %path.display(), "no server is there to be taken over: this one starts by itself");
        course.serve();
        return Server::start(settings);
    };
    let (program, process) = predecessor.who();
    tracing::info!(program, process, "taking over from a server that runs");
    let mut heir = Server::take_over(settings, offer).with_context(failed)?;
    let decide = || course.serve();
    let sessions =
        predecessor.replace(&mut heir, Heir::prepare, Heir::inherit, decide, Heir::serve).with_context(failed)?;
    let noun = if sessions == 1 { "session" } else { "sessions" };
    introd_log::say(&format!("introd has taken over {sessions} {noun}\n"));
    heir.into_server()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_that_is_given_up_never_serves_and_one_that_serves_is_not_given_up() {
        let course = Course::default();
        course.serve();
        assert!(!course.turn(GIVEN_UP));
        let course = Arc::new(Course::default());
        assert!(course.turn(GIVEN_UP));
        let its_course = Arc::clone(&course);
        let thread = std::thread::spawn(move || its_course.serve());
        thread.thread().unpark();
        assert!(!course.turn(SERVES) && !thread.is_finished());
    }
}

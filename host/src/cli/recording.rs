//! `--record`: a recording of a command's traffic.

use std::path::Path;

use anyhow::Context as _;

use crate::record::Recorder;

/// Begins a recording, if the user asked for one.
pub(super) fn start(path: Option<&Path>, description: &str) -> anyhow::Result<Option<Recorder>> {
    let Some(path) = path else { return Ok(None) };
    let recorder = Recorder::create(path, description)
        .with_context(|| format!("{} cannot be written: choose another file for --record", path.display()))?;
    Ok(Some(recorder))
}

/// Writes a recording to its file, and prints what is in it.
pub(super) fn finish(recorder: &Recorder) -> anyhow::Result<()> {
    let summary = recorder.finish().context("the recording cannot be written")?;
    introd_log::complain(&format!("recorded {} packets of {} sessions\n", summary.packets, summary.sessions));
    Ok(())
}

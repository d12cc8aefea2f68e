//! The posting by which a probe tries a group, and the answer of another probe.

use introd_client::ClientFailure;
use introd_flash::amf::{Encoder, Value};
use rtmfp::PeerId;

use super::failure::local_failure;

/// The property of a probe's posting: a text that no other posting has.
pub(super) const PROBE: &str = "introdProbe";
/// The property of the posting by which a probe answers.
pub(super) const ANSWER: &str = "introdProbeAnswer";

/// A posting of this probe, and what became of it.
pub(super) struct ProbePosting {
    pub(super) text: String,
    /// Whether a neighbour requested it.
    pub(super) is_taken: bool,
    /// Whether another probe answered it.
    pub(super) is_answered: bool,
}

impl ProbePosting {
    /// A posting that no other probe makes.
    pub(super) fn new() -> Result<Self, ClientFailure> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(local_failure)?;
        Ok(Self { text: hex::encode(bytes), is_taken: false, is_answered: false })
    }
}

/// The value of a posting.
pub(super) fn encode(property: &str, text: &str, author: PeerId) -> Option<Vec<u8>> {
    let value = Value::object([(property, Value::from(text)), ("peer", author.to_string().into())]);
    let mut encoder = Encoder::new();
    encoder.amf0(&value).ok()?;
    Some(encoder.finish())
}

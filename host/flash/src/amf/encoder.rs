//! Writes the values of one message.

use std::collections::HashMap;

use super::amf3::Traits;
use super::error::EncodeError;
use super::value::Value;

/// How deep values may be nested. Deeper ones are not written.
pub const MAX_ENCODED_DEPTH: usize = 64;

/// Writes values one after the other into one message.
///
/// After an error the message is incomplete and must not be sent.
#[derive(Debug, Default)]
pub struct Encoder {
    pub(super) out: Vec<u8>,
    pub(super) amf3_strings: HashMap<String, u32>,
    pub(super) amf3_traits: HashMap<Traits, u32>,
    pub(super) depth: usize,
    embedded_before: bool,
    inline_only: bool,
    amf0_only: bool,
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder that appends to `out`.
    pub fn appending(out: Vec<u8>) -> Self {
        Self { out, ..Self::default() }
    }

    /// The same encoder, which then refuses to switch from AMF0 to AMF3: some receivers cannot read that.
    pub fn amf0_only(self) -> Self {
        Self { amf0_only: true, ..self }
    }

    /// Appends a value in AMF0. A value that AMF0 has no type for is embedded as AMF3 with the marker 0x11.
    pub fn amf0(&mut self, value: &Value) -> Result<(), EncodeError> {
        self.amf0_value(value)
    }

    /// Appends a value in AMF3.
    pub fn amf3(&mut self, value: &Value) -> Result<(), EncodeError> {
        self.amf3_value(value)
    }

    /// Appends a value as AMF3 in an AMF0 message: the marker 0x11, then the value in AMF3.
    ///
    /// In some receivers the second such value of a message shares the reference tables of the first, in others it does not. So only the
    /// first is written with references.
    pub fn embedded_amf3(&mut self, value: &Value) -> Result<(), EncodeError> {
        if self.amf0_only {
            return Err(EncodeError::NotAmf0("a value of AMF3"));
        }
        self.out.push(super::amf0::marker::AVMPLUS);
        let outer = std::mem::replace(&mut self.inline_only, self.embedded_before);
        self.embedded_before = true;
        let result = self.amf3_value(value);
        self.inline_only = outer;
        result
    }

    /// The bytes that were written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Whether AMF3 strings and traits may be written as references.
    pub(super) fn may_refer(&self) -> bool {
        !self.inline_only
    }

    /// Runs `write` one level deeper.
    pub(super) fn nested(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if self.depth == MAX_ENCODED_DEPTH {
            return Err(EncodeError::TooDeep);
        }
        self.depth += 1;
        let result = write(self);
        self.depth -= 1;
        result
    }
}

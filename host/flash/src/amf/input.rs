//! The bytes that are being decoded, the position in them, and the rest of the limits.

use super::error::DecodeError;
use super::limits::AmfLimits;

/// A cursor over a message, which charges what it returns to the limits.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
    left: AmfLimits,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: AmfLimits) -> Self {
        Self { bytes, position: 0, left: limits }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Goes to a position that [`Input::position`] has returned.
    pub(super) fn seek(&mut self, position: usize) {
        self.position = position.min(self.bytes.len());
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..count).ok_or(DecodeError::Truncated { at: self.bytes.len() })?;
        self.position += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, _) = self.rest().split_first_chunk::<N>().ok_or(DecodeError::Truncated { at: self.bytes.len() })?;
        self.position += N;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    /// Takes `count` bytes that the caller will keep. They are charged when it is known that they are there.
    pub(super) fn kept(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.take(count)?;
        self.charge_bytes(count)?;
        Ok(bytes)
    }

    /// Takes `count` bytes as text.
    pub(super) fn text(&mut self, count: usize) -> Result<String, DecodeError> {
        let text = String::from_utf8_lossy(self.take(count)?).into_owned();
        self.charge_bytes(text.len())?;
        Ok(text)
    }

    pub(super) fn charge_element(&mut self) -> Result<(), DecodeError> {
        self.left.elements = self.left.elements.checked_sub(1).ok_or(DecodeError::TooManyElements)?;
        Ok(())
    }

    pub(super) fn charge_bytes(&mut self, count: usize) -> Result<(), DecodeError> {
        self.left.bytes = self.left.bytes.checked_sub(count).ok_or(DecodeError::TooManyBytes)?;
        Ok(())
    }

    /// Begins a container. Since an error ends the whole message, [`Input::leave`] is needed only after success.
    pub(super) fn enter(&mut self) -> Result<(), DecodeError> {
        self.left.depth = self.left.depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.left.depth += 1;
    }
}

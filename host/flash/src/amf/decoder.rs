//! Reading the values of one message.

use std::ops::Range;
use std::rc::Rc;

use super::amf3::Traits;
use super::error::DecodeError;
use super::input::Input;
use super::limits::Limits;
use super::value::Value;

/// Reads the values of one message, one after the other.
///
/// References reach over all values of the message, hence one decoder for each message. After an error the rest of the
/// message cannot be read.
#[derive(Debug)]
pub struct Decoder<'a> {
    pub(super) input: Input<'a>,
    /// AMF0's reference table.
    pub(super) amf0_objects: Vec<Referable>,
    /// AMF3's three reference tables. Those who embed several AMF3 values in an AMF0 message continue the same tables
    /// (BlazeDS and MonaServer do).
    pub(super) amf3_objects: Vec<Referable>,
    pub(super) amf3_strings: Vec<Range<usize>>,
    pub(super) amf3_traits: Vec<Rc<Traits>>,
    /// Reading bytes again that a reference points to: what is found there is in the tables already.
    pub(super) replaying: bool,
}

/// Where a value begins that later ones may refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referable {
    /// The position of its type marker.
    pub(super) start: usize,
    /// Whether it has been read to its end: a reference to it before that is a cycle.
    pub(super) complete: bool,
}

impl<'a> Decoder<'a> {
    /// A decoder of the values in `bytes`.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self {
            input: Input::new(bytes, limits),
            amf0_objects: Vec::new(),
            amf3_objects: Vec::new(),
            amf3_strings: Vec::new(),
            amf3_traits: Vec::new(),
            replaying: false,
        }
    }

    /// Whether all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.input.rest().is_empty()
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.input.position()
    }

    /// The next value, in AMF0 (which may switch to AMF3 with the marker 0x11).
    pub fn amf0(&mut self) -> Result<Value, DecodeError> {
        self.amf0_value()
    }

    /// The next value, in AMF3.
    pub fn amf3(&mut self) -> Result<Value, DecodeError> {
        self.amf3_value()
    }

    /// Reads the bytes at `target` again with `read`, and comes back.
    pub(super) fn replay(
        &mut self,
        target: Referable,
        read: fn(&mut Self) -> Result<Value, DecodeError>,
    ) -> Result<Value, DecodeError> {
        let at = self.input.position();
        if !target.complete {
            return Err(DecodeError::Cyclic { at });
        }
        let outer = std::mem::replace(&mut self.replaying, true);
        self.input.seek(target.start);
        let value = read(self)?;
        self.input.seek(at);
        self.replaying = outer;
        Ok(value)
    }
}

/// Enters a value into a reference table, and says where.
pub(super) fn begin(table: &mut Vec<Referable>, start: usize, replaying: bool) -> Option<usize> {
    if replaying {
        return None;
    }
    table.push(Referable { start, complete: false });
    Some(table.len() - 1)
}

/// Marks the value that [`begin`] entered as read to its end.
pub(super) fn complete(table: &mut [Referable], slot: Option<usize>) {
    if let Some(entry) = slot.and_then(|slot| table.get_mut(slot)) {
        entry.complete = true;
    }
}

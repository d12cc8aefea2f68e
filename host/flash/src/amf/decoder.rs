//! Reads the values of one message.

use std::ops::Range;
use std::rc::Rc;

use super::amf3::Traits;
use super::error::DecodeError;
use super::input::Input;
use super::limits::AmfLimits;
use super::value::Value;

/// Reads the values of one message, one after the other.
///
/// References can point to any earlier value of the message, so each message needs a decoder of its own. After an error the rest of
/// the message cannot be read.
#[derive(Debug)]
pub struct Decoder<'a> {
    pub(super) input: Input<'a>,
    /// AMF0's reference table.
    pub(super) amf0_objects: Vec<Referable>,
    /// AMF3's three reference tables. If an AMF0 message has several AMF3 values in it, they share these tables, as in BlazeDS and
    /// MonaServer.
    pub(super) amf3_objects: Vec<Referable>,
    pub(super) amf3_strings: Vec<Range<usize>>,
    pub(super) amf3_traits: Vec<Rc<Traits>>,
    /// Whether the bytes of a reference's target are being read again. The values there are in the tables already.
    pub(super) replaying: bool,
}

/// A value that later values may refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referable {
    /// The position of its type marker.
    pub(super) start: usize,
    /// Whether the value has been read to its end. A reference to it before that is a cycle.
    pub(super) complete: bool,
}

impl<'a> Decoder<'a> {
    /// A decoder of the values in `bytes`.
    pub fn new(bytes: &'a [u8], limits: AmfLimits) -> Self {
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

    /// Reads the next value, in AMF0. The marker 0x11 switches to AMF3 for one value.
    pub fn amf0(&mut self) -> Result<Value, DecodeError> {
        self.amf0_value()
    }

    /// Reads the next value, in AMF3.
    pub fn amf3(&mut self) -> Result<Value, DecodeError> {
        self.amf3_value()
    }

    /// Reads the bytes at `target` again with `read`, and returns to the present position.
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

/// Enters a value into a reference table, and returns its place there.
pub(super) fn begin(table: &mut Vec<Referable>, start: usize, replaying: bool) -> Option<usize> {
    if replaying {
        return None;
    }
    table.push(Referable { start, complete: false });
    Some(table.len() - 1)
}

/// Marks the value that [`begin`] has entered as read to its end.
pub(super) fn complete(table: &mut [Referable], slot: Option<usize>) {
    if let Some(entry) = slot.and_then(|slot| table.get_mut(slot)) {
        entry.complete = true;
    }
}

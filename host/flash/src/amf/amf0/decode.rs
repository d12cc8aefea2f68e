//! Reads AMF0 (AMF0 §2).

use super::marker;
use crate::amf::decoder::{self, Decoder};
use crate::amf::error::DecodeError;
use crate::amf::value::{EcmaArray, Object, Value};

impl Decoder<'_> {
    pub(in crate::amf) fn amf0_value(&mut self) -> Result<Value, DecodeError> {
        let start = self.input.position();
        self.input.charge_element()?;
        match self.input.u8()? {
            marker::NUMBER => Ok(Value::Number(self.input.f64()?)),
            marker::BOOLEAN => Ok(Value::Boolean(self.input.u8()? != 0)),
            marker::STRING => Ok(Value::String(self.amf0_text()?)),
            marker::LONG_STRING => Ok(Value::String(self.amf0_long_text()?)),
            marker::XML_DOCUMENT => Ok(Value::XmlDocument(self.amf0_long_text()?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::DATE => {
                let milliseconds = self.input.f64()?;
                Ok(Value::Date { milliseconds, time_zone: self.input.array().map(i16::from_be_bytes)? })
            }
            marker::OBJECT => {
                self.amf0_container(start, |decoder| Ok(Object::plain(decoder.amf0_properties()?).into()))
            }
            marker::TYPED_OBJECT => self.amf0_container(start, |decoder| {
                let class = decoder.amf0_text()?;
                Ok(Object { class, ..Object::plain(decoder.amf0_properties()?) }.into())
            }),
            marker::ECMA_ARRAY => self.amf0_container(start, |decoder| {
                // The count is only a hint, which some writers get wrong. The end marker counts.
                decoder.input.u32()?;
                Ok(Value::EcmaArray(EcmaArray { named: decoder.amf0_properties()?, dense: Vec::new() }))
            }),
            marker::STRICT_ARRAY => self.amf0_container(start, |decoder| {
                let count = decoder.input.u32()?;
                let mut items = Vec::new();
                // Each item takes at least a marker, so that a false count ends with the input.
                for _ in 0..count {
                    items.push(decoder.amf0_value()?);
                }
                Ok(Value::Array(items))
            }),
            marker::REFERENCE => {
                let index = usize::from(self.input.u16()?);
                let at = self.input.position();
                let target = *self.amf0_objects.get(index).ok_or(DecodeError::BadReference { at })?;
                self.replay(target, Self::amf0_value)
            }
            marker::AVMPLUS => self.amf3_value(),
            marker::MOVIE_CLIP => Err(DecodeError::Unsupported("movie clip")),
            marker::RECORD_SET => Err(DecodeError::Unsupported("record set")),
            marker::UNSUPPORTED => Err(DecodeError::Unsupported("a value its sender could not serialize")),
            marker => Err(DecodeError::UnknownMarker { version: 0, marker, at: start }),
        }
    }

    /// Reads a value that contains others, and that has an entry in the reference table.
    fn amf0_container(
        &mut self,
        start: usize,
        read: impl FnOnce(&mut Self) -> Result<Value, DecodeError>,
    ) -> Result<Value, DecodeError> {
        let slot = decoder::begin(&mut self.amf0_objects, start, self.replaying);
        self.input.enter()?;
        let value = read(self)?;
        self.input.leave();
        decoder::complete(&mut self.amf0_objects, slot);
        Ok(value)
    }

    /// Reads properties up to the end of the object: an empty name and the end marker.
    fn amf0_properties(&mut self) -> Result<Vec<(String, Value)>, DecodeError> {
        let mut properties = Vec::new();
        loop {
            if let [0, 0, marker::OBJECT_END, ..] = self.input.rest() {
                self.input.take(3)?;
                return Ok(properties);
            }
            let name = self.amf0_text()?;
            properties.push((name, self.amf0_value()?));
        }
    }

    fn amf0_text(&mut self) -> Result<String, DecodeError> {
        let length = usize::from(self.input.u16()?);
        self.input.text(length)
    }

    fn amf0_long_text(&mut self) -> Result<String, DecodeError> {
        let length = self.input.u32()?;
        self.input.text(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

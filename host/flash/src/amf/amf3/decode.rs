//! Reads AMF3 (AMF3 §3).

use std::rc::Rc;

use super::{Traits, marker, u29};
use crate::amf::decoder::{self, Decoder};
use crate::amf::error::DecodeError;
use crate::amf::value::{EcmaArray, Object, Value, Vector};

impl<'a> Decoder<'a> {
    pub(in crate::amf) fn amf3_value(&mut self) -> Result<Value, DecodeError> {
        let start = self.input.position();
        self.input.charge_element()?;
        let marker = self.input.u8()?;
        match marker {
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::NULL => Ok(Value::Null),
            marker::FALSE => Ok(Value::Boolean(false)),
            marker::TRUE => Ok(Value::Boolean(true)),
            marker::INTEGER => Ok(Value::Integer(u29::signed(u29::take(&mut self.input)?))),
            marker::DOUBLE => Ok(Value::Number(self.input.f64()?)),
            marker::STRING => Ok(Value::String(self.amf3_text()?)),
            marker::XML_DOCUMENT..=marker::DICTIONARY => self.amf3_referable(start, marker),
            marker => Err(DecodeError::UnknownMarker { version: 3, marker, at: start }),
        }
    }

    /// Reads a value of a type that has entries in the object table: a reference into the table, or the value itself, whose header has 28
    /// bits for a length, a count or traits.
    fn amf3_referable(&mut self, start: usize, marker: u8) -> Result<Value, DecodeError> {
        let header = u29::take(&mut self.input)?;
        let bits = header >> 1;
        if header & 1 == 0 {
            let at = self.input.position();
            let target = self.amf3_objects.get(bits as usize).copied().ok_or(DecodeError::BadReference { at })?;
            self.input.seek(target.start);
            let same_type = self.input.rest().first() == Some(&marker);
            self.input.seek(at);
            return if same_type {
                self.replay(target, Self::amf3_value)
            } else {
                Err(DecodeError::BadReference { at })
            };
        }
        let slot = decoder::begin(&mut self.amf3_objects, start, self.replaying);
        self.input.enter()?;
        let count = bits as usize;
        let value = match marker {
            marker::XML_DOCUMENT => Value::XmlDocument(self.input.text(count)?),
            marker::XML => Value::Xml(self.input.text(count)?),
            marker::DATE => Value::Date { milliseconds: self.input.f64()?, time_zone: 0 },
            marker::ARRAY => self.amf3_array(count)?,
            marker::OBJECT => self.amf3_object(bits)?,
            marker::BYTE_ARRAY => Value::ByteArray(self.input.kept(count)?.to_vec()),
            marker::DICTIONARY => self.amf3_dictionary(count)?,
            _ => Value::Vector(self.amf3_vector(marker, count)?),
        };
        self.input.leave();
        decoder::complete(&mut self.amf3_objects, slot);
        Ok(value)
    }

    fn amf3_array(&mut self, count: usize) -> Result<Value, DecodeError> {
        let named = self.amf3_dynamic_properties()?;
        let dense = self.amf3_items(count)?;
        Ok(if named.is_empty() { Value::Array(dense) } else { Value::EcmaArray(EcmaArray { named, dense }) })
    }

    fn amf3_object(&mut self, bits: u32) -> Result<Value, DecodeError> {
        let traits = self.amf3_traits(bits)?;
        if traits.externalizable {
            if !traits.is_wrapper() {
                // The beginning of the name is enough for a log, which a client must not fill.
                return Err(DecodeError::Externalizable(traits.class.chars().take(64).collect()));
            }
            self.input.charge_bytes(traits.class.len())?;
            return Ok(Value::Externalized { class: traits.class.clone(), body: Box::new(self.amf3_value()?) });
        }
        let mut properties = Vec::new();
        for name in &traits.sealed {
            self.input.charge_bytes(name.len())?;
            properties.push((name.clone(), self.amf3_value()?));
        }
        if traits.dynamic {
            properties.append(&mut self.amf3_dynamic_properties()?);
        }
        self.input.charge_bytes(traits.class.len())?;
        let (class, sealed, dynamic) = (traits.class.clone(), traits.sealed.len(), traits.dynamic);
        Ok(Object { class, sealed, dynamic, properties }.into())
    }

    /// Reads the traits of an object: a reference into the table of traits, or the traits themselves.
    fn amf3_traits(&mut self, bits: u32) -> Result<Rc<Traits>, DecodeError> {
        if bits & 1 == 0 {
            let at = self.input.position();
            return self.amf3_traits.get((bits >> 1) as usize).cloned().ok_or(DecodeError::BadReference { at });
        }
        let (externalizable, dynamic, count) = (bits & 2 != 0, bits & 4 != 0, bits >> 3);
        let class = self.amf3_text()?;
        let mut sealed = Vec::new();
        // Each name takes at least a byte, so that a false count ends with the input.
        for _ in 0..count {
            self.input.charge_element()?;
            sealed.push(self.amf3_text()?);
        }
        let traits = Rc::new(Traits { class, dynamic, externalizable, sealed });
        if !self.replaying {
            self.amf3_traits.push(Rc::clone(&traits));
        }
        Ok(traits)
    }

    /// Reads names and values up to an empty name.
    fn amf3_dynamic_properties(&mut self) -> Result<Vec<(String, Value)>, DecodeError> {
        let mut properties = Vec::new();
        loop {
            let name = self.amf3_text()?;
            if name.is_empty() {
                return Ok(properties);
            }
            properties.push((name, self.amf3_value()?));
        }
    }

    fn amf3_items(&mut self, count: usize) -> Result<Vec<Value>, DecodeError> {
        let mut items = Vec::new();
        // Each item takes at least a marker, so that a false count ends with the input.
        for _ in 0..count {
            items.push(self.amf3_value()?);
        }
        Ok(items)
    }

    fn amf3_dictionary(&mut self, count: usize) -> Result<Value, DecodeError> {
        let weak_keys = self.input.u8()? != 0;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = self.amf3_value()?;
            entries.push((key, self.amf3_value()?));
        }
        Ok(Value::Dictionary { weak_keys, entries })
    }

    fn amf3_vector(&mut self, marker: u8, count: usize) -> Result<Vector, DecodeError> {
        let fixed = self.input.u8()? != 0;
        Ok(match marker {
            marker::VECTOR_INT => Vector::Int { fixed, items: self.amf3_words(count, i32::from_be_bytes)? },
            marker::VECTOR_UINT => Vector::Uint { fixed, items: self.amf3_words(count, u32::from_be_bytes)? },
            marker::VECTOR_DOUBLE => Vector::Double { fixed, items: self.amf3_words(count, f64::from_be_bytes)? },
            _ => Vector::Object { fixed, class: self.amf3_text()?, items: self.amf3_items(count)? },
        })
    }

    fn amf3_words<const N: usize, T>(&mut self, count: usize, word: fn([u8; N]) -> T) -> Result<Vec<T>, DecodeError> {
        let bytes = self.input.kept(count.saturating_mul(N))?;
        Ok(bytes.as_chunks::<N>().0.iter().copied().map(word).collect())
    }

    /// Reads a text, or a reference into the table of texts. The empty text is never in the table (AMF3 §1.3.2).
    fn amf3_text(&mut self) -> Result<String, DecodeError> {
        let header = u29::take(&mut self.input)?;
        let bits = (header >> 1) as usize;
        if header & 1 == 1 {
            let start = self.input.position();
            let text = self.input.text(bits)?;
            if bits > 0 && !self.replaying {
                self.amf3_strings.push(start..start + bits);
            }
            return Ok(text);
        }
        let at = self.input.position();
        let target = self.amf3_strings.get(bits).cloned().ok_or(DecodeError::BadReference { at })?;
        self.input.seek(target.start);
        let text = self.input.text(target.len())?;
        self.input.seek(at);
        Ok(text)
    }
}

//! Writes AMF3 (AMF3 §3). Texts and traits that were written before are written as references; objects never are.

use super::{Traits, marker, u29};
use crate::amf::encoder::Encoder;
use crate::amf::error::EncodeError;
use crate::amf::value::{EcmaArray, Object, Value, Vector};

/// The largest length or count: 28 bits beside the flag that distinguishes it from a reference.
const MAX_LENGTH: usize = (u29::MAX >> 1) as usize;

/// How many sealed properties traits may have: three flags take more bits.
const MAX_SEALED: usize = MAX_LENGTH >> 3;

/// The count of sealed properties, if it fits.
fn sealed_count(count: usize) -> Result<u32, EncodeError> {
    if count > MAX_SEALED { Err(EncodeError::TooLong("list of sealed properties")) } else { Ok(count as u32) }
}

impl Encoder {
    pub(in crate::amf) fn amf3_value(&mut self, value: &Value) -> Result<(), EncodeError> {
        match value {
            Value::Undefined => self.out.push(marker::UNDEFINED),
            Value::Null => self.out.push(marker::NULL),
            Value::Boolean(false) => self.out.push(marker::FALSE),
            Value::Boolean(true) => self.out.push(marker::TRUE),
            Value::Integer(number) if u29::SIGNED.contains(number) => {
                self.out.push(marker::INTEGER);
                u29::put(*number as u32, &mut self.out);
            }
            Value::Integer(number) => self.amf3_double(f64::from(*number)),
            Value::Number(number) => self.amf3_double(*number),
            Value::String(text) => {
                self.out.push(marker::STRING);
                self.amf3_text(text)?;
            }
            Value::XmlDocument(text) => self.amf3_bytes(marker::XML_DOCUMENT, text.as_bytes())?,
            Value::Xml(text) => self.amf3_bytes(marker::XML, text.as_bytes())?,
            Value::ByteArray(bytes) => self.amf3_bytes(marker::BYTE_ARRAY, bytes)?,
            Value::Date { milliseconds, .. } => {
                self.out.push(marker::DATE);
                u29::put(1, &mut self.out);
                self.out.extend_from_slice(&milliseconds.to_be_bytes());
            }
            Value::Object(object) => self.nested(|encoder| encoder.amf3_object(object))?,
            Value::Array(items) => self.nested(|encoder| encoder.amf3_array(&[], items))?,
            Value::EcmaArray(EcmaArray { named, dense }) => {
                self.nested(|encoder| encoder.amf3_array(named, dense))?;
            }
            Value::Vector(vector) => self.nested(|encoder| encoder.amf3_vector(vector))?,
            Value::Dictionary { weak_keys, entries } => self.nested(|encoder| {
                encoder.out.push(marker::DICTIONARY);
                encoder.amf3_length(entries.len())?;
                encoder.out.push(u8::from(*weak_keys));
                entries.iter().try_for_each(|(key, value)| {
                    encoder.amf3_value(key)?;
                    encoder.amf3_value(value)
                })
            })?,
            Value::Externalized { class, body } => self.nested(|encoder| {
                encoder.out.push(marker::OBJECT);
                let (class, sealed) = (class.clone(), Vec::new());
                encoder.amf3_traits(Traits { class, dynamic: false, externalizable: true, sealed })?;
                encoder.amf3_value(body)
            })?,
        }
        Ok(())
    }

    fn amf3_object(&mut self, object: &Object) -> Result<(), EncodeError> {
        let (sealed, rest) = object.properties.split_at(object.sealed.min(object.properties.len()));
        // Properties beyond the sealed ones make an object dynamic, even if its flag says otherwise.
        let dynamic = object.dynamic || !rest.is_empty();
        self.out.push(marker::OBJECT);
        self.amf3_traits(Traits {
            class: object.class.clone(),
            dynamic,
            externalizable: false,
            sealed: sealed.iter().map(|(name, _)| name.clone()).collect(),
        })?;
        sealed.iter().try_for_each(|(_, value)| self.amf3_value(value))?;
        if dynamic { self.amf3_dynamic_properties(rest) } else { Ok(()) }
    }

    fn amf3_traits(&mut self, traits: Traits) -> Result<(), EncodeError> {
        if let Some(index) = self.amf3_traits.get(&traits).filter(|_| self.may_refer()) {
            u29::put(index << 2 | 1, &mut self.out);
            return Ok(());
        }
        let count = sealed_count(traits.sealed.len())?;
        let flags = u32::from(traits.externalizable) << 2 | u32::from(traits.dynamic) << 3 | 3;
        u29::put(count << 4 | flags, &mut self.out);
        self.amf3_text(&traits.class)?;
        traits.sealed.iter().try_for_each(|name| self.amf3_text(name))?;
        if self.may_refer() {
            let index = self.amf3_traits.len() as u32;
            self.amf3_traits.insert(traits, index);
        }
        Ok(())
    }

    fn amf3_dynamic_properties(&mut self, properties: &[(String, Value)]) -> Result<(), EncodeError> {
        for (name, value) in properties {
            if name.is_empty() {
                return Err(EncodeError::EmptyName);
            }
            self.amf3_text(name)?;
            self.amf3_value(value)?;
        }
        self.amf3_text("")
    }

    fn amf3_array(&mut self, named: &[(String, Value)], dense: &[Value]) -> Result<(), EncodeError> {
        self.out.push(marker::ARRAY);
        self.amf3_length(dense.len())?;
        self.amf3_dynamic_properties(named)?;
        dense.iter().try_for_each(|item| self.amf3_value(item))
    }

    fn amf3_vector(&mut self, vector: &Vector) -> Result<(), EncodeError> {
        match vector {
            Vector::Int { fixed, items } => {
                self.amf3_words(marker::VECTOR_INT, *fixed, items.iter().map(|item| item.to_be_bytes()))
            }
            Vector::Uint { fixed, items } => {
                self.amf3_words(marker::VECTOR_UINT, *fixed, items.iter().map(|item| item.to_be_bytes()))
            }
            Vector::Double { fixed, items } => {
                self.amf3_words(marker::VECTOR_DOUBLE, *fixed, items.iter().map(|item| item.to_be_bytes()))
            }
            Vector::Object { fixed, class, items } => {
                self.out.push(marker::VECTOR_OBJECT);
                self.amf3_length(items.len())?;
                self.out.push(u8::from(*fixed));
                self.amf3_text(class)?;
                items.iter().try_for_each(|item| self.amf3_value(item))
            }
        }
    }

    fn amf3_words<const N: usize>(
        &mut self,
        marker: u8,
        fixed: bool,
        words: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> Result<(), EncodeError> {
        self.out.push(marker);
        self.amf3_length(words.len())?;
        self.out.push(u8::from(fixed));
        words.for_each(|word| self.out.extend_from_slice(&word));
        Ok(())
    }

    fn amf3_double(&mut self, number: f64) {
        self.out.push(marker::DOUBLE);
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn amf3_bytes(&mut self, marker: u8, bytes: &[u8]) -> Result<(), EncodeError> {
        self.out.push(marker);
        self.amf3_length(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn amf3_text(&mut self, text: &str) -> Result<(), EncodeError> {
        if let Some(index) = self.amf3_strings.get(text).filter(|_| self.may_refer()) {
            u29::put(index << 1, &mut self.out);
            return Ok(());
        }
        self.amf3_length(text.len())?;
        self.out.extend_from_slice(text.as_bytes());
        if !text.is_empty() && self.may_refer() {
            let index = self.amf3_strings.len() as u32;
            self.amf3_strings.insert(text.to_owned(), index);
        }
        Ok(())
    }

    fn amf3_length(&mut self, length: usize) -> Result<(), EncodeError> {
        if length > MAX_LENGTH {
            return Err(EncodeError::TooLong("AMF3 text, bytes or array"));
        }
        u29::put((length as u32) << 1 | 1, &mut self.out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_can_be_written_is_written() {
        // 28 bits beside one flag, 25 beside four.
        let mut encoder = Encoder::new();
        assert_eq!(encoder.amf3_length((1 << 28) - 1), Ok(()));
        assert_eq!(encoder.finish(), [0xff; 4]);
        assert!(matches!(Encoder::new().amf3_length(1 << 28), Err(EncodeError::TooLong(_))));
        assert_eq!(sealed_count((1 << 25) - 1), Ok((1 << 25) - 1));
        assert!(matches!(sealed_count(1 << 25), Err(EncodeError::TooLong(_))));
    }
}

//! Writes AMF0 (AMF0 §2).

use super::marker;
use crate::amf::encoder::Encoder;
use crate::amf::error::EncodeError;
use crate::amf::value::{EcmaArray, Object, Value};

impl Encoder {
    pub(in crate::amf) fn amf0_value(&mut self, value: &Value) -> Result<(), EncodeError> {
        match value {
            Value::Undefined => self.out.push(marker::UNDEFINED),
            Value::Null => self.out.push(marker::NULL),
            Value::Boolean(boolean) => self.out.extend_from_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
            Value::Integer(number) => self.amf0_number(f64::from(*number)),
            Value::Number(number) => self.amf0_number(*number),
            Value::String(text) if text.len() <= usize::from(u16::MAX) => {
                self.out.push(marker::STRING);
                self.amf0_text(text)?;
            }
            Value::String(text) => self.amf0_long_text(marker::LONG_STRING, text)?,
            Value::XmlDocument(text) => self.amf0_long_text(marker::XML_DOCUMENT, text)?,
            Value::Date { milliseconds, time_zone } => {
                self.out.push(marker::DATE);
                self.out.extend_from_slice(&milliseconds.to_be_bytes());
                self.out.extend_from_slice(&time_zone.to_be_bytes());
            }
            Value::Object(object) if object.dynamic && object.sealed == 0 => {
                self.nested(|encoder| encoder.amf0_object(object))?;
            }
            Value::Array(items) => self.nested(|encoder| {
                encoder.out.push(marker::STRICT_ARRAY);
                encoder.amf0_count(items.len())?;
                items.iter().try_for_each(|item| encoder.amf0_value(item))
            })?,
            Value::EcmaArray(array) => self.nested(|encoder| encoder.amf0_ecma_array(array))?,
            Value::Object(_)
            | Value::Xml(_)
            | Value::ByteArray(_)
            | Value::Vector(_)
            | Value::Dictionary { .. }
            | Value::Externalized { .. } => self.embedded_amf3(value)?,
        }
        Ok(())
    }

    fn amf0_object(&mut self, object: &Object) -> Result<(), EncodeError> {
        if object.class.is_empty() {
            self.out.push(marker::OBJECT);
        } else {
            self.out.push(marker::TYPED_OBJECT);
            self.amf0_text(&object.class)?;
        }
        self.amf0_properties(&object.properties)?;
        self.amf0_object_end();
        Ok(())
    }

    fn amf0_ecma_array(&mut self, array: &EcmaArray) -> Result<(), EncodeError> {
        self.out.push(marker::ECMA_ARRAY);
        self.amf0_count(array.named.len() + array.dense.len())?;
        self.amf0_properties(&array.named)?;
        for (index, item) in array.dense.iter().enumerate() {
            self.amf0_text(&index.to_string())?;
            self.amf0_value(item)?;
        }
        self.amf0_object_end();
        Ok(())
    }

    fn amf0_properties(&mut self, properties: &[(String, Value)]) -> Result<(), EncodeError> {
        for (name, value) in properties {
            self.amf0_text(name)?;
            self.amf0_value(value)?;
        }
        Ok(())
    }

    fn amf0_object_end(&mut self) {
        self.out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
    }

    fn amf0_number(&mut self, number: f64) {
        self.out.push(marker::NUMBER);
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn amf0_count(&mut self, count: usize) -> Result<(), EncodeError> {
        let count = u32::try_from(count).map_err(|_| EncodeError::TooLong("array"))?;
        self.out.extend_from_slice(&count.to_be_bytes());
        Ok(())
    }

    fn amf0_text(&mut self, text: &str) -> Result<(), EncodeError> {
        let length = u16::try_from(text.len()).map_err(|_| EncodeError::TooLong("name"))?;
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn amf0_long_text(&mut self, marker: u8, text: &str) -> Result<(), EncodeError> {
        let length = u32::try_from(text.len()).map_err(|_| EncodeError::TooLong("text"))?;
        self.out.push(marker);
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

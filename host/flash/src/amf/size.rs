//! The size of values in memory.

use std::convert::Infallible;

use super::value::{Value, Vector};

impl Value {
    /// About how many bytes of memory the value takes.
    pub fn size(&self) -> usize {
        let mut size = 0;
        let Ok(()) = self.walk(&mut |bytes| {
            size += std::mem::size_of::<Self>() + bytes;
            Ok::<(), Infallible>(())
        });
        size
    }

    /// Calls `each` for the value and for all values in it, with the number of bytes of text, names or numbers that each has besides the
    /// values in it.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn walk<E>(&self, each: &mut dyn FnMut(usize) -> Result<(), E>) -> Result<(), E> {
        let names = |named: &[(String, Self)]| named.iter().map(|(name, _)| name.len()).sum::<usize>();
        match self {
            Self::Undefined | Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Number(_) => each(0),
            Self::Date { .. } => each(0),
            Self::String(text) | Self::XmlDocument(text) | Self::Xml(text) => each(text.len()),
            Self::ByteArray(bytes) => each(bytes.len()),
            Self::Object(object) => {
                each(object.class.len() + names(&object.properties))?;
                object.properties.iter().try_for_each(|(_, value)| value.walk(each))
            }
            Self::Array(items) | Self::Vector(Vector::Object { items, .. }) => {
                each(0)?;
                items.iter().try_for_each(|item| item.walk(each))
            }
            Self::EcmaArray(array) => {
                each(names(&array.named))?;
                let named = array.named.iter().map(|(_, value)| value);
                array.dense.iter().chain(named).try_for_each(|item| item.walk(each))
            }
            Self::Vector(Vector::Int { items, .. }) => each(items.len() * 4),
            Self::Vector(Vector::Uint { items, .. }) => each(items.len() * 4),
            Self::Vector(Vector::Double { items, .. }) => each(items.len() * 8),
            Self::Dictionary { entries, .. } => {
                each(0)?;
                entries.iter().flat_map(|(key, value)| [key, value]).try_for_each(|item| item.walk(each))
            }
            Self::Externalized { class, body } => {
                each(class.len())?;
                body.walk(each)
            }
        }
    }
}

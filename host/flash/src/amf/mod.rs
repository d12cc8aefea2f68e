//! Action Message Format, versions 0 and 3: the values in RTMP command and data messages (RFC 7425 §5.3.3).
//!
//! ```
//! use introd_flash::amf::{Decoder, Encoder, AmfLimits, Value};
//!
//! let mut encoder = Encoder::new();
//! encoder.amf0(&Value::from("connect"))?;
//! encoder.amf0(&Value::from(1.0))?;
//! let bytes = encoder.finish();
//!
//! let mut decoder = Decoder::new(&bytes, AmfLimits::default());
//! assert_eq!(decoder.amf0()?, Value::from("connect"));
//! assert_eq!(decoder.amf0()?, Value::from(1.0));
//! assert!(decoder.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A decoded value is a tree. Both formats also have references to earlier objects. A reference is resolved by reading the earlier bytes
//! again, so that each copy is charged to the [`AmfLimits`] and a short message cannot become a large value. A reference from an object to
//! itself, or to an object that contains it, is an error. In text that is not UTF-8 (ActionScript strings may have lone
//! surrogates), U+FFFD replaces the bad bytes.

mod amf0;
mod amf3;
mod decoder;
mod encoder;
mod error;
mod input;
mod limits;
mod size;
#[cfg(test)]
mod tests;
mod value;

pub use decoder::Decoder;
pub use encoder::{Encoder, MAX_ENCODED_DEPTH};
pub use error::{DecodeError, EncodeError};
pub use limits::AmfLimits;
pub use value::{EcmaArray, Object, Value, Vector};

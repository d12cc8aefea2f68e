//! Action Message Format, versions 0 and 3: the values in RTMP command and data messages (RFC 7425 §5.3.3).
//!
//! ```
//! use introd::flash::amf::{Decoder, Encoder, Limits, Value};
//!
//! let mut encoder = Encoder::new();
//! encoder.amf0(&Value::from("connect"))?;
//! encoder.amf0(&Value::from(1.0))?;
//! let bytes = encoder.finish();
//!
//! let mut decoder = Decoder::new(&bytes, Limits::default());
//! assert_eq!(decoder.amf0()?, Value::from("connect"));
//! assert_eq!(decoder.amf0()?, Value::from(1.0));
//! assert!(decoder.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is decoded is a tree. Both formats can also say "the same object as that earlier one"; such a reference is resolved
//! by reading the earlier bytes again, so that each copy is charged to the [`Limits`] like anything else and a short message
//! cannot blow up into a large value. A reference from an object to itself or to an object around it has no tree and is an
//! error. Text that is not UTF-8 (ActionScript strings may hold lone surrogates) is kept with U+FFFD in the bad places.

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
pub use limits::Limits;
pub use value::{EcmaArray, Object, Value, Vector};

//! The codec with its own output, with hostile input, and with an independent implementation.

mod hostile;
mod known;
mod oracle;
mod references;
mod round_trip;
mod sizes;
mod values;

use super::{AmfLimits, DecodeError, Decoder, EncodeError, Encoder, Value};

fn amf0(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.amf0(value).unwrap();
    encoder.finish()
}

fn amf3(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.amf3(value).unwrap();
    encoder.finish()
}

/// Decodes one value that must take all bytes.
fn decode(version: u8, bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut decoder = Decoder::new(bytes, AmfLimits::default());
    let value = if version == 0 { decoder.amf0()? } else { decoder.amf3()? };
    assert!(decoder.is_empty(), "bytes left over");
    Ok(value)
}

//! Variable length 29-bit integers (AMF3 §1.3.1): up to three bytes of seven bits, whose high bit says that another byte follows, and
//! a fourth byte of eight bits.

use crate::amf::error::DecodeError;
use crate::amf::input::Input;

/// The largest unsigned value.
pub(super) const MAX: u32 = (1 << 29) - 1;

/// The range of [`Value::Integer`](crate::amf::Value::Integer) that fits.
pub(super) const SIGNED: std::ops::RangeInclusive<i32> = -(1 << 28)..=(1 << 28) - 1;

pub(super) fn take(input: &mut Input<'_>) -> Result<u32, DecodeError> {
    let mut value = 0;
    for _ in 0..3 {
        let byte = input.u8()?;
        value = value << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Ok(value << 8 | u32::from(input.u8()?))
}

/// The value, read as a two's complement number of 29 bits.
pub(super) fn signed(value: u32) -> i32 {
    (value << 3) as i32 >> 3
}

/// Appends the low 29 bits of `value`.
pub(super) fn put(value: u32, out: &mut Vec<u8>) {
    let value = value & MAX;
    let seven = |shift: u32| (value >> shift) as u8 & 0x7f;
    match value {
        0..0x80 => out.push(seven(0)),
        0x80..0x4000 => out.extend_from_slice(&[0x80 | seven(7), seven(0)]),
        0x4000..0x20_0000 => out.extend_from_slice(&[0x80 | seven(14), 0x80 | seven(7), seven(0)]),
        _ => out.extend_from_slice(&[0x80 | seven(22), 0x80 | seven(15), 0x80 | seven(8), value as u8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::AmfLimits;

    #[test]
    fn lengths_change_where_the_specification_says() {
        for (value, length) in
            [(0, 1), (0x7f, 1), (0x80, 2), (0x3fff, 2), (0x4000, 3), (0x1f_ffff, 3), (0x20_0000, 4), (MAX, 4)]
        {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out.len(), length, "{value:#x}");
            assert_eq!(take(&mut Input::new(&out, AmfLimits::default())), Ok(value));
            out.pop();
            assert!(take(&mut Input::new(&out, AmfLimits::default())).is_err());
        }
    }

    #[test]
    fn signs() {
        for value in [0, 1, -1, *SIGNED.start(), *SIGNED.end()] {
            let mut out = Vec::new();
            put(value as u32, &mut out);
            assert_eq!(take(&mut Input::new(&out, AmfLimits::default())).map(signed), Ok(value));
        }
    }
}

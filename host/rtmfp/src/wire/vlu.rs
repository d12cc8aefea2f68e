//! Variable length unsigned integers (RFC 7016 §2.1.2): seven bits a byte, most significant first, the high bit of each byte
//! saying that another follows.

use super::malformed::Malformed;
use super::take;

/// The most bytes that [`put`] writes for one number.
pub const MAX_LEN: usize = 10;

/// Takes one number from the front of `input`.
///
/// Any number of leading zero digits is accepted, as the RFC's definition does; a value over 64 bits is malformed.
pub fn take(input: &mut &[u8]) -> Result<u64, Malformed> {
    // Most numbers on the wire are below 128.
    if let [byte @ 0..=0x7f, rest @ ..] = *input {
        *input = rest;
        return Ok(u64::from(*byte));
    }
    let mut value: u64 = 0;
    for (index, byte) in input.iter().enumerate() {
        if value >> 57 != 0 {
            return Err(Malformed("VLU: over 64 bits"));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            *input = &input[index + 1..];
            return Ok(value);
        }
    }
    Err(Malformed("VLU: truncated"))
}

/// Takes a number that counts bytes still in `input`, and those bytes.
pub fn take_prefixed<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = take(input)?;
    let length = usize::try_from(length).map_err(|_| Malformed("length: beyond any packet"))?;
    take::bytes(input, length)
}

/// Appends `value` in the fewest bytes.
pub fn put(value: u64, out: &mut Vec<u8>) {
    let mut digit = len(value);
    while digit > 1 {
        digit -= 1;
        out.push(0x80 | (value >> (7 * digit)) as u8 & 0x7f);
    }
    out.push(value as u8 & 0x7f);
}

/// Appends the length of `bytes`, then `bytes`.
pub fn put_prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// How many bytes [`put`] writes for `value`: 1 to [`MAX_LEN`].
pub fn len(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).div_ceil(7).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_encodings() {
        for (value, bytes) in [(0, &[0u8][..]), (127, &[0x7f]), (128, &[0x81, 0]), (65407, &[0x83, 0xfe, 0x7f])] {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(take(&mut &out[..]), Ok(value));
        }
    }

    #[test]
    fn leading_zero_digits_are_read_and_excess_bits_are_not() {
        let mut padded = [vec![0x80u8; 40], vec![5]].concat();
        assert_eq!(take(&mut &padded[..]), Ok(5));
        padded = vec![0xff; 10];
        padded.push(0x7f);
        assert!(take(&mut &padded[..]).is_err());
        // 2^64 - 1 and 2^64.
        let largest = [&[0x81][..], &[0xff; 8], &[0x7f]].concat();
        assert_eq!(take(&mut &largest[..]), Ok(u64::MAX));
        assert!(take(&mut &[&[0x82][..], &[0x80; 8], &[0]].concat()[..]).is_err());
        assert!(take(&mut &[0x81u8][..]).is_err());
        assert!(take(&mut &[][..]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(value: u64, shift in 0u32..64, tail: Vec<u8>) {
            let value = value >> shift;
            let mut out = Vec::new();
            put(value, &mut out);
            prop_assert_eq!(out.len(), len(value));
            out.extend_from_slice(&tail);
            let mut input = &out[..];
            prop_assert_eq!(take(&mut input), Ok(value));
            prop_assert_eq!(input, &tail[..]);
        }
    }
}

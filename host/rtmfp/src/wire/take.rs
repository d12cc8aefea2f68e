//! Taking fixed-size pieces from the front of a slice (RFC 7016 §2.1.1).

use super::malformed::Malformed;

/// The next `count` bytes.
pub fn bytes<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    if input.len() < count {
        return Err(Malformed("byte string: truncated"));
    }
    let (head, rest) = input.split_at(count);
    *input = rest;
    Ok(head)
}

/// The next `N` bytes, copied.
pub fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or(Malformed("fixed-size field: truncated"))?;
    *input = rest;
    Ok(*head)
}

/// One byte.
pub fn u8(input: &mut &[u8]) -> Result<u8, Malformed> {
    array::<1>(input).map(|[byte]| byte)
}

/// A big-endian 16-bit integer.
pub fn u16(input: &mut &[u8]) -> Result<u16, Malformed> {
    array(input).map(u16::from_be_bytes)
}

/// A big-endian 32-bit integer.
pub fn u32(input: &mut &[u8]) -> Result<u32, Malformed> {
    array(input).map(u32::from_be_bytes)
}

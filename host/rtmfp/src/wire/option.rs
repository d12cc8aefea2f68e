//! Options, markers and option lists (RFC 7016 §2.1.3, §2.1.4).

use super::malformed::Malformed;
use super::vlu;

/// One element of a sequence of options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// An empty option: it ends a list, or splits a certificate.
    Marker,
    /// A type and its value.
    Option {
        /// The type code, whose meaning depends on where the option stands.
        kind: u64,
        /// The value, without the type.
        value: &'a [u8],
    },
}

/// Takes the next element from the front of `input`.
pub fn take<'a>(input: &mut &'a [u8]) -> Result<Element<'a>, Malformed> {
    let mut payload = vlu::take_prefixed(input)?;
    if payload.is_empty() {
        return Ok(Element::Marker);
    }
    let kind = vlu::take(&mut payload)?;
    Ok(Element::Option { kind, value: payload })
}

/// Appends an option.
pub fn put(kind: u64, value: &[u8], out: &mut Vec<u8>) {
    vlu::put((vlu::len(kind) + value.len()) as u64, out);
    vlu::put(kind, out);
    out.extend_from_slice(value);
}

/// Appends a marker.
pub fn put_marker(out: &mut Vec<u8>) {
    out.push(0);
}

/// Iterates over the elements of a whole slice, markers included; ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct Elements<'a>(&'a [u8]);

/// The elements of `bytes`.
pub fn elements(bytes: &[u8]) -> Elements<'_> {
    Elements(bytes)
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let element = take(&mut self.0);
        if element.is_err() {
            self.0 = &[];
        }
        Some(element)
    }
}

/// Takes an option list (§2.1.4) from the front of `input`: the bytes of its options, without the marker that ends it.
pub fn take_list<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let start = *input;
    loop {
        let before = input.len();
        if take(input)? == Element::Marker {
            return Ok(&start[..start.len() - before]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_at_its_marker() {
        let mut bytes = Vec::new();
        put(0x0a, &[1], &mut bytes);
        put(0x2000, b"xy", &mut bytes);
        let list = bytes.clone();
        put_marker(&mut bytes);
        bytes.push(0x55);
        let mut input = &bytes[..];
        assert_eq!(take_list(&mut input), Ok(&list[..]));
        assert_eq!(input, [0x55]);
        let read: Result<Vec<_>, _> = elements(&list).collect();
        assert_eq!(
            read.unwrap(),
            [Element::Option { kind: 0x0a, value: &[1] }, Element::Option { kind: 0x2000, value: b"xy" }]
        );
    }

    #[test]
    fn truncations_are_malformed() {
        let mut bytes = Vec::new();
        put(7, b"value", &mut bytes);
        put_marker(&mut bytes);
        for end in 0..bytes.len() {
            assert!(take_list(&mut &bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(elements(&[3, 1]).count(), 1, "iteration ends at the first error");
    }
}

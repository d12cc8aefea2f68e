//! Files as text, whatever they are encoded in. Old files of Adobe's servers are in ISO-8859-1 or in code pages of Windows, and say so in
//! their XML declaration.

use encoding_rs::{Encoding, UTF_8};

/// An XML declaration is at the very beginning of a file, and no longer than this in bytes.
const MAX_DECLARATION: usize = 256;

/// Whether a name of an encoding is known.
pub(super) fn is_known(name: &str) -> bool {
    Encoding::for_label(name.as_bytes()).is_some()
}

/// The text of a file: by its byte order mark, else as UTF-8, else in the encoding that its XML declaration names.
///
/// # Errors
/// If it is none of these, in words.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, String> {
    if let Some((encoding, mark)) = Encoding::for_bom(&bytes) {
        return decode(encoding, bytes.get(mark..).unwrap_or_default());
    }
    let bytes = match String::from_utf8(bytes) {
        // Also if the declaration names another: it names that of a copy then.
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    match declared(&bytes).filter(|encoding| *encoding != UTF_8 && encoding.is_ascii_compatible()) {
        Some(encoding) => decode(encoding, &bytes),
        None => Err(not_utf_8(&bytes)),
    }
}

fn decode(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| match encoding == UTF_8 {
        true => not_utf_8(bytes),
        false => format!("the file says that it is in {}, and is not", encoding.name()),
    })
}

fn not_utf_8(bytes: &[u8]) -> String {
    let good = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    let line = bytes.iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
    let is_xml = bytes.trim_ascii_start().starts_with(b"<");
    let hint = match is_xml {
        true => {
            "; save it in UTF-8, or name its encoding in its first line: <?xml version=\"1.0\" encoding=\"windows-1252\"?>"
        }
        false => "; save it in UTF-8",
    };
    format!("the file is not UTF-8 in line {line}{hint}")
}

/// The encoding that the XML declaration names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes.get(..MAX_DECLARATION.min(bytes.len()))?;
    let declaration = start.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(declaration.get(..end)?).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (label, _) = value.get(1..)?.split_once(quote)?;
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_its_encoding() {
        let cases: [(&[u8], &str); 8] = [
            (b"<a>\xc3\xa9</a>", "<a>\u{e9}</a>"),
            (b"\xef\xbb\xbf<a/>", "<a/>"),
            (
                b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>",
                "<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e9}</a>",
            ),
            (
                b"<?xml version=\"1.0\" encoding = \"windows-1251\"?><a>\xcf</a>",
                "<?xml version=\"1.0\" encoding = \"windows-1251\"?><a>\u{41f}</a>",
            ),
            (
                b"<?xml version='1.0' encoding='Shift_JIS'?><a>\x82\xa0</a>",
                "<?xml version='1.0' encoding='Shift_JIS'?><a>\u{3042}</a>",
            ),
            // UTF-8 all the same.
            (
                b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xc3\xa9</a>",
                "<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e9}</a>",
            ),
            (b"<?xml version='1.0' encoding='utf-16'?><a/>", "<?xml version='1.0' encoding='utf-16'?><a/>"),
            (b"\xff\xfe<\0a\0/\0>\0", "<a/>"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes.to_vec()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_file_in_no_known_encoding_is_refused_with_a_hint() {
        let hint = "; save it in UTF-8, or name its encoding in its first line: <?xml version=\"1.0\" encoding=\"windows-1252\"?>";
        for (bytes, expected) in [
            (&b"<a>\n\xe9</a>"[..], format!("the file is not UTF-8 in line 2{hint}")),
            (b"<?xml version='1.0' encoding='UTF-8'?><a>\xe9</a>", format!("the file is not UTF-8 in line 1{hint}")),
            (b"<?xml version='1.0' encoding='martian'?><a>\xe9</a>", format!("the file is not UTF-8 in line 1{hint}")),
            (b"<?xml version='1.0' encoding='utf-16'?><a>\xe9</a>", format!("the file is not UTF-8 in line 1{hint}")),
            (b"\xef\xbb\xbf<a>\xe9</a>", format!("the file is not UTF-8 in line 1{hint}")),
            (
                b"<?xml version='1.0' encoding='Shift_JIS'?><a>\x82</a>",
                "the file says that it is in Shift_JIS, and is not".to_owned(),
            ),
            (b"A = \xe9", "the file is not UTF-8 in line 1; save it in UTF-8".to_owned()),
        ] {
            assert_eq!(text(bytes.to_vec()), Err(expected));
        }
    }
}

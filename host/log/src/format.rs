//! The form of the log's lines.

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: the time, the level, the place, the message, and `name=value` for each field.
    #[default]
    Text,
    /// An object of JSON for each record: `time`, `level`, `target`, `message`, and the fields under their names.
    Json,
}

/// Appends a text in quotes, as JSON has it.
pub(super) fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // `Shown` has replaced control characters already; whatever is left must not end a line.
            _ if character.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(character).min(0xffff))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_as_json_has_it() {
        let mut out = String::new();
        push_json(&mut out, "a\"b\\c\n\u{7f}\u{85}ü");
        assert_eq!(out, r#""a\"b\\c\u000a\u007f\u0085ü""#);
    }
}

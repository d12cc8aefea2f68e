//! Values as messages show them: what may be a secret in the wrong element is not repeated.

/// What a value must be, and what it is instead unless that may be a secret.
pub(crate) fn must_be(description: &str, text: &str) -> String {
    let instead = if is_harmless(text) { format!(", not `{text}`") } else { String::new() };
    format!("must be {description}{instead}")
}

/// A value, as messages show it: `***` for what may be a secret. The message names the place of the value beside it.
pub(crate) fn shown_value(text: &str) -> &str {
    if is_harmless(text) { text } else { "***" }
}

/// Whether a text is hardly a secret: a number, an address, a list of these, a host's name, or a short word.
fn is_harmless(text: &str) -> bool {
    const MAX_LENGTH: usize = 40;
    /// Longer ones are passwords in bad taste.
    const MAX_WORD: usize = 5;
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_word = letters == text.len() && letters <= MAX_WORD;
    let is_of = |others: &str| text.chars().all(|c| c.is_ascii_digit() || others.contains(c));
    let is_address = text.contains(':') && is_of("abcdefABCDEF.:/%[],- ") && letters <= text.len() / 2;
    // With the letters of a unit.
    let is_number = letters <= 2 && is_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:/%[],+- ");
    let host = text.split_once('/').map_or(text, |(host, _)| host);
    let is_host = host.rsplit_once('.').is_some_and(|(front, last)| {
        let is_label = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic()) && front.split('.').all(is_label)
    });
    text.len() <= MAX_LENGTH && (is_word || is_address || is_number || is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for secret in [
            "hunter2secret",
            "correct horse",
            "s3cr3t",
            "password",
            "a:b@c",
            "redis://:pass@host.net",
            "../etc",
            "",
            "x\ny",
        ] {
            assert_eq!(shown_value(secret).replace("***", ""), "", "{secret}");
        }
        for value in
            ["17", "-1", "1.5 s", "100%", "192.0.2.1:1935", "[2001:db8::1]:19350", "example.net/8", "yes", "1935,19350"]
        {
            assert_eq!(shown_value(value), value);
        }
    }

    #[test]
    fn how_many_letters_a_value_may_have_to_be_shown() {
        let forty = "1".repeat(40);
        for value in ["abcde", "10kB", "kB", "a:12", "abc:12", "a.bc", "a-b.c1.de", "1.2.3.4/24", "a.bc/x", &forty] {
            assert_eq!(shown_value(value), value);
        }
        let too_long = "1".repeat(41);
        for value in [
            "1:2@34", "abc123", "abcdef", "10kBs", "abcd:12", "g:12xyz", "a_b.cd", "abc.d", "abc.d1", "abc.1de",
            &too_long,
        ] {
            assert_eq!(shown_value(value), "***", "{value}");
        }
        assert_eq!(must_be("a number", "yes"), "must be a number, not `yes`");
        assert_eq!(must_be("a number", "password"), "must be a number");
    }
}

//! Reads passwords: from a terminal that does not show them, or as a line of a file.

use std::io::{BufRead, Read as _};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The longest password in bytes.
pub(super) const MAX_LENGTH: usize = 1024;

/// Asks at the terminal that is the standard input, once for each prompt.
pub(super) fn ask<const N: usize>(prompts: [&str; N]) -> anyhow::Result<[String; N]> {
    let _hidden = Hidden::new()?;
    let mut answers = prompts.map(|_| String::new());
    for (prompt, answer) in prompts.into_iter().zip(&mut answers) {
        introd_log::complain(prompt);
        *answer = read_line(&mut std::io::stdin().lock())?;
        introd_log::complain("\n");
    }
    Ok(answers)
}

/// A line without its end.
pub(super) fn read_line(from: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    // A file without lines must not fill the memory.
    from.take(MAX_LENGTH as u64 + 3).read_line(&mut line).context("the password cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let before = tcgetattr(std::io::stdin()).context("the terminal cannot hide the password")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)
            .context("the terminal cannot hide the password")?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_without_its_end_and_not_for_ever() {
        let read = |text: &str| read_line(&mut text.as_bytes()).unwrap();
        assert_eq!([read("a b \r\nc"), read("x"), read(""), read("\n")], ["a b ", "x", "", ""]);
        assert_eq!(read(&"x".repeat(1 << 20)).len(), MAX_LENGTH + 3);
        assert!(read_line(&mut &[0xff, b'\n'][..]).is_err());
    }
}

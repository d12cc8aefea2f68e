//! `introd passwd`: makes the form in which a password stands in Users.xml.

use std::io::{BufRead, IsTerminal as _, Read as _};

use anyhow::Context as _;
use clap::Args;
use introd_config::Password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Each login costs about a third of a second of one core, and each guess of who steals the file too.
const ITERATIONS: u32 = 600_000;
/// The longest password in bytes.
const MAX_LENGTH: usize = 1024;

#[derive(Args)]
pub(super) struct PasswdArgs {}

/// Asks for a password twice if a person is there, else reads a line of the standard input, and prints the element for Users.xml.
pub(super) fn passwd(_args: &PasswdArgs) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let hidden = Hidden::new()?;
        let first = ask("Password: ", &mut stdin.lock())?;
        let second = ask("The same again: ", &mut stdin.lock())?;
        drop(hidden);
        anyhow::ensure!(first == second, "the two are not the same");
        first
    } else {
        read_line(&mut stdin.lock())?
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).context("the system has no randomness to give")?;
    introd_log::say(&element(&password, &salt)?);
    Ok(())
}

fn element(password: &str, salt: &[u8]) -> anyhow::Result<String> {
    anyhow::ensure!(!password.is_empty(), "an empty password is none");
    anyhow::ensure!(password.len() <= MAX_LENGTH, "a password has at most {MAX_LENGTH} bytes");
    let hashed = Password::hashed(password, salt, ITERATIONS);
    Ok(format!("<Password encrypt=\"pbkdf2-sha256\">{hashed}</Password>\n"))
}

fn ask(prompt: &str, from: &mut impl BufRead) -> anyhow::Result<String> {
    introd_log::complain(prompt);
    let line = read_line(from)?;
    introd_log::complain("\n");
    Ok(line)
}

/// A line without its end.
fn read_line(from: &mut impl BufRead) -> anyhow::Result<String> {
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

    #[test]
    fn the_element_holds_a_hash_of_the_password_or_there_is_none() {
        let text = element("s3cret", &[7; 16]).unwrap();
        let hash = text.strip_prefix("<Password encrypt=\"pbkdf2-sha256\">600000$").unwrap();
        let right = Password::hashed("s3cret", &[7; 16], ITERATIONS).to_string();
        assert_eq!(hash.strip_suffix("</Password>\n"), right.strip_prefix("600000$"));
        assert!(element("", &[7; 16]).is_err());
        assert!(element(&"x".repeat(MAX_LENGTH + 1), &[7; 16]).is_err());
    }
}

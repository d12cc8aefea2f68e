//! `introd passwd`: makes the form in which a password stands in Users.xml.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Args;
use introd_config::Password;

use super::secret::{self, MAX_LENGTH};

/// Each login costs about a third of a second of one core, and each guess of who steals the file too.
const ITERATIONS: u32 = 600_000;

#[derive(Args)]
pub(super) struct PasswdArgs {}

/// Asks for a password twice if a person is there, else reads a line of the standard input, and prints the element for Users.xml.
pub(super) fn passwd(_args: &PasswdArgs) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let [first, second] = secret::ask(["Password: ", "The same again: "])?;
        anyhow::ensure!(first == second, "the two are not the same");
        first
    } else {
        secret::read_line(&mut stdin.lock())?
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

#[cfg(test)]
mod tests {
    use super::*;

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

//! The login of an administrator.

use std::io::{BufReader, IsTerminal as _};
use std::path::Path;

use anyhow::Context as _;

use crate::cli::secret;

/// The environment variable with the password: an argument could be read by every user of the machine.
const VARIABLE: &str = "INTROD_PASSWORD";

/// The value of the header `Authorization` (RFC 7617) for an administrator.
pub(super) fn authorization(user: &str, file: Option<&Path>) -> anyhow::Result<String> {
    anyhow::ensure!(!user.contains(':'), "the name of an administrator has no colon");
    let password = password(user, file)?;
    anyhow::ensure!(!password.is_empty(), "an empty password is none");
    Ok(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
}

fn password(user: &str, file: Option<&Path>) -> anyhow::Result<String> {
    if let Some(path) = file {
        let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        return secret::read_line(&mut BufReader::new(file));
    }
    if let Some(password) = std::env::var_os(VARIABLE) {
        return password.into_string().map_err(|_| anyhow::anyhow!("{VARIABLE} is not UTF-8"));
    }
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "there is no password: set {VARIABLE}, or give --password-file FILE"
    );
    let prompt = format!("Password of {}: ", introd_log::text::shown(user));
    let [password] = secret::ask([prompt.as_str()])?;
    Ok(password)
}

/// Base64 as RFC 4648 §4 has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_values_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn the_password_is_the_first_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "open sesame\r\nnot this\n").unwrap();
        let header = authorization("Aladdin", Some(&path)).unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(authorization("a:b", Some(&path)).is_err());
        std::fs::write(&path, "\n").unwrap();
        assert!(authorization("Aladdin", Some(&path)).is_err(), "an empty one");
        std::fs::remove_file(&path).unwrap();
        let error = authorization("Aladdin", Some(&path)).unwrap_err();
        assert!(format!("{error:#}").contains("password"), "{error:#}");
    }
}

//! JSON Web Tokens (RFC 7519): `crypto.verifyJwt`.
//!
//! The crate `jsonwebtoken` takes a token apart and checks issuer and audience. Which algorithms count is never left to the token: the
//! caller names them, or they follow from the key (`key.rs`). Signatures are checked by `ring` (`verifiers.rs`), and expiry here, by
//! the clock of the instance.

mod key;
mod options;
mod verifiers;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error as TokenError, ErrorKind};
use jsonwebtoken::{Validation, decode_header};
use mlua::{Lua, Result, Table, Value};
use serde::de::IgnoredAny;

use self::options::Options;
use crate::engine::vm_context::VmContext;
use crate::libraries::json;

/// The longest token, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// The claims of a token that is valid at this time (seconds since 1970), or why it is not.
///
/// # Errors
/// If the options are wrong, which is the script's own fault.
pub(super) fn verify(
    lua: &Lua,
    context: &VmContext,
    token: &[u8],
    options: &Table,
    now: f64,
) -> Result<std::result::Result<Table, String>> {
    let options = Options::read(lua, context, options)?;
    if token.len() > MAX_TOKEN {
        return Ok(Err(format!("the token is longer than {MAX_TOKEN} bytes")));
    }
    if let Err(reason) = signed(token, &options)? {
        return Ok(Err(reason));
    }
    let payload = token.split(|byte| *byte == b'.').nth(1).unwrap_or_default();
    let Ok(payload) = BASE64_URL_SAFE_NO_PAD.decode(payload) else { return Ok(Err(MALFORMED.to_owned())) };
    match json::decode(lua, context, &payload) {
        // An array has a metatable.
        Ok(Value::Table(claims)) if claims.metatable().is_none() => {
            Ok(timely(&claims, &options, now)?.map(|()| claims))
        }
        _ => {
            // What has gone wrong may be that the handler's time is over.
            context.on_time()?;
            Ok(Err("the claims of the token are no JSON object, or a too large one".to_owned()))
        }
    }
}

const MALFORMED: &str = "this is not a JSON Web Token: it has three parts in base64url, with a dot between them";

/// Checks signature, issuer and audience.
fn signed(token: &[u8], options: &Options) -> Result<std::result::Result<(), String>> {
    verifiers::install();
    let header = match decode_header(token) {
        Ok(header) => header,
        Err(error) => return Ok(Err(reason(&error, options))),
    };
    let (key, algorithms) = match options.key.select(header.kid.as_deref(), options.algorithms.as_deref())? {
        Ok(selected) => selected,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut validation = Validation::new(header.alg);
    validation.algorithms = algorithms;
    // The system's clock is not the one that counts here.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    validation.required_spec_claims.clear();
    if let Some(issuers) = &options.issuer {
        validation.set_issuer(issuers);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(audience) = &options.audience {
        validation.set_audience(audience);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    match jsonwebtoken::decode::<IgnoredAny>(token, &key, &validation) {
        Ok(_) => Ok(Ok(())),
        Err(error) if key::is_wrong(&error) => {
            Err(mlua::Error::runtime(format!("the key of verifyJwt is wrong: {error}")))
        }
        Err(error) => Ok(Err(reason(&error, options))),
    }
}

/// Checks `exp` and `nbf`.
fn timely(claims: &Table, options: &Options, now: f64) -> Result<std::result::Result<(), String>> {
    let time = |name: &str| -> Result<std::result::Result<Option<f64>, String>> {
        Ok(match claims.raw_get::<Value>(name)? {
            Value::Nil => Ok(None),
            Value::Integer(seconds) => Ok(Some(seconds as f64)),
            Value::Number(seconds) => Ok(Some(seconds)),
            _ => Err(format!("the claim {name} of the token is no number")),
        })
    };
    match time("exp")? {
        Err(reason) => return Ok(Err(reason)),
        Ok(Some(exp)) if now >= exp + options.leeway => return Ok(Err("the token has expired".to_owned())),
        Ok(None) if options.require_expiry => {
            let reason = "the token never expires, as it has no claim exp; with requireExpiry = false it is valid";
            return Ok(Err(reason.to_owned()));
        }
        Ok(_) => (),
    }
    match time("nbf")? {
        Err(reason) => Ok(Err(reason)),
        Ok(Some(nbf)) if now < nbf - options.leeway => Ok(Err("the token is not valid yet".to_owned())),
        Ok(_) => Ok(Ok(())),
    }
}

/// Why a token is refused, in words. The token comes from outside, and nothing of it is repeated.
fn reason(error: &TokenError, options: &Options) -> String {
    match error.kind() {
        ErrorKind::InvalidSignature => "the signature of the token is wrong".to_owned(),
        ErrorKind::InvalidAlgorithm => {
            "the token is signed by an algorithm that the caller or the key does not allow".to_owned()
        }
        ErrorKind::InvalidIssuer => "the token is of another issuer".to_owned(),
        ErrorKind::InvalidAudience if options.audience.is_none() => {
            "the token is for a certain audience: say with the option audience who you are".to_owned()
        }
        ErrorKind::InvalidAudience => "the token is for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no claim {claim}"),
        ErrorKind::InvalidClaimFormat(claim) => format!("the claim {claim} of the token has a wrong form"),
        // This is how an unknown algorithm shows, "none" among them.
        ErrorKind::Json(problem) if problem.to_string().contains("unknown variant") => {
            "the token is signed by an algorithm that is not known here, or not signed".to_owned()
        }
        _ => MALFORMED.to_owned(),
    }
}

#[cfg(test)]
mod tests;

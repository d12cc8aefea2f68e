//! Checks signatures of tokens by `ring`, for the crate `jsonwebtoken`, which leaves that to its users.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{error::Unspecified, hmac};

/// The shortest modulus that is accepted, in bytes: 2048 bits.
const MIN_MODULUS: usize = 256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // Only what turns keys into JSON Web Keys uses these.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has `jsonwebtoken` check signatures by this file.
pub(super) fn install() {
    if CryptoProvider::try_get_default().is_none() {
        // Another thread may have been faster: it has installed the same.
        let _ = PROVIDER.install_default();
    }
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn jsonwebtoken::crypto::JwtSigner>> {
    Err(Error::from(ErrorKind::UnsupportedAlgorithm))
}

/// Checks signatures of one algorithm by one key.
struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let modulus = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => without_zeros(n).len(),
        // It holds the modulus and little else.
        DecodingKeyKind::SecretOrDer(der) => der.len(),
    };
    if key.family() == AlgorithmFamily::Rsa && modulus < MIN_MODULUS {
        return Err(ErrorKind::InvalidRsaKey("it has less than 2048 bits".to_owned()).into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

/// A number without leading zeros, which some programs write and `ring` refuses.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        self.check(message, signature).map_err(|Unspecified| SignatureError::new())
    }
}

impl RingVerifier {
    fn check(&self, message: &[u8], signature: &[u8]) -> std::result::Result<(), Unspecified> {
        match self.algorithm {
            Algorithm::HS256 => self.check_code(hmac::HMAC_SHA256, message, signature),
            Algorithm::HS384 => self.check_code(hmac::HMAC_SHA384, message, signature),
            Algorithm::HS512 => self.check_code(hmac::HMAC_SHA512, message, signature),
            Algorithm::RS256 => self.check_rsa(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Algorithm::RS384 => self.check_rsa(&RSA_PKCS1_2048_8192_SHA384, message, signature),
            Algorithm::RS512 => self.check_rsa(&RSA_PKCS1_2048_8192_SHA512, message, signature),
            Algorithm::PS256 => self.check_rsa(&RSA_PSS_2048_8192_SHA256, message, signature),
            Algorithm::PS384 => self.check_rsa(&RSA_PSS_2048_8192_SHA384, message, signature),
            Algorithm::PS512 => self.check_rsa(&RSA_PSS_2048_8192_SHA512, message, signature),
            Algorithm::ES256 => self.check_plain(&ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::ES384 => self.check_plain(&ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::EdDSA => self.check_plain(&ED25519, message, signature),
            // What the crate may add later.
            _ => Err(Unspecified),
        }
    }

    fn bytes(&self) -> std::result::Result<&[u8], Unspecified> {
        self.key.try_get_as_bytes().map_err(|_| Unspecified)
    }

    fn check_code(&self, kind: hmac::Algorithm, message: &[u8], code: &[u8]) -> std::result::Result<(), Unspecified> {
        hmac::verify(&hmac::Key::new(kind, self.bytes()?), message, code)
    }

    fn check_plain(
        &self,
        kind: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> std::result::Result<(), Unspecified> {
        UnparsedPublicKey::new(kind, self.bytes()?).verify(message, signature)
    }

    fn check_rsa(
        &self,
        kind: &'static RsaParameters,
        message: &[u8],
        signature: &[u8],
    ) -> std::result::Result<(), Unspecified> {
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let key = RsaPublicKeyComponents { n: without_zeros(n), e: without_zeros(e) };
                key.verify(kind, message, signature)
            }
            DecodingKeyKind::SecretOrDer(der) => UnparsedPublicKey::new(kind, der).verify(message, signature),
        }
    }
}

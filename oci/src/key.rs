//! Keys of signatures: ECDSA on P-256, in PEM, as cosign and openssl write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::SignatureError;

/// Labels that cosign gives its encrypted keys, now and before version 2.
const COSIGN_LABELS: [&str; 2] = [
    "ENCRYPTED SIGSTORE PRIVATE KEY",
    "ENCRYPTED COSIGN PRIVATE KEY",
];
/// Memory that a key file may make scrypt use, in bytes. cosign's own parameters take 64 MiB.
const MOST_SCRYPT_MEMORY: u64 = 256 << 20;

/// The key that signs. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

/// The key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PrivateKey {
    /// Reads PKCS#8 PEM (`PRIVATE KEY`), or cosign's `ENCRYPTED SIGSTORE PRIVATE KEY` with its password, which may be
    /// empty.
    ///
    /// # Errors
    /// When it is neither, the password is wrong, or the key is on another curve.
    pub fn from_pem(pem: &str, password: Option<&SecretString>) -> Result<Self, SignatureError> {
        let der = match COSIGN_LABELS.iter().find_map(|label| body_of(pem, label)) {
            Some(body) => {
                let password = password.ok_or(SignatureError::PasswordNeeded)?;
                return key_from_der(&decrypt(&body, password)?);
            }
            None => body_of(pem, "PRIVATE KEY")
                .ok_or(SignatureError::NotAKey("PKCS#8 PEM of a private key"))?,
        };
        let der = STANDARD
            .decode(der)
            .map_err(|_| SignatureError::NotAKey("base64 in PEM"))?;
        key_from_der(&der)
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Base64 of the ASN.1 signature. The same input gives the same output (RFC 6979).
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let signature: DerSignature = self.0.sign(message);
        STANDARD.encode(signature.as_bytes())
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_pem())
    }
}

impl PublicKey {
    /// Reads `PUBLIC KEY` PEM.
    ///
    /// # Errors
    /// When it is not a P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        let key = VerifyingKey::from_public_key_pem(pem);
        key.map(Self)
            .map_err(|_| SignatureError::NotAKey("PEM of a P-256 public key"))
    }

    /// The key as `PUBLIC KEY` PEM.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// Whether `signature`, base64 of ASN.1, is by this key and of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(bytes) = STANDARD.decode(signature) else {
            return false;
        };
        DerSignature::from_bytes(&bytes)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

fn key_from_der(der: &[u8]) -> Result<PrivateKey, SignatureError> {
    SigningKey::from_pkcs8_der(der)
        .map(PrivateKey)
        .map_err(|_| SignatureError::NotAKey("a P-256 key in PKCS#8"))
}

/// The base64 between the lines of a PEM block, without white space.
fn body_of(pem: &str, label: &str) -> Option<String> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    Some(body.split_whitespace().collect())
}

#[derive(Deserialize)]
struct Envelope {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Deserialize)]
struct KdfParams {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens cosign's envelope: a key derived by scrypt, the cipher NaCl's secretbox.
fn decrypt(body: &str, password: &SecretString) -> Result<Vec<u8>, SignatureError> {
    let broken = || SignatureError::NotAKey("cosign's envelope of an encrypted key");
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| broken());
    let envelope: Envelope = serde_json::from_slice(&decode(body)?).map_err(|_| broken())?;
    if envelope.kdf.name != "scrypt" || envelope.cipher.name != "nacl/secretbox" {
        return Err(broken());
    }
    let mut key = Key::default();
    let params = scrypt_params(&envelope.kdf.params).ok_or_else(broken)?;
    let salt = decode(&envelope.kdf.salt)?;
    scrypt::scrypt(
        password.expose_secret().as_bytes(),
        &salt,
        &params,
        &mut key,
    )
    .map_err(|_| broken())?;
    let nonce: [u8; 24] = decode(&envelope.cipher.nonce)?
        .try_into()
        .map_err(|_| broken())?;
    let ciphertext = decode(&envelope.ciphertext)?;
    let opened = XSalsa20Poly1305::new(&key).decrypt(&Nonce::from(nonce), ciphertext.as_slice());
    opened.map_err(|_| SignatureError::WrongPassword)
}

fn scrypt_params(params: &KdfParams) -> Option<scrypt::Params> {
    let memory = params
        .n
        .checked_mul(u64::from(params.r))?
        .checked_mul(128)?;
    if !params.n.is_power_of_two() || memory > MOST_SCRYPT_MEMORY || params.p > 16 {
        return None;
    }
    let log_n = u8::try_from(params.n.trailing_zeros()).ok()?;
    scrypt::Params::new(log_n, params.r, params.p, 32).ok()
}

//! Ed25519 keys.

use std::fmt;

use ed25519::pkcs8::spki::der::pem::LineEnding;
use ed25519::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ipld_core::cid::multibase::{Base, encode};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::files::random;
use crate::secret::Secret;

/// The multicodec of an Ed25519 public key, as a varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

/// An Ed25519 private key: wiped from memory when dropped, printed as its DID.
#[derive(Clone)]
pub struct Ed25519Key(SigningKey);

/// An Ed25519 public key, printed as its `did:key`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ed25519Public(VerifyingKey);

impl Ed25519Key {
    /// A new key, from the operating system's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`].
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// assert_ne!(Ed25519Key::generate()?.did(), Ed25519Key::generate()?.did());
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    pub fn generate() -> Result<Self> {
        let seed = Zeroizing::new(random::<32>()?);
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Loads a key from its 32-byte seed, or from seed and public key in 64 bytes, which is how Go
    /// keeps one.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if it has another length, or the public key is not that of the seed.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::from_secret(&[7; 32].as_slice().into())?;
    /// assert!(key.did().starts_with("did:key:z6Mk"));
    /// assert!(Ed25519Key::from_secret(&"too short".into()).is_err());
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    pub fn from_secret(secret: &Secret) -> Result<Self> {
        let bytes = secret.expose();
        let (seed, public) = bytes.split_first_chunk::<32>().ok_or(WRONG_LENGTH)?;
        let key = Self(SigningKey::from_bytes(seed));
        match public.len() {
            0 => Ok(key),
            32 if public == key.0.verifying_key().as_bytes() => Ok(key),
            32 => Err(Error::InvalidKey {
                reason: "its second half is not the public key of its first",
            }),
            _ => Err(WRONG_LENGTH),
        }
    }

    /// The 32-byte seed.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::generate()?;
    /// let again = Ed25519Key::from_secret(&key.to_secret())?;
    /// assert_eq!(again.did(), key.did());
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        Secret::from(self.0.as_bytes().as_slice())
    }

    /// Loads a key from PEM: `BEGIN PRIVATE KEY`, PKCS#8, as OpenSSL and Go write it.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let pem = "-----BEGIN PRIVATE KEY-----\n\
    ///            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    ///            -----END PRIVATE KEY-----\n";
    /// assert_eq!(Ed25519Key::from_pem(&pem.into())?.to_pem()?.expose(), pem.as_bytes());
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    pub fn from_pem(pem: &Secret) -> Result<Self> {
        let text = std::str::from_utf8(pem.expose()).map_err(|_| NOT_PEM)?;
        // White space around it comes with copying.
        SigningKey::from_pkcs8_pem(text.trim())
            .map(Self)
            .map_err(|_| NOT_PEM)
    }

    /// The key as PEM: PKCS#8 version 1 (without the public key), which is what OpenSSL and Go
    /// write and read.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] should the encoder refuse, which it has no reason to.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let pem = Ed25519Key::generate()?.to_pem()?;
    /// assert!(pem.expose().starts_with(b"-----BEGIN PRIVATE KEY-----"));
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    pub fn to_pem(&self) -> Result<Secret> {
        let bytes = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| NOT_PEM)?;
        Ok(pem.as_str().into())
    }

    /// The signature of `message`.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::generate()?;
    /// assert!(key.public().verify(b"message", &key.sign(b"message")));
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The public key.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::generate()?;
    /// assert_eq!(key.public().did(), key.did());
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn public(&self) -> Ed25519Public {
        Ed25519Public(self.0.verifying_key())
    }

    /// The public key's DID: `did:key:z6Mk…`.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::from_secret(&[7; 32].as_slice().into())?;
    /// assert_eq!(key.did().len(), 56);
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn did(&self) -> String {
        self.public().did()
    }
}

const WRONG_LENGTH: Error = Error::InvalidKey {
    reason: "an Ed25519 key has 32 bytes, or 64 with its public key",
};
const NOT_PEM: Error = Error::InvalidKey {
    reason: "it is not the PEM of an Ed25519 private key (PKCS#8)",
};

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Key({}, [redacted])", self.did())
    }
}

impl Ed25519Public {
    /// A public key from its 32 bytes.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if they are no point on the curve.
    ///
    /// ```
    /// use storehouse_local::keystore::{Ed25519Key, Ed25519Public};
    ///
    /// let public = Ed25519Key::generate()?.public();
    /// assert_eq!(Ed25519Public::from_bytes(&public.to_bytes())?, public);
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        VerifyingKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| Error::InvalidKey {
                reason: "it is no point on the curve",
            })
    }

    /// The 32 bytes.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let public = Ed25519Key::generate()?.public();
    /// assert_eq!(public.to_bytes().len(), 32);
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether `signature` is this key's of `message`. Strict: weak keys and signatures in a second
    /// form are refused.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let key = Ed25519Key::generate()?;
    /// let signature = key.sign(b"message");
    /// assert!(!key.public().verify(b"another message", &signature));
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }

    /// The DID: `did:key:` and the base58btc of `ed 01` and the key.
    ///
    /// ```
    /// use storehouse_local::keystore::Ed25519Key;
    ///
    /// let public = Ed25519Key::from_secret(&[7; 32].as_slice().into())?.public();
    /// assert!(public.did().starts_with("did:key:z6Mk"));
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn did(&self) -> String {
        format!(
            "did:key:{}",
            encode(
                Base::Base58Btc,
                [ED25519_PUB.as_slice(), self.0.as_bytes()].concat()
            )
        )
    }
}

impl fmt::Debug for Ed25519Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.did())
    }
}

impl fmt::Display for Ed25519Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.did())
    }
}

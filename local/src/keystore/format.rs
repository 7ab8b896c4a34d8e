//! A key's file, byte by byte. `docs/local.md` shows it too and says why it is so.
//!
//! ```text
//! plain    "storehouse key 1\n" 00 key                                                  sha256
//! sealed   "storehouse key 1\n" 01 memory:u32 passes:u32 lanes:u32 salt:16 check:16 nonce:24 ciphertext tag:16  sha256
//! ```
//!
//! Numbers are little endian. `sha256` is over all before it: a file that does not have it is
//! damaged, whatever the passphrase. Of the 48 bytes that Argon2id derives from passphrase and
//! salt, 32 are the key of XChaCha20-Poly1305, and the other 16 are `check`: a whole file with
//! another check is sealed under another passphrase. All before the ciphertext, and the key's name,
//! are authenticated with it, so that a file cannot stand in for another.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::contract::MAX_KEY;
use super::name::KeyName;
use crate::error::{Error, Result};
use crate::files::random;
use crate::secret::Secret;

const MAGIC: &[u8; 17] = b"storehouse key 1\n";
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const COST: usize = 12;
const SALT: usize = 16;
const CHECK: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const SUM: usize = 32;
/// Where a sealed file's ciphertext begins.
const SEALED_HEAD: usize = MAGIC.len() + 1 + COST + SALT + CHECK + NONCE;

/// The largest file of a key, in bytes (inclusive).
pub(super) const MAX_FILE: usize = SEALED_HEAD + MAX_KEY + TAG + SUM;

/// What sealing a key, and each opening of it, costs: the parameters of Argon2id. They are stored
/// with each key.
///
/// The default is RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes): some 0.1 s. A file
/// that asks for more than 1 GiB, 64 passes or 64 lanes is refused as damaged before any memory is
/// taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealCost {
    /// Memory, in KiB: 8 for each lane to 1,048,576 (inclusive).
    pub memory: u32,
    /// Passes over it: 1 to 64 (inclusive).
    pub passes: u32,
    /// Lanes: 1 to 64 (inclusive).
    pub lanes: u32,
}

impl Default for SealCost {
    fn default() -> Self {
        Self {
            memory: 64 << 10,
            passes: 3,
            lanes: 4,
        }
    }
}

impl SealCost {
    const fn is_bounded(self) -> bool {
        1 <= self.lanes
            && self.lanes <= 64
            && 8 * self.lanes <= self.memory
            && self.memory <= 1 << 20
            && 1 <= self.passes
            && self.passes <= 64
    }

    /// # Errors
    /// [`Error::Invalid`] if a parameter is out of its bounds.
    pub(super) fn check(self) -> Result<()> {
        if self.is_bounded() {
            Ok(())
        } else {
            Err(Error::Invalid {
                reason: "the cost of sealing is out of its bounds",
            })
        }
    }

    fn to_bytes(self) -> [u8; COST] {
        let mut bytes = [0; COST];
        for (field, value) in bytes
            .chunks_exact_mut(4)
            .zip([self.memory, self.passes, self.lanes])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; COST]) -> Self {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            memory: field(0),
            passes: field(4),
            lanes: field(8),
        }
    }
}

/// What a passphrase and a salt give.
struct Derived(Zeroizing<[u8; 32 + CHECK]>);

impl Derived {
    fn new(passphrase: &Secret, salt: &[u8; SALT], cost: SealCost) -> Result<Self> {
        let unusable = |_| Error::Invalid {
            reason: "the passphrase cannot be used",
        };
        let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32 + CHECK))
            .map_err(unusable)?;
        let mut derived = Zeroizing::new([0; 32 + CHECK]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose(), salt, derived.as_mut_slice())
            .map_err(unusable)?;
        Ok(Self(derived))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&self.0[..32]);
        XChaCha20Poly1305::new((&*key).into())
    }

    fn check(&self) -> &[u8] {
        &self.0[32..]
    }
}

/// A file that holds `key` as it is.
pub(super) fn plain(key: &Secret) -> Secret {
    let mut file = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 1 + key.len() + SUM));
    file.extend_from_slice(MAGIC);
    file.push(PLAIN);
    file.extend_from_slice(key.expose());
    with_sum(file)
}

/// A file that holds `key` under a passphrase. Takes as long as `cost` says.
pub(super) fn seal(
    name: &KeyName,
    key: &Secret,
    passphrase: &Secret,
    cost: SealCost,
) -> Result<Secret> {
    cost.check()?;
    let (salt, nonce) = (random::<SALT>()?, random::<NONCE>()?);
    let derived = Derived::new(passphrase, &salt, cost)?;
    let mut file = Zeroizing::new(Vec::with_capacity(SEALED_HEAD + key.len() + TAG + SUM));
    file.extend_from_slice(MAGIC);
    file.push(SEALED);
    file.extend_from_slice(&cost.to_bytes());
    file.extend_from_slice(&salt);
    file.extend_from_slice(derived.check());
    file.extend_from_slice(&nonce);
    let associated = associated(&file, name);
    file.extend_from_slice(key.expose());
    let tag = derived
        .cipher()
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            &associated,
            (&mut file[SEALED_HEAD..]).into(),
        )
        .map_err(|_| Error::InvalidKey {
            reason: "it cannot be sealed",
        })?;
    file.extend_from_slice(&tag);
    Ok(with_sum(file))
}

/// The key that `file` holds.
pub(super) fn open(
    name: &KeyName,
    file: &Secret,
    passphrase: Option<&Secret>,
    path: &Path,
) -> Result<Secret> {
    let damaged = |reason: &str| Error::damaged(path, reason);
    let file = file.expose();
    let (body, sum) = file
        .split_at_checked(file.len().saturating_sub(SUM))
        .unwrap_or_default();
    let Some((kind, rest)) = body.strip_prefix(MAGIC).and_then(<[u8]>::split_first) else {
        return Err(damaged(
            "it does not begin as the file of a key does, or it is too short",
        ));
    };
    if Sha256::digest(body).as_slice() != sum {
        return Err(damaged("its checksum is wrong"));
    }
    match *kind {
        PLAIN => Ok(rest.into()),
        SEALED => {
            let passphrase = passphrase.ok_or_else(|| Error::PassphraseNeeded {
                name: name.to_string(),
            })?;
            unseal(name, body, passphrase, path)
        }
        _ => Err(damaged("it is of a kind that this version does not know")),
    }
}

fn unseal(name: &KeyName, body: &[u8], passphrase: &Secret, path: &Path) -> Result<Secret> {
    let short = || Error::damaged(path, "it is too short for a sealed key");
    let (head, sealed) = body.split_at_checked(SEALED_HEAD).ok_or_else(short)?;
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG>().ok_or_else(short)?;
    let fields = &head[MAGIC.len() + 1..];
    let (cost, fields) = fields.split_first_chunk::<COST>().ok_or_else(short)?;
    let (salt, fields) = fields.split_first_chunk::<SALT>().ok_or_else(short)?;
    let (check, nonce) = fields.split_first_chunk::<CHECK>().ok_or_else(short)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| short())?;
    let cost = SealCost::from_bytes(*cost);
    if !cost.is_bounded() {
        return Err(Error::damaged(
            path,
            "the cost of opening it is out of its bounds",
        ));
    }
    let derived = Derived::new(passphrase, salt, cost)?;
    if !same(derived.check(), check) {
        return Err(Error::WrongPassphrase {
            name: name.to_string(),
        });
    }
    let mut key = Zeroizing::new(ciphertext.to_vec());
    derived
        .cipher()
        .decrypt_inout_detached(&nonce, &associated(head, name), key.as_mut_slice().into(), tag.into())
        .map_err(|_| Error::damaged(path, "the passphrase is right, but the sealed key was changed or is that of another name"))?;
    Ok(key.into())
}

/// What is authenticated besides the ciphertext.
fn associated(head: &[u8], name: &KeyName) -> Vec<u8> {
    [head, name.as_str().as_bytes()].concat()
}

fn with_sum(mut file: Zeroizing<Vec<u8>>) -> Secret {
    let sum = Sha256::digest(file.as_slice());
    file.extend_from_slice(&sum);
    file.into()
}

/// Equality that takes the same time wherever the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |different, (a, b)| different | (a ^ b))
            == 0
}

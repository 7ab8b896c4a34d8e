//! A key's file, byte by byte. `docs/reference/local.md` shows it too and says why it is so.
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
use super::cost::{COST, SealCost};
use super::name::KeyName;
use crate::error::{Error, Result};
use crate::files::random;
use crate::secret::Secret;

const MAGIC: &[u8; 17] = b"storehouse key 1\n";
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const SALT: usize = 16;
const CHECK: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const SUM: usize = 32;
/// Where a sealed file's ciphertext begins.
const SEALED_HEAD: usize = MAGIC.len() + 1 + COST + SALT + CHECK + NONCE;

/// The largest file of a key, in bytes (inclusive).
pub(super) const MAX_FILE: usize = SEALED_HEAD + MAX_KEY + TAG + SUM;

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

/// Whether `file` is whole and holds a key as it is.
pub(super) fn is_plain(file: &Secret) -> bool {
    Contents::read(file.expose()).is_ok_and(|contents| contents.kind == PLAIN)
}

/// The key that `file` holds. A key as it is is refused with [`Error::Unsealed`] unless
/// `allow_plain`.
pub(super) fn open(
    name: &KeyName,
    file: &Secret,
    passphrase: Option<&Secret>,
    allow_plain: bool,
    path: &Path,
) -> Result<Secret> {
    let contents = Contents::read(file.expose()).map_err(|reason| Error::damaged(path, reason))?;
    match contents.kind {
        PLAIN if allow_plain => Ok(contents.rest.into()),
        PLAIN => Err(Error::Unsealed {
            name: name.to_string(),
        }),
        SEALED => {
            let passphrase = passphrase.ok_or_else(|| Error::PassphraseNeeded {
                name: name.to_string(),
            })?;
            unseal(name, contents.body, passphrase, path)
        }
        _ => Err(Error::damaged(
            path,
            "it is of a kind that this version does not know",
        )),
    }
}

/// The parts of a file whose checksum is right.
struct Contents<'a> {
    kind: u8,
    /// All before the checksum.
    body: &'a [u8],
    /// What of it comes after the kind.
    rest: &'a [u8],
}

impl<'a> Contents<'a> {
    fn read(file: &'a [u8]) -> Result<Self, &'static str> {
        let (body, sum) = file
            .split_at_checked(file.len().saturating_sub(SUM))
            .unwrap_or_default();
        let Some((kind, rest)) = body.strip_prefix(MAGIC).and_then(<[u8]>::split_first) else {
            return Err("it does not begin as the file of a key does, or it is too short");
        };
        if Sha256::digest(body).as_slice() != sum {
            return Err("its checksum is wrong");
        }
        let kind = *kind;
        Ok(Self { kind, body, rest })
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

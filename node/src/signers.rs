//! Whose signatures hold.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use storehouse::formats::ucan::SignatureError;
use storehouse::records::{Delegation, Did, Receipt};

use crate::api_error::ApiError;

/// The keys of issuers that are none themselves, and whether signatures are checked at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signers {
    keys: BTreeMap<Did, Did>,
    accept_unsigned: bool,
}

impl Signers {
    pub(crate) fn new(keys: BTreeMap<Did, Did>, accept_unsigned: bool) -> Self {
        Self {
            keys,
            accept_unsigned,
        }
    }

    /// Checks the issuer's signature of a claim.
    pub(crate) fn check_claim(&self, claim: &Delegation) -> Result<(), ApiError> {
        if self.accept_unsigned {
            return Ok(());
        }
        let key = self.keys.get(claim.issuer());
        claim.verify_signature(key).map_err(refused)
    }

    /// Checks the signature of a receipt, if signatures are checked.
    pub(crate) fn check_receipt(&self, receipt: &Receipt) -> Result<(), ApiError> {
        if self.accept_unsigned {
            return Ok(());
        }
        self.verify_receipt(receipt)
    }

    /// Whether the signature of a receipt holds, also where none is asked for.
    pub(crate) fn holds(&self, receipt: &Receipt) -> bool {
        self.verify_receipt(receipt).is_ok()
    }

    /// A receipt that does not name its issuer is its executor's: the audience of the invocation in
    /// its archive.
    fn verify_receipt(&self, receipt: &Receipt) -> Result<(), ApiError> {
        if let Some(issuer) = receipt.issuer() {
            return receipt
                .verify_signature(self.keys.get(issuer))
                .map_err(refused);
        }
        let invocation = receipt
            .invocation()
            .map_err(storehouse::records::Error::from)?;
        let executor = invocation.as_ref().map(Delegation::audience);
        let key = executor.map(|executor| self.keys.get(executor).unwrap_or(executor));
        match key {
            Some(key) if key.method() != "key" => Err(refused(SignatureError::KeyNeeded {
                issuer: key.clone(),
            })),
            key => receipt.verify_signature(key).map_err(refused),
        }
    }
}

fn refused(error: SignatureError) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_signature",
        error.to_string(),
    )
}

use bytes::Bytes;

use super::archive::{RECEIPT_TAG, variant, variant_block};
use crate::Cid;
use crate::car::Archive;

/// How a receipt's archive names its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptForm {
    /// As in the receipt store: the root is the receipt itself.
    Store,
    /// As in the journal and on the wire: the root is a block `{"ucan/receipt@0.9.1": link}`, which
    /// comes last.
    Archive,
}

impl ReceiptForm {
    /// An archive of this form with these blocks, in their order; blocks of the other form's are
    /// left out.
    pub(super) fn archive(
        self,
        receipt: &Cid,
        blocks: impl IntoIterator<Item = (Cid, Bytes)>,
    ) -> Bytes {
        let mut blocks: Vec<_> = blocks
            .into_iter()
            .filter(|(_, block)| variant(block, RECEIPT_TAG).as_ref() != Some(receipt))
            .collect();
        let root = match self {
            Self::Store => receipt.clone(),
            Self::Archive => {
                let variant = variant_block(RECEIPT_TAG, receipt);
                blocks.push(variant.clone());
                variant.0
            }
        };
        Archive::build(&[root], &blocks)
    }
}

//! What the clones of a store share, and its writes.

use std::sync::Arc;
use std::time::Duration;

use storehouse_objectstore::{
    Attributes, Batch, BatchOp, BatchResult, Body, Capabilities, CopyOptions, Error, ErrorClass,
    Key, Metadata, ObjectStore, Operation, PutMode, PutOptions, PutResult, Result, SizedBody,
    fallback,
};

use super::claims::Claims;
use super::clock::Times;

/// How often a write is judged anew because its object was changed by others in between.
const ATTEMPTS: usize = 16;

#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) inner: S,
    pub(super) capabilities: Capabilities,
    pub(super) default_ttl: Option<Duration>,
    pub(super) times: Times,
    pub(super) claims: Claims,
}

/// What a mode is for the inner store.
struct Judged {
    mode: PutMode,
    /// It takes the place of an expired object, which is none for the caller.
    over_expired: bool,
}

impl<S: ObjectStore> Shared<S> {
    /// Whether an object is gone for readers.
    pub(super) fn hides(&self, metadata: &Metadata) -> bool {
        metadata.attributes.expires().is_some() && self.times.now().hides(&metadata.attributes)
    }

    pub(super) async fn head(&self, key: &Key) -> Result<Metadata> {
        let metadata = self.inner.head(key).await?;
        if self.hides(&metadata) {
            return Err(Error::not_found(Operation::Head, key));
        }
        Ok(metadata)
    }

    /// What is said of a get that failed so: an expired object judges no condition and no range.
    pub(super) async fn judged_get(&self, key: &Key, error: Error) -> Error {
        let by_object = error.is_precondition()
            || error.is_not_modified()
            || matches!(error, Error::RangeNotSatisfiable { .. });
        if !by_object {
            return error;
        }
        match self.inner.head(key).await {
            Ok(metadata) if self.hides(&metadata) => Error::not_found(Operation::Get, key),
            _ => error,
        }
    }

    fn with_ttl(&self, attributes: Attributes) -> Attributes {
        match self.default_ttl {
            Some(ttl) if attributes.expires().is_none() => match self.times.now().after(ttl) {
                Some(at) => attributes.with_expires(at),
                None => attributes,
            },
            _ => attributes,
        }
    }

    /// The caller's mode, for the inner store. The key is claimed.
    async fn judged(&self, key: &Key, mode: &PutMode) -> Result<Judged> {
        if *mode == PutMode::Create && !self.capabilities.create {
            let feature = "creating what is not there or has expired";
            return Err(fallback::unsupported(Operation::Put, key, feature));
        }
        let as_it_is = Judged {
            mode: mode.clone(),
            over_expired: false,
        };
        let honoured = match mode {
            PutMode::Overwrite => false,
            PutMode::Create => self.capabilities.create,
            PutMode::Replace(_) => self.capabilities.replace,
        };
        if !honoured {
            return Ok(as_it_is);
        }
        let there = match self.inner.head(key).await {
            Ok(there) => there,
            Err(error) if error.is_not_found() => {
                // The inner store says what is wrong with a key that it does not take.
                if self.capabilities.accepts_key(key) {
                    mode.check(key, None)?;
                }
                return Ok(as_it_is);
            }
            Err(error) => return Err(error.map_operation(Operation::Put)),
        };
        let expired = self.hides(&there);
        mode.check(key, (!expired).then_some(&there.etag))?;
        if expired && *mode == PutMode::Create {
            return Ok(Judged {
                mode: PutMode::Replace(there.etag),
                over_expired: true,
            });
        }
        Ok(as_it_is)
    }

    pub(super) async fn put(
        &self,
        key: &Key,
        body: Body,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        // At once, before the object that is there is asked for.
        SizedBody::declared_size(key, &body, &options, self.capabilities.max_size)?;
        options.attributes = self.with_ttl(options.attributes);
        let mode = options.mode.clone();
        let again = body.as_bytes().cloned();
        let mut body = Some(body);
        let _writing = self.claims.write(key).await;
        for _ in 0..ATTEMPTS {
            let judged = self.judged(key, &mode).await?;
            let Some(body) = body.take().or_else(|| again.clone().map(Body::from)) else {
                break;
            };
            let options = options.clone().mode(judged.mode);
            match self.inner.put_opts(key, body, options).await {
                // Others removed or replaced it, so the mode is judged by what is there now.
                Err(error) if judged.over_expired && error.is_precondition() => {}
                put => return put,
            }
        }
        Err(changing(Operation::Put, key))
    }

    pub(super) async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: CopyOptions,
    ) -> Result<PutResult> {
        options.check(from, to, &self.capabilities)?;
        let mut options = options;
        options.attributes = options.attributes.map(|given| self.with_ttl(given));
        let _writing = self.claims.write(to).await;
        for _ in 0..ATTEMPTS {
            let copying = |error: Error| error.map_operation(Operation::Copy);
            let source = self.head(from).await.map_err(copying)?;
            options.check_source(from, &source.etag)?;
            let judged = self.judged(to, &options.mode).await.map_err(copying)?;
            let copy = options.clone().if_match(source.etag).mode(judged.mode);
            match self.inner.copy_opts(from, to, copy).await {
                // Source or target changed in between, and are judged anew.
                Err(error) if error.is_precondition() => {}
                Err(error) if error.is_not_found() => {}
                copied => return copied,
            }
        }
        Err(changing(Operation::Copy, from))
    }

    pub(super) async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let Some(batches) = self.inner.batches() else {
            return Ok(BatchResult::default());
        };
        let mut writing = Vec::with_capacity(batch.ops.len());
        for op in &batch.ops {
            writing.push(self.claims.write(op.key()).await);
        }
        for _ in 0..ATTEMPTS {
            let mut inner = Batch::new().durability(batch.durability);
            let mut over_expired = false;
            for op in &batch.ops {
                let (op, over) = self.judged_op(op.clone()).await?;
                over_expired |= over;
                inner = inner.op(op);
            }
            match batches.batch(inner).await {
                Err(error) if over_expired && error.is_precondition() => {}
                result => return result,
            }
        }
        match batch.ops.first() {
            Some(op) => Err(changing(Operation::Batch, op.key())),
            None => Ok(BatchResult::default()),
        }
    }

    /// The caller's operation, for the inner store, and whether it takes the place of an expired
    /// object.
    async fn judged_op(&self, op: BatchOp) -> Result<(BatchOp, bool)> {
        let conditional = match &op {
            BatchOp::Put { mode, .. } => *mode != PutMode::Overwrite,
            BatchOp::Delete { if_match, .. } => if_match.is_some(),
        };
        if !conditional {
            return Ok((op, false));
        }
        if let BatchOp::Put { key, mode, .. } = &op
            && *mode == PutMode::Create
            && !self.capabilities.create
        {
            let feature = "creating what is not there or has expired";
            return Err(fallback::unsupported(Operation::Batch, key, feature));
        }
        let there = match self.inner.head(op.key()).await {
            Ok(there) => there,
            Err(error) if error.is_not_found() => return Ok((op, false)),
            Err(error) => return Err(error.map_operation(Operation::Batch)),
        };
        if !self.hides(&there) {
            return Ok((op, false));
        }
        op.check_condition(None)?;
        Ok(match op {
            BatchOp::Put { key, bytes, .. } => {
                let mode = PutMode::Replace(there.etag);
                (BatchOp::Put { key, bytes, mode }, true)
            }
            delete => (delete, false),
        })
    }
}

fn changing(operation: Operation, key: &Key) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Transient,
        message: "the object was changed by others again and again meanwhile".into(),
        source: None,
    }
}

impl<S: ObjectStore> Shared<S> {
    /// Removes an object if it has expired: what was removed. Run it in a task of its own, to its
    /// end.
    pub(super) async fn remove_expired(self: Arc<Self>, key: Key) -> Result<Option<Metadata>> {
        let Some(_sweeping) = self.claims.sweep(&key) else {
            return Ok(None);
        };
        let there = match self.inner.head(&key).await {
            Ok(there) => there,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.times.now().sweeps(&there.attributes) {
            return Ok(None);
        }
        let removed = match self.inner.batches() {
            Some(batches) => {
                let delete = Batch::new().delete_if(key, there.etag.clone());
                batches.batch(delete).await.map(|_| ())
            }
            None => self.inner.delete(&key).await,
        };
        match removed {
            Ok(()) => Ok(Some(there)),
            Err(error) if error.is_precondition() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

//! s3s-fs with four of its gaps closed, as real servers have them closed. What else it does
//! otherwise is for the tests to assert.
//!
//! - A key whose bookkeeping file would have too long a name is refused before its object is
//!   written, not after.
//! - A directory is no object.
//! - Listings say ETags.
//! - An abort waits for the parts that are being received, and no part is kept that comes later.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

/// What an upload adds to names.
const UPLOAD: &str = ".upload-00000000-0000-0000-0000-000000000000";

#[derive(Debug)]
pub struct Fs {
    inner: FileSystem,
    root: PathBuf,
    /// Held for reading by parts, for writing by aborts.
    parts: RwLock<()>,
}

impl Fs {
    pub fn new(root: PathBuf) -> Self {
        Self {
            inner: FileSystem::new(&root).unwrap(),
            root,
            parts: RwLock::new(()),
        }
    }

    /// The bookkeeping file is named after bucket and key, each in base64, and after the upload if
    /// there is one.
    fn check(bucket: &str, key: &str, upload: &str) -> S3Result<()> {
        let base64 = |len: usize| (len * 4).div_ceil(3);
        let name = ".bucket-.object-.metadata.json".len()
            + upload.len()
            + base64(bucket.len())
            + base64(key.len());
        let too_long = name > 255 || key.split('/').any(|segment| segment.len() > 255);
        if too_long {
            Err(s3_error!(
                KeyTooLongError,
                "the file system has no such names"
            ))
        } else {
            Ok(())
        }
    }

    fn check_object(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.root.join(bucket).join(key).is_dir() {
            Err(s3_error!(NoSuchKey))
        } else {
            Ok(())
        }
    }
}

type Answer<'a, O> = Pin<Box<dyn Future<Output = S3Result<S3Response<O>>> + Send + 'a>>;

macro_rules! forward {
    ($($name:ident($input:ty) -> $output:ty $(, check $check:expr)?;)*) => {$(
        fn $name<'a, 'b>(&'a self, request: S3Request<$input>) -> Answer<'b, $output>
        where
            'a: 'b,
            Self: 'b,
        {
            $(
                let check: fn(&Self, &$input) -> S3Result<()> = $check;
                if let Err(error) = check(self, &request.input) {
                    return Box::pin(std::future::ready(Err(error)));
                }
            )?
            self.inner.$name(request)
        }
    )*};
}

impl S3 for Fs {
    forward! {
        create_bucket(CreateBucketInput) -> CreateBucketOutput;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
        delete_object(DeleteObjectInput) -> DeleteObjectOutput, check |fs, input| fs.check_object(&input.bucket, &input.key);
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
        get_object(GetObjectInput) -> GetObjectOutput, check |fs, input| fs.check_object(&input.bucket, &input.key);
        head_object(HeadObjectInput) -> HeadObjectOutput, check |fs, input| fs.check_object(&input.bucket, &input.key);
        put_object(PutObjectInput) -> PutObjectOutput, check |_, input| Self::check(&input.bucket, &input.key, "");
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput, check |_, input| Self::check(&input.bucket, &input.key, UPLOAD);
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    }

    fn upload_part<'a, 'b>(
        &'a self,
        request: S3Request<UploadPartInput>,
    ) -> Answer<'b, UploadPartOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let _part = self.parts.read().await;
            self.inner.upload_part(request).await
        })
    }

    fn abort_multipart_upload<'a, 'b>(
        &'a self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<'b, AbortMultipartUploadOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let _abort = self.parts.write().await;
            self.inner.abort_multipart_upload(request).await
        })
    }

    fn list_objects_v2<'a, 'b>(
        &'a self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<'b, ListObjectsV2Output>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let bucket = request.input.bucket.clone();
            let (method, uri, headers) = (
                request.method.clone(),
                request.uri.clone(),
                request.headers.clone(),
            );
            let mut answer = self.inner.list_objects_v2(request).await?;
            for object in answer.output.contents.iter_mut().flatten() {
                let mut input = HeadObjectInput::builder();
                input.set_bucket(bucket.clone());
                input.set_key(object.key.clone().unwrap_or_default());
                let head = S3Request {
                    input: input.build().unwrap(),
                    method: method.clone(),
                    uri: uri.clone(),
                    headers: headers.clone(),
                    extensions: hyper::http::Extensions::new(),
                    credentials: None,
                    region: None,
                    service: None,
                    trailing_headers: None,
                };
                // An object that was deleted since it was listed has no tag any more.
                object.e_tag = match self.inner.head_object(head).await {
                    Ok(head) => head.output.e_tag,
                    Err(_) => Some(ETag::Strong("gone".into())),
                };
            }
            Ok(answer)
        })
    }
}

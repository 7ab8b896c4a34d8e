//! Presigned requests: the signature is in the URL.

use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_LENGTH, HeaderMap};

use storehouse_objectstore::{
    Error, ErrorClass, Key, Operation, PresignMethod, PresignOptions, PresignedRequest, Result,
    fallback,
};

use crate::checksum::sha256_header;
use crate::limits::flaw;
use crate::shared::Shared;

/// Signs a request and sends nothing.
pub(crate) async fn presign(
    shared: &Shared,
    key: &Key,
    options: PresignOptions,
) -> Result<PresignedRequest> {
    let invalid = |reason| Error::InvalidRequest {
        operation: Operation::Presign,
        key: key.clone(),
        reason,
    };
    let expires = Duration::from_secs(options.expires.as_secs());
    if expires.is_zero() || options.expires > PresignOptions::MAX_EXPIRES {
        return Err(invalid(
            "a presigned request is valid for 1 second to 7 days",
        ));
    }
    if let Some(reason) = flaw(key.as_str()) {
        return Err(Error::invalid_key(Operation::Presign, key.as_str(), reason));
    }
    let put = options.method == PresignMethod::Put;
    if !put && (options.size.is_some() || options.sha256.is_some()) {
        return Err(invalid("only a put has a size and a SHA-256"));
    }
    let mut headers = HeaderMap::new();
    if let Some(size) = options.size {
        headers.insert(CONTENT_LENGTH, size.into());
    }
    if put {
        headers.extend(shared.put_headers.all());
    }
    if let Some(sum) = &options.sha256 {
        if !shared.capabilities.checksums {
            let feature = "a SHA-256 in a presigned request";
            return Err(fallback::unsupported(Operation::Presign, key, feature));
        }
        let (name, value) = sha256_header(sum);
        headers.insert(name, value);
    }
    let method = match options.method {
        PresignMethod::Get => Method::GET,
        PresignMethod::Head => Method::HEAD,
        PresignMethod::Put => Method::PUT,
        PresignMethod::Delete => Method::DELETE,
        _ => {
            let feature = "presigned requests of this method";
            return Err(fallback::unsupported(Operation::Presign, key, feature));
        }
    };
    let signed = shared
        .client
        .presign(&method, key, &headers, expires)
        .await?;
    let Some((url, until)) = signed else {
        return Err(Error::Backend {
            operation: Operation::Presign,
            key: Some(key.clone()),
            class: ErrorClass::Fatal,
            message: "these keys cannot sign a URL".into(),
            source: None,
        });
    };
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    Ok(PresignedRequest::new(options.method, url, until).headers(headers))
}

//! From the section of an S3 server to the options of a bucket on it.

use storehouse_blobstore::{KeyEncoder, S3Keys};

use crate::config::S3Config;

pub(super) fn s3_options(config: &S3Config, bucket: &str) -> storehouse_s3::S3Options {
    use storehouse_s3::{Addressing, Encryption, KeyFilter, S3Options};

    use crate::config::{AddressingConfig, SseConfig, SweepConfig};

    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }

    let mut options = S3Options::new(config.endpoint.clone(), bucket);
    options.insecure = config.insecure;
    options.region = config.region.clone();
    options.ca_file = config.ca_file.clone();
    options.credentials = config.credentials.as_ref().map(|given| {
        let mut keys = storehouse_s3::Credentials::default();
        keys.access_key_id = given.access_key_id.clone();
        keys.secret_access_key = given.secret_access_key.clone();
        keys.session_token = given.session_token.clone();
        keys
    });
    options.profile = config.profile.clone();
    options.anonymous = config.anonymous;
    options.addressing = match config.addressing {
        AddressingConfig::Auto => Addressing::Auto,
        AddressingConfig::Path => Addressing::Path,
        AddressingConfig::Virtual => Addressing::Virtual,
    };
    set(&mut options.create_bucket, config.create_bucket);
    set(&mut options.connect_timeout, config.connect_timeout);
    set(&mut options.stall_timeout, config.stall_timeout);
    set(&mut options.max_attempts, config.max_attempts);
    set(&mut options.retry_budget, config.retry_budget);
    set(&mut options.part_size, config.part_size);
    set(&mut options.part_memory, config.part_memory);
    set(&mut options.max_requests, config.max_requests);
    options.storage_class = config.storage_class.clone();
    let key_id = || config.sse_kms_key_id.clone();
    options.encryption = config.sse.map(|sse| match sse {
        SseConfig::S3 => Encryption::S3,
        SseConfig::Kms => Encryption::Kms { key_id: key_id() },
        SseConfig::KmsDouble => Encryption::KmsDouble { key_id: key_id() },
    });
    options.sweep_uploads_after = match config.sweep_uploads_after {
        SweepConfig::After(age) => Some(age),
        SweepConfig::Never => None,
    };
    // The bucket may be shared with others: only what a put of a blob began is ours.
    options.sweep_only = Some(KeyFilter::new(|key| S3Keys.decode(key).is_some()));
    options
}

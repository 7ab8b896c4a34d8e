//! Which certificates are trusted.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use storehouse_objectstore::{BoxError, Error, Result};

use crate::options::S3Options;

/// The variable that AWS's tools take a file of certificate authorities from.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// The longest file of certificate authorities, in bytes: some 30 times what systems have.
const MAX_BUNDLE: u64 = 8 << 20;

/// TLS as the options say. `system`: whether the system's authorities are needed.
pub(crate) fn config(options: &S3Options, system: bool) -> Result<ClientConfig> {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Config {
                setting: "endpoint",
                reason: "TLS cannot be set up".into(),
                source: Some(e.into()),
            })?;
    Ok(builder
        .with_root_certificates(roots(options, system)?)
        .with_no_client_auth())
}

fn roots(options: &S3Options, system: bool) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if system {
        // Some systems have certificates among theirs that cannot be used; the others serve.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let bundle = || {
        std::env::var_os(BUNDLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    match (&options.ca_file, bundle()) {
        (Some(path), _) => add(&mut roots, path, "ca_file")?,
        (None, Some(path)) => add(&mut roots, &path, BUNDLE)?,
        (None, None) => {}
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, path: &Path, setting: &'static str) -> Result<()> {
    let wrong = |source: BoxError| Error::Config {
        setting,
        reason: format!("{} holds no certificates that can be read", path.display()),
        source: Some(source),
    };
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BUNDLE + 1).read_to_end(&mut text));
    if read.map_err(|e| wrong(e.into()))? as u64 > MAX_BUNDLE {
        let reason = format!("{} has more than {MAX_BUNDLE} bytes", path.display());
        return Err(Error::config(setting, reason));
    }
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots
            .add(certificate.map_err(|e| wrong(e.into()))?)
            .map_err(|e| wrong(e.into()))?;
        found = true;
    }
    if !found {
        return Err(Error::config(
            setting,
            format!("{} holds no certificate", path.display()),
        ));
    }
    Ok(())
}

//! Everything that can log does so at its loudest while secrets go through it. None of them is in
//! what is printed: it is searched here, and with the output of all other tests by
//! `.ci/no-secrets`.

#[path = "../objectstore/s3/tests/support/mod.rs"]
mod s3;

use std::error::Error;
use std::fmt::Debug;
use std::io::{self, Write};
use std::iter::successors;
use std::sync::{Arc, Mutex};

use s3::Server;
use storehouse::blobstore::{Digest, HashFunction};
use storehouse::local::keystore::PutKey;
use storehouse::objectstore::Body;
use storehouse::{Config, Stores};

/// Every secret of the tests holds this text.
const MARK: &str = "mArKoFaSeCrEt";

/// What was printed, here and on standard output.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        print!("{}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn debug(&self, value: &impl Debug) {
        writeln!(self.clone(), "{value:?}\n{value:#?}").unwrap();
    }

    fn error(&self, error: &(dyn Error + 'static)) {
        for error in successors(Some(error), |&error| error.source()) {
            writeln!(self.clone(), "{error} | {error:?}").unwrap();
        }
    }
}

#[tokio::test]
async fn no_secret_is_logged_or_told() {
    let printed = Printed::default();
    let writer = printed.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false);
    // Of this whole process, whose only test this is.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let (server, dir) = (Server::in_process().await, tempfile::tempdir().unwrap());
    let config = |secret: &str, passphrase: &str| {
        let text = format!(
            "[repo]\ndata_dir = {:?}\n[repo.keystore]\npassphrase = {passphrase:?}\n[repo.s3]\nendpoint = {:?}\ninsecure = true\nbucket_prefix = 'b-'\n\
             [repo.s3.credentials]\naccess_key_id = 'test-key'\nsecret_access_key = {secret:?}",
            dir.path(),
            server.options.endpoint,
        );
        Config::from_toml(&text).unwrap()
    };
    let right = config(MARK, &format!("{MARK} of keys"));
    printed.debug(&right);
    let stores = Stores::open(&right).await.unwrap();
    printed.debug(&stores);
    stores
        .blobs()
        .put(
            &Digest::of(HashFunction::Sha2_256, b"hello"),
            Body::from("hello"),
        )
        .await
        .unwrap();
    let name = "node".parse().unwrap();
    let key = format!("{MARK} the key itself").into_bytes().into();
    stores
        .local()
        .keys()
        .put(&name, &key, PutKey::Create)
        .await
        .unwrap();
    printed.debug(&stores.local().keys().get(&name).await.unwrap());
    printed.error(
        &stores
            .local()
            .keys()
            .put(&name, &key, PutKey::Create)
            .await
            .unwrap_err(),
    );
    drop(stores);

    let wrong = Stores::open(&config(MARK, &format!("{MARK} of others")))
        .await
        .unwrap();
    printed.error(&wrong.local().keys().get(&name).await.unwrap_err());
    drop(wrong);
    printed.error(
        &Stores::open(&config(&format!("{MARK} of others"), "x"))
            .await
            .unwrap_err(),
    );
    for broken in [
        format!("[repo.keystore]\npassphrase = {MARK}"),
        format!("[repo.keystore]\npassphrase = [{MARK:?}]"),
    ] {
        printed.error(&Config::from_toml(&broken).unwrap_err());
    }
    let variable = (
        "STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES".to_owned(),
        MARK.to_owned(),
    );
    printed.error(&Config::with_env(None, [variable]).unwrap_err());

    let text = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
    for loud in [
        "put{store=\"blobs\" backend=\"s3\"",
        "keystore{",
        "is sealed under another passphrase",
        "secret_access_key",
        "redacted",
    ] {
        assert!(
            text.to_lowercase().contains(&loud.to_lowercase()),
            "{loud:?} was not printed, so nothing was looked at"
        );
    }
    assert!(!text.contains(MARK), "a secret was printed");
}

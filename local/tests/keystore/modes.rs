//! Files and directories that their owner alone may use, from their first moment on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use storehouse_local::Error;
use storehouse_local::keystore::{FileKeyStore, KeyStore, PutKey};

use crate::support::{key, mode, name, sealing, set_mode, show, store};

#[tokio::test]
async fn what_others_may_use_is_refused_with_the_command_that_mends_it() {
    let (_dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let file = keys.path().join("a.key");
    assert_eq!((mode(keys.path()), mode(&file)), (0o700, 0o600));

    for wrong in [0o604, 0o640, 0o601, 0o660, 0o777] {
        set_mode(&file, wrong);
        let error = keys.get(&name("a")).await.unwrap_err();
        show(&error);
        let Error::Exposed { fix, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(error.to_string().contains(fix));
        assert!(
            Command::new("sh")
                .args(["-c", fix])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(mode(&file), 0o600);
        keys.get(&name("a")).await.unwrap();
    }
    for wrong in [0o755, 0o710, 0o701, 0o777] {
        set_mode(keys.path(), wrong);
        let errors = [
            keys.get(&name("a")).await.unwrap_err(),
            keys.put(&name("b"), &key(1), PutKey::Create)
                .await
                .unwrap_err(),
            keys.list().await.unwrap_err(),
            keys.has(&name("a")).await.unwrap_err(),
            keys.delete(&name("a")).await.unwrap_err(),
            FileKeyStore::open(keys.path(), Default::default())
                .await
                .unwrap_err(),
        ];
        for error in &errors {
            assert!(matches!(error, Error::Exposed { .. }), "{error:?}");
        }
        let Error::Exposed { fix, .. } = &errors[0] else {
            unreachable!()
        };
        assert!(
            Command::new("sh")
                .args(["-c", fix])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(mode(keys.path()), 0o700);
    }
    assert_eq!(keys.list().await.unwrap(), [name("a")]);
}

/// This binary, or the crate's own tests, with a umask.
fn under_umask(umask: &str, test: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
}

/// Under umask 0 a file has the mode that it was created with and no less, so whatever is seen is
/// what the creating call asked for. Another thread looks at every file all the time, and the
/// kernel is asked about each put's file too.
#[test]
fn no_file_is_ever_open_to_others() {
    for umask in ["000", "022", "077", "777"] {
        let dir = tempfile::tempdir().unwrap();
        let output = under_umask(umask, "modes::putting")
            .env("STOREHOUSE_TEST_DIR", dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{umask}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let keys = dir.path().join("a/b/keystore");
        assert_eq!(mode(&keys), 0o700, "umask {umask}");
        for entry in fs::read_dir(&keys).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600, "umask {umask}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of a child process"]
async fn putting() {
    let root = std::path::PathBuf::from(
        std::env::var_os("STOREHOUSE_TEST_DIR").expect("this test is the part of a child process"),
    );
    // The parents are the caller's affair, and under umask 777 could not be entered.
    fs::create_dir_all(root.join("a")).unwrap();
    set_mode(&root.join("a"), 0o755);
    fs::create_dir(root.join("a/b")).unwrap();
    set_mode(&root.join("a/b"), 0o755);
    let dir = root.join("a/b/keystore");
    let plain = FileKeyStore::open(&dir, Default::default()).await.unwrap();
    let sealed = FileKeyStore::open(&dir, sealing(key(9))).await.unwrap();

    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watched = dir.clone();
    let watcher = std::thread::spawn(move || {
        let mut seen = 0_u64;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            for entry in fs::read_dir(&watched).unwrap().flatten() {
                if let Ok(metadata) = entry.metadata() {
                    assert_eq!(
                        metadata.permissions().mode() & 0o077,
                        0,
                        "{:?}",
                        entry.path()
                    );
                    seen += 1;
                }
            }
        }
        seen
    });
    for n in 0..20 {
        let name = name(&format!("key-{}", n % 7));
        plain.put(&name, &key(n), PutKey::Replace).await.unwrap();
        sealed.put(&name, &key(n), PutKey::Replace).await.unwrap();
    }
    drop(stop);
    assert!(watcher.join().unwrap() > 20);
}

/// The system calls themselves: every file of a key is created with mode 0600 and `O_EXCL`, and
/// none is ever given a wider mode.
#[test]
#[ignore = "needs strace; the continuous integration runs it"]
fn traced() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let output = Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=open,openat,creat,chmod,fchmod,fchmodat,mkdir,mkdirat",
            "-o",
        ])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "modes::putting", "--ignored", "--test-threads=1"])
        .env("STOREHOUSE_TEST_DIR", dir.path())
        .stdout(Stdio::null())
        .output()
        .expect("strace is there");
    assert!(output.status.success());
    let trace = fs::read_to_string(&trace).unwrap();
    let created: Vec<_> = trace
        .lines()
        .filter(|line| line.contains("O_CREAT") && line.contains("O_EXCL"))
        .collect();
    assert!(created.len() == 40, "{}", created.len());
    for line in created {
        assert!(line.contains("O_CLOEXEC, 0600"), "{line}");
    }
    let in_keystore =
        |line: &&str| line.contains("chmod(") && !line.contains("/a\"") && !line.contains("/a/b\"");
    for line in trace.lines().filter(in_keystore) {
        assert!(
            line.contains(", 0600") || line.contains("keystore\", 0700"),
            "{line}"
        );
    }
}

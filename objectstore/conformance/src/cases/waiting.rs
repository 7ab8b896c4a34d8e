//! Rule 13: nothing is held while a store waits on its caller. And rule 9's back pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq};
use super::super::content::stamped;
use storehouse_objectstore::{Body, Error, GetOptions, ListOptions, PutOptions};

/// More than any sensible limit on operations at once.
const WAITING: usize = 80;

/// Awaits what must not be stuck.
async fn not_stuck<T>(fixture: &Fixture, what: &str, future: impl Future<Output = T>) -> T {
    let patience = fixture.known().patience;
    tokio::time::timeout(patience, future)
        .await
        .unwrap_or_else(|_| panic!("rule 13: {what}: stuck for {patience:?}"))
}

/// What any caller wants to do meanwhile.
async fn works(fixture: &Fixture, what: &str) {
    not_stuck(fixture, what, async {
        let key = fixture.key("meanwhile");
        fixture.put(13, &key, "content").await;
        fixture
            .assert_holds(13, &key, Some(&Bytes::from("content")), what)
            .await;
        fixture.delete(13, &key).await;
        let gone: Vec<_> = fixture
            .store()
            .delete_many(stream::iter([key]).boxed())
            .try_collect()
            .await
            .or_fail(13, "delete_many");
        ensure_eq!(13, gone.len(), 1, "keys given back by delete_many");
        fixture.store().health().await.or_fail(13, "health");
    })
    .await;
}

/// A body of `bytes` that comes once the gate is open.
fn behind(gate: &watch::Receiver<bool>, bytes: Bytes) -> Body {
    let mut gate = gate.clone();
    Body::from_stream(stream::once(async move {
        gate.wait_for(|open| *open)
            .await
            .map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(bytes)
    }))
}

pub(in super::super) async fn puts_of_bodies_that_wait(fixture: Fixture) {
    let (gate, opened) = watch::channel(false);
    let puts: Vec<_> = (0..WAITING)
        .map(|n| {
            let (store, key) = (fixture.handle(), fixture.key(&format!("waiting-{n}")));
            let body = behind(&opened, stamped(n as u64, 100));
            tokio::spawn(async move {
                store
                    .put_opts(&key, body, PutOptions::default().size(100))
                    .await
            })
        })
        .collect();
    // Until all are likely to wait. Were one late, the case would only be easier.
    tokio::time::sleep(Duration::from_millis(100)).await;
    works(
        &fixture,
        "other operations while many puts wait for their bodies",
    )
    .await;
    gate.send_replace(true);
    for put in not_stuck(&fixture, "puts whose bodies came", join_all(puts)).await {
        put.expect("a put panicked")
            .or_fail(13, "put of a body that waited");
    }
    let listed = fixture
        .list_keys(13, ListOptions::default().prefix("waiting-"))
        .await;
    ensure_eq!(13, listed.len(), WAITING, "objects whose bodies waited");
}

pub(in super::super) async fn puts_of_gets(fixture: Fixture) {
    let bytes = stamped(1, 2 << 20);
    let from = fixture.key("from");
    fixture.put(13, &from, bytes.clone()).await;
    // One whose body is a get that is under way, one whose body asks for it only when it is read.
    let copies = (0..WAITING / 4).map(|n| {
        let (store, from, to) = (
            fixture.handle(),
            from.clone(),
            fixture.key(&format!("to-{n}")),
        );
        tokio::spawn(async move {
            let size = 2 << 20;
            let body = if n % 2 == 0 {
                store.get_opts(&from, GetOptions::default()).await?.body
            } else {
                let store = Arc::clone(&store);
                let get = stream::once(async move {
                    Ok::<_, Error>(store.get_opts(&from, GetOptions::default()).await?.body)
                });
                Body::from_stream(get.try_flatten())
            };
            store
                .put_opts(&to, body, PutOptions::default().size(size))
                .await
        })
    });
    for copy in not_stuck(
        &fixture,
        "puts whose bodies are gets of the same store",
        join_all(copies),
    )
    .await
    {
        copy.expect("a put panicked").or_fail(13, "put of a get");
    }
    for n in 0..WAITING / 4 {
        ensure!(
            13,
            fixture
                .read(13, &fixture.key(&format!("to-{n}")))
                .await
                .as_ref()
                == Some(&bytes),
            "copy {n} differs from its original"
        );
    }
}

pub(in super::super) async fn puts_of_bodies_that_wait_for_puts(fixture: Fixture) {
    // The body of each put waits until the put before it has returned; all are open when the first
    // one begins.
    let depth = 12;
    let returned: Arc<Vec<_>> = Arc::new((0..depth).map(|_| watch::Sender::new(false)).collect());
    let mut puts = Vec::new();
    for n in (1..depth).rev() {
        let (store, key, returned) = (
            fixture.handle(),
            fixture.key(&format!("chain-{n}")),
            Arc::clone(&returned),
        );
        puts.push(tokio::spawn(async move {
            let body = behind(&returned[n - 1].subscribe(), stamped(n as u64, 1000));
            let put = store
                .put_opts(&key, body, PutOptions::default().size(1000))
                .await;
            returned[n].send_replace(true);
            put
        }));
        // Until it is likely to wait.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = fixture.key("chain-0");
    not_stuck(
        &fixture,
        "a put that others wait for",
        fixture.put(13, &first, "waited for"),
    )
    .await;
    returned[0].send_replace(true);
    for put in not_stuck(&fixture, "puts that wait for each other", join_all(puts)).await {
        put.expect("a put panicked")
            .or_fail(13, "put of a body that waited for another put");
    }
    ensure_eq!(
        13,
        fixture.list(13, ListOptions::default()).await.len(),
        depth,
        "objects of puts that waited for each other"
    );
}

pub(in super::super) async fn gets_left_unread(fixture: Fixture) {
    let key = fixture.key("unread");
    let bytes = stamped(1, fixture.known().pace.largest.min(4 << 20) as usize);
    fixture.put(13, &key, bytes.clone()).await;
    let mut open = Vec::new();
    for n in 0..WAITING / 4 {
        let get = fixture.store().get_opts(&key, GetOptions::default());
        let mut body = not_stuck(&fixture, "get while others are left unread", get)
            .await
            .or_fail(13, "get")
            .body;
        if n % 2 == 0 {
            body.next().await;
        }
        open.push(body);
    }
    works(&fixture, "other operations while many gets are left unread").await;
    let last = open.swap_remove(1).collect(u64::MAX);
    let last = not_stuck(&fixture, "reading one of many gets", last)
        .await
        .or_fail(13, "reading after a while");
    ensure!(
        13,
        last == bytes,
        "a get left unread for a while gives other bytes"
    );
}

pub(in super::super) async fn deletes_of_keys_that_wait(fixture: Fixture) {
    let (gate, opened) = watch::channel(false);
    let key = fixture.key("deleted-late");
    fixture.put(13, &key, "content").await;
    let deletes: Vec<_> = (0..WAITING / 4)
        .map(|_| {
            let (store, key, mut gate) = (fixture.handle(), key.clone(), opened.clone());
            let keys =
                stream::once(async move { (gate.wait_for(|open| *open).await.is_ok(), key).1 });
            tokio::spawn(async move {
                store
                    .delete_many(keys.boxed())
                    .try_collect::<Vec<_>>()
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    works(
        &fixture,
        "other operations while deletes wait for their keys",
    )
    .await;
    gate.send_replace(true);
    for delete in not_stuck(&fixture, "deletes whose keys came", join_all(deletes)).await {
        let gone = delete
            .expect("a delete panicked")
            .or_fail(13, "delete_many of a key that came late");
        ensure_eq!(13, gone.len(), 1, "keys given back");
    }
    fixture
        .assert_holds(10, &key, None, "after delete_many")
        .await;
}

/// Bytes that are counted for as long as anyone holds them.
struct Held(Bytes, Arc<AtomicUsize>);

impl Held {
    fn count(bytes: Bytes, held: &Arc<AtomicUsize>) -> Bytes {
        held.fetch_add(bytes.len(), Ordering::SeqCst);
        Bytes::from_owner(Self(bytes, Arc::clone(held)))
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

pub(in super::super) async fn put_holds_a_window(fixture: Fixture) {
    let window = fixture.known().put_window as usize;
    let size = if fixture.known().holds_bodies {
        1 << 20
    } else {
        2 * window
    };
    let piece = 256 << 10;
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let source = {
        let (held, most) = (Arc::clone(&held), Arc::clone(&most));
        stream::iter((0..size.div_ceil(piece)).map(move |n| {
            let bytes = Held::count(
                Bytes::from(vec![n as u8; piece.min(size - n * piece)]),
                &held,
            );
            most.fetch_max(held.load(Ordering::SeqCst), Ordering::SeqCst);
            Ok::<_, std::io::Error>(bytes)
        }))
    };
    let key = fixture.key("window");
    let put = fixture
        .try_put(
            &key,
            Body::from_stream(source),
            PutOptions::default().size(size as u64),
        )
        .await;
    put.or_fail(9, format_args!("put of {size} bytes"));
    let most = most.load(Ordering::SeqCst);
    if fixture.known().holds_bodies {
        ensure!(9, most <= size, "more is held than was given");
    } else {
        ensure!(
            9,
            most <= window,
            "put held {most} bytes of its body at a time, of a window of {window}"
        );
        let left = held.load(Ordering::SeqCst);
        ensure_eq!(
            9,
            left,
            0,
            "bytes of the body still held after put returned"
        );
    }
}

//! Rule 20: events.

use futures_util::{FutureExt, StreamExt, stream};

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq};
use storehouse_objectstore::{Batch, CopyOptions, Event, Events, Key};

async fn next(fixture: &Fixture, events: &mut Events) -> Option<Event> {
    let patience = fixture.known().patience;
    tokio::time::timeout(patience, events.next())
        .await
        .unwrap_or_else(|_| panic!("rule 20: no event within {patience:?}"))
}

/// The events of a store that has some; asserts that another has none.
fn events(fixture: &Fixture) -> Option<Events> {
    let events = fixture.store().events();
    ensure_eq!(
        20,
        events.is_some(),
        fixture.store().capabilities().events,
        "events, against what the capabilities say"
    );
    events
}

pub(in super::super) async fn tell_every_change(fixture: Fixture) {
    let Some(mut events) = events(&fixture) else {
        return;
    };
    let (a, b) = (fixture.key("a"), fixture.key("b"));
    let put = |key: &Key, etag| Event::Put {
        key: key.clone(),
        etag,
    };
    let deleted = |key: &Key| Event::Deleted { key: key.clone() };
    let mut expected = vec![
        put(&a, fixture.put(20, &a, "1").await.etag),
        put(&a, fixture.put(20, &a, "2").await.etag),
    ];
    let copied = fixture
        .store()
        .copy_opts(&a, &b, CopyOptions::default())
        .await
        .or_fail(20, "copy");
    expected.push(put(&b, copied.etag));
    fixture.delete(20, &a).await;
    expected.push(deleted(&a));
    let gone = fixture
        .store()
        .delete_many(stream::iter([b.clone()]).boxed());
    gone.for_each(|gone| async { drop(gone.or_fail(20, "delete_many")) })
        .await;
    expected.push(deleted(&b));
    if let Some(batches) = fixture.store().batches() {
        let batch = Batch::new().put(a.clone(), "3");
        let written = batches.batch(batch).await.or_fail(20, "batch");
        let etag = written.etags.into_iter().flatten().next();
        expected.extend(etag.map(|etag| put(&a, etag)));
    }
    // Told by the time that the change is answered.
    for expected in expected {
        let event = events.next().now_or_never().flatten();
        ensure_eq!(20, event, Some(expected), "an event");
    }
    ensure!(
        20,
        events.next().now_or_never().is_none(),
        "an event of nothing that was done"
    );
}

pub(in super::super) async fn say_what_was_missed(fixture: Fixture) {
    let Some(mut events) = events(&fixture) else {
        return;
    };
    let key = fixture.key("many");
    // Deletes of what is missing are cheap, and may be events.
    let (total, last) = (5_000, fixture.key("last"));
    for _ in 0..total {
        fixture.delete(20, &key).await;
    }
    let etag = fixture.put(20, &last, "1").await.etag;
    let (mut told, mut missed) = (0, 0);
    loop {
        match next(&fixture, &mut events).await {
            Some(Event::Deleted { key: said }) if said == key => told += 1,
            Some(Event::Missed { count }) => missed += count,
            Some(Event::Put { key, etag: said }) => {
                ensure_eq!(20, (key, said), (last, etag), "the last event");
                break;
            }
            other => panic!("rule 20: an event of nothing that was done: {other:?}"),
        }
    }
    ensure!(
        20,
        told + missed == total || told + missed == 0,
        "{told} events were told and {missed} missed, of {total}"
    );
}

pub(in super::super) async fn end_when_closed(fixture: Fixture) {
    let Some(mut events) = events(&fixture) else {
        return;
    };
    let key = fixture.key("last");
    let etag = fixture.put(20, &key, "1").await.etag;
    fixture.store().close().await.or_fail(15, "close");
    let event = next(&fixture, &mut events).await;
    ensure_eq!(20, event, Some(Event::Put { key, etag }), "the last event");
    let end = next(&fixture, &mut events).await;
    ensure_eq!(20, end, None, "the end of events");
    if let Some(mut late) = fixture.store().events() {
        let end = next(&fixture, &mut late).await;
        ensure_eq!(20, end, None, "events of a closed store");
    }
}

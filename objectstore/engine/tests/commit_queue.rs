//! The queue's promises, over random loads: every request is answered, once, by the group that
//! committed it; groups keep their limits; requests keep their order; nothing hangs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use proptest::prelude::*;
use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions, Unanswered};
use tokio::runtime::{Builder, Runtime};

const PATIENCE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Writes down each group. A request is a number and its size; some are poison.
#[derive(Default)]
struct Recorder {
    groups: Mutex<Vec<Vec<(u64, usize)>>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    poison: HashSet<u64>,
    slow: bool,
}

impl Commit for Recorder {
    type Request = (u64, usize);
    type Answer = usize;

    fn commit(&self, group: Vec<Pending<(u64, usize), usize>>, answers: &mut Answers<usize>) {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let number = {
            let mut groups = self.groups.lock().unwrap();
            groups.push(group.iter().map(|pending| pending.request).collect());
            groups.len() - 1
        };
        if self.slow {
            std::thread::sleep(Duration::from_micros(100));
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        for Pending {
            request: (request, _),
            reply,
        } in group
        {
            assert!(!self.poison.contains(&request), "poison");
            if request % 2 == 0 {
                reply.send(number);
            } else {
                answers.push(reply, number);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Load {
    options: QueueOptions,
    callers: u64,
    each: u64,
    sizes: Vec<usize>,
    poison: HashSet<u64>,
    slow: bool,
}

prop_compose! {
    fn load()(
        max_requests in prop_oneof![Just(usize::MAX), 1..8usize],
        max_bytes in prop_oneof![Just(4 << 20), 1..5_000usize],
        groups_at_once in 1..4usize,
        linger in prop_oneof![Just(0), 1..300u64],
        max_waiting in prop_oneof![Just(64 << 20), 1..8_000usize],
        callers in 1..24u64,
        each in 1..12u64,
        sizes in prop::collection::vec(0..3_000usize, 1..8),
        poison in prop::collection::hash_set(0..200u64, 0..2),
        slow in any::<bool>(),
    ) -> Load {
        let options = QueueOptions::default()
            .max_requests(max_requests)
            .max_bytes(max_bytes)
            .groups_at_once(groups_at_once)
            .linger(Duration::from_micros(linger))
            .max_waiting(max_waiting);
        Load { options, callers, each, sizes, poison, slow }
    }
}

async fn answers_come(load: Load) {
    let Load {
        options,
        callers,
        each,
        sizes,
        poison,
        slow,
    } = load;
    let recorder = Recorder {
        poison: poison.clone(),
        slow,
        ..Recorder::default()
    };
    let queue = CommitQueue::new(recorder, options);
    let size_of = move |request: u64| sizes[request as usize % sizes.len()];
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (queue, size_of) = (queue.clone(), size_of.clone());
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for request in caller * each..(caller + 1) * each {
                    let size = size_of(request);
                    outcomes.push((request, queue.submit((request, size), size).await));
                }
                outcomes
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.extend(
            tokio::time::timeout(PATIENCE, task)
                .await
                .expect("no hang")
                .unwrap(),
        );
    }
    tokio::time::timeout(PATIENCE, queue.close())
        .await
        .expect("no hang");
    let recorder = queue.committer();
    let groups = recorder.groups.lock().unwrap().clone();
    let mut seen = HashSet::new();
    for group in groups.iter() {
        assert!(group.len() <= options.max_requests.max(1));
        let bytes: usize = group.iter().map(|(_, size)| size).sum();
        assert!(
            bytes <= options.max_bytes || group.len() == 1,
            "{bytes} bytes in a group"
        );
        group
            .iter()
            .for_each(|(request, _)| assert!(seen.insert(*request), "committed twice"));
    }
    assert_eq!(seen.len() as u64, callers * each);
    assert!(recorder.most_at_once.load(Ordering::SeqCst) <= options.groups_at_once);
    for (request, outcome) in outcomes {
        match outcome {
            Ok(number) => assert!(groups[number].iter().any(|(other, _)| *other == request)),
            Err(why) => {
                assert_eq!(why, Unanswered::Panicked);
                let poisoned = |(request, _): &(u64, usize)| poison.contains(request);
                let group = groups
                    .iter()
                    .find(|group| group.iter().any(|(r, _)| *r == request));
                assert!(
                    group.unwrap().iter().any(poisoned),
                    "an error without a panic"
                );
            }
        }
    }
    if options.groups_at_once == 1 {
        let order: Vec<u64> = groups
            .iter()
            .flatten()
            .map(|(request, _)| *request)
            .collect();
        for caller in 0..callers {
            let own = order.iter().filter(|request| **request / each == caller);
            assert!(own.is_sorted(), "a caller's requests out of order");
        }
    }
    drop(groups);
    assert_eq!(queue.submit((0, 0), 0).await, Err(Unanswered::Closed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_request_is_answered(load in load()) {
        runtime().block_on(answers_come(load));
    }

    #[test]
    fn closing_at_any_time_answers_everybody(load in load(), after in 0..400u64) {
        let committed = runtime().block_on(async {
            let recorder = Recorder { slow: load.slow, ..Recorder::default() };
            let queue = CommitQueue::new(recorder, load.options);
            let tasks: Vec<_> = (0..load.callers)
                .map(|request| {
                    let queue = queue.clone();
                    tokio::spawn(async move { queue.submit((request, 100), 100).await })
                })
                .collect();
            tokio::time::sleep(Duration::from_micros(after)).await;
            tokio::time::timeout(PATIENCE, queue.close()).await.expect("no hang");
            let committed: usize = queue.committer().groups.lock().unwrap().iter().map(Vec::len).sum();
            let mut answered = 0;
            for task in tasks {
                match tokio::time::timeout(PATIENCE, task).await.expect("no hang").unwrap() {
                    Ok(_) => answered += 1,
                    Err(why) => assert_eq!(why, Unanswered::Closed),
                }
            }
            (committed, answered)
        });
        prop_assert_eq!(committed.0, committed.1, "closed means that nothing happened");
    }
}

/// Blocks until it is told to go on.
struct Gate(Mutex<mpsc::Receiver<()>>, mpsc::Sender<usize>);

impl Commit for Gate {
    type Request = ();
    type Answer = ();

    fn commit(&self, group: Vec<Pending<(), ()>>, answers: &mut Answers<()>) {
        self.1.send(group.len()).unwrap();
        self.0.lock().unwrap().recv().unwrap();
        group
            .into_iter()
            .for_each(|pending| answers.push(pending.reply, ()));
    }
}

fn gate(options: QueueOptions) -> (CommitQueue<Gate>, mpsc::Sender<()>, mpsc::Receiver<usize>) {
    let ((open, opened), (began, begun)) = (mpsc::channel(), mpsc::channel());
    (
        CommitQueue::new(Gate(Mutex::new(opened), began), options),
        open,
        begun,
    )
}

#[test]
fn a_full_queue_makes_callers_wait_and_forgets_those_that_leave() {
    let runtime = runtime();
    let (queue, open, begun) = gate(QueueOptions::default().max_waiting(4096));
    runtime.block_on(async {
        let submit = |bytes| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.submit((), bytes).await })
        };
        let first = submit(4096);
        assert_eq!(begun.recv_timeout(PATIENCE), Ok(1));
        let leaves = submit(10);
        let stays = submit(10);
        tokio::time::sleep(Duration::from_millis(20)).await;
        leaves.abort();
        assert!(leaves.await.unwrap_err().is_cancelled());
        open.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(begun.recv_timeout(PATIENCE), Ok(1), "the one that stayed");
        open.send(()).unwrap();
        stays.await.unwrap().unwrap();
        // A request larger than the whole queue gets in alone.
        let large = submit(1 << 40);
        assert_eq!(begun.recv_timeout(PATIENCE), Ok(1));
        open.send(()).unwrap();
        large.await.unwrap().unwrap();
    });
}

#[test]
fn a_runtime_that_shuts_down_leaves_no_caller_waiting() {
    let ending = Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let staying = runtime();
    let (queue, open, begun) = gate(QueueOptions::default());
    // A group that has begun ends, although its runtime shuts down meanwhile.
    let mut first = Box::pin(queue.submit((), 0));
    ending.block_on(std::future::poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    }));
    assert_eq!(begun.recv_timeout(PATIENCE), Ok(1));
    let ended = ending.handle().clone();
    ending.shutdown_background();
    open.send(()).unwrap();
    staying.block_on(async {
        let answer = tokio::time::timeout(PATIENCE, first)
            .await
            .expect("no hang");
        assert_eq!(answer, Ok(()));
        // Wait for the runner to end, so that the next request needs another.
        while format!("{queue:?}").contains("committing: 1") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    // One that cannot begin any more answers its callers.
    let late = {
        let _entered = ended.enter();
        let mut late = Box::pin(queue.submit((), 0));
        staying.block_on(std::future::poll_fn(|cx| {
            let _entered = ended.enter();
            std::task::Poll::Ready(late.as_mut().poll(cx))
        }))
    };
    assert_eq!(late, std::task::Poll::Ready(Err(Unanswered::ShutDown)));
    staying.block_on(async {
        // The queue goes on elsewhere.
        let other = queue.clone();
        let next = tokio::spawn(async move { other.submit((), 0).await });
        assert_eq!(begun.recv_timeout(PATIENCE), Ok(1));
        open.send(()).unwrap();
        next.await.unwrap().unwrap();
        tokio::time::timeout(PATIENCE, queue.close())
            .await
            .expect("no hang");
    });
}

#[test]
fn the_last_callers_find_the_committer_released() {
    struct Held(#[expect(dead_code, reason = "held to be counted")] Arc<()>);
    impl Commit for Held {
        type Request = ();
        type Answer = ();
        fn commit(&self, group: Vec<Pending<(), ()>>, answers: &mut Answers<()>) {
            group
                .into_iter()
                .for_each(|pending| answers.push(pending.reply, ()));
        }
    }
    runtime().block_on(async {
        for _ in 0..200 {
            let held = Arc::new(());
            let queue = CommitQueue::new(Held(Arc::clone(&held)), QueueOptions::default());
            queue.submit((), 0).await.unwrap();
            drop(queue);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    });
}

#[test]
fn writers_that_come_again_share_groups() {
    let recorder = Recorder {
        slow: true,
        ..Recorder::default()
    };
    let options = QueueOptions::default().linger(Duration::from_millis(20));
    let queue = CommitQueue::new(recorder, options);
    runtime().block_on(async {
        let tasks: Vec<_> = (0..16u64)
            .map(|caller| {
                let queue = queue.clone();
                tokio::spawn(async move {
                    for i in 0..20 {
                        queue.submit((caller * 20 + i, 1), 1).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let groups = queue.committer().groups.lock().unwrap().len();
    assert!(groups < 80, "320 requests of 16 writers in {groups} groups");
}

//! A limit on concurrent operations, for futures and streams that may stop being polled at any
//! time.
//!
//! A fair semaphore hands a permit to the first that waits. If that one is a stream that is not
//! read any more, the permit is lost to all others, and with it the store (rule 13). So here a
//! permit that becomes free is reserved for no task: all waiting tasks are woken in order, and the
//! first one to run takes it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Locks; nothing panics while it holds one of these locks, so poison says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The permits.
#[derive(Debug)]
pub(super) struct Gate(Mutex<Waiters>);

#[derive(Debug)]
struct Waiters {
    free: usize,
    /// Who waits, by the number in which they came.
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

/// One permit; given back when dropped.
#[derive(Debug)]
struct Permit(Arc<Gate>);

impl Drop for Permit {
    fn drop(&mut self) {
        let wakers = {
            let mut waiters = lock(&self.0.0);
            waiters.free += 1;
            mem::take(&mut waiters.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Gate {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Waiters {
            free: permits,
            wakers: BTreeMap::new(),
            next: 0,
        })))
    }

    fn poll_permit(self: &Arc<Self>, turn: &mut Turn, cx: &mut Context<'_>) -> Poll<Permit> {
        let mut waiters = lock(&self.0);
        if waiters.free > 0 {
            waiters.free -= 1;
            drop(waiters);
            *turn = Turn::default();
            return Poll::Ready(Permit(Arc::clone(self)));
        }
        let number = match turn.0 {
            Some((_, number)) => number,
            None => {
                let number = waiters.next;
                waiters.next += 1;
                turn.0 = Some((Arc::clone(self), number));
                number
            }
        };
        waiters.wakers.insert(number, cx.waker().clone());
        Poll::Pending
    }
}

/// A place among those who wait, if any; given up when dropped.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<(Arc<Gate>, u64)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((gate, number)) = &self.0 {
            let waker = lock(&gate.0).wakers.remove(number);
            drop(waker);
        }
    }
}

/// One operation's permit, which comes and goes while the operation lasts. Shared by what the
/// caller polls and what the inner store polls.
#[derive(Debug)]
pub(super) struct Slot {
    gate: Arc<Gate>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    permit: Option<Permit>,
    /// The inner store is being polled, so a wake does not give the permit back until that has
    /// ended.
    polling: bool,
    woken: bool,
    /// Whom a wake of the inner store is for.
    caller: Option<Waker>,
}

impl Slot {
    pub(super) fn new(gate: &Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            gate: Arc::clone(gate),
            state: Mutex::default(),
        })
    }

    /// Gets the permit, if it is not there already.
    pub(super) fn poll_acquire(&self, turn: &mut Turn, cx: &mut Context<'_>) -> Poll<()> {
        if lock(&self.state).permit.is_none() {
            let permit = match self.gate.poll_permit(turn, cx) {
                Poll::Ready(permit) => permit,
                Poll::Pending => return Poll::Pending,
            };
            let surplus = lock(&self.state).permit.replace(permit);
            drop(surplus);
        }
        Poll::Ready(())
    }

    pub(super) async fn acquire(&self) {
        let mut turn = Turn::default();
        poll_fn(|cx| self.poll_acquire(&mut turn, cx)).await;
    }

    /// Gives the permit back, if it is there.
    pub(super) fn release(&self) {
        // Not under the lock: who is woken by this may want the same lock.
        let permit = lock(&self.state).permit.take();
        drop(permit);
    }

    /// Polls the inner store with the permit in hand. If it is not ready the permit stays, since
    /// the inner store is at work, until it wakes the caller: then it waits on the caller, and
    /// waits without.
    pub(super) fn poll_inner<T>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        {
            let mut state = lock(&self.state);
            state.polling = true;
            state.woken = false;
            state.caller = Some(cx.waker().clone());
        }
        let waker = Waker::from(Arc::clone(self));
        let polled = poll(&mut Context::from_waker(&waker));
        let permit = {
            let mut state = lock(&self.state);
            state.polling = false;
            if polled.is_ready() || state.woken {
                state.permit.take()
            } else {
                None
            }
        };
        drop(permit);
        polled
    }
}

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        let (permit, caller) = {
            let mut state = lock(&self.state);
            state.woken = true;
            (
                if state.polling {
                    None
                } else {
                    state.permit.take()
                },
                state.caller.clone(),
            )
        };
        drop(permit);
        if let Some(caller) = caller {
            caller.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_permit_is_not_kept_for_who_does_not_come() {
        let gate = Gate::new(1);
        let (holder, idle, eager) = (Slot::new(&gate), Slot::new(&gate), Slot::new(&gate));
        assert!(poll(pin!(holder.acquire())).is_ready());
        let mut waiting = pin!(idle.acquire());
        assert!(
            poll(waiting.as_mut()).is_pending(),
            "the one permit is taken"
        );
        holder.release();
        assert!(
            poll(pin!(eager.acquire())).is_ready(),
            "the permit is free, though another came first"
        );
        assert!(poll(waiting.as_mut()).is_pending());
        eager.release();
        assert!(poll(waiting).is_ready());
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing() {
        let gate = Gate::new(1);
        let (holder, other) = (Slot::new(&gate), Slot::new(&gate));
        assert!(poll(pin!(holder.acquire())).is_ready());
        for _ in 0..3 {
            assert!(poll(pin!(other.acquire())).is_pending());
        }
        assert!(lock(&gate.0).wakers.is_empty());
        drop(holder);
        assert_eq!(lock(&gate.0).free, 1);
    }
}

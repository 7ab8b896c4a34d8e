//! Streams that break.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use storehouse_objectstore::{Body, Result};
use tokio::time::Sleep;

use super::planned::{Break, Planned};

/// What a stream gives, counted in bytes or in entries.
pub(super) trait Item: Unpin {
    fn len(&self) -> u64;

    /// Takes the first `len` off; only for `len` smaller than its own.
    fn split_to(&mut self, len: u64) -> Self;

    /// XORs what lies at `offset`, if anything does.
    fn flip(&mut self, offset: u64, mask: u8);
}

impl Item for Bytes {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn split_to(&mut self, len: u64) -> Self {
        self.split_to(len as usize)
    }

    fn flip(&mut self, offset: u64, mask: u8) {
        let mut bytes = self.to_vec();
        if let Some(byte) = usize::try_from(offset)
            .ok()
            .and_then(|at| bytes.get_mut(at))
        {
            *byte ^= mask;
            *self = bytes.into();
        }
    }
}

/// A stream that breaks where it is told to.
pub(super) struct Breaking<St, T> {
    stream: St,
    breaks: VecDeque<(u64, Break)>,
    flips: Vec<(u64, u8)>,
    /// The offset of the stream's first byte in the object.
    start: u64,
    given: u64,
    waiting: Option<Pin<Box<Sleep>>>,
    /// What was taken from the stream and lies past a break.
    rest: Option<T>,
    ended: bool,
}

impl<St, T> Breaking<St, T> {
    pub(super) fn new(stream: St, planned: Planned, start: u64) -> Self {
        Self {
            stream,
            breaks: planned.breaks.into(),
            flips: planned.flips,
            start,
            given: 0,
            waiting: None,
            rest: None,
            ended: false,
        }
    }
}

impl<St: Stream<Item = Result<T>> + Unpin, T: Item> Stream for Breaking<St, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if let Some(sleep) = &mut this.waiting {
                ready!(sleep.as_mut().poll(cx));
                this.waiting = None;
            }
            match this.breaks.front() {
                Some((after, _)) if *after <= this.given => {
                    match this.breaks.pop_front().map(|(_, there)| there) {
                        Some(Break::Cut(error)) => {
                            this.ended = true;
                            return Poll::Ready(Some(Err(error)));
                        }
                        Some(Break::Stall(time)) => {
                            this.waiting = Some(Box::pin(tokio::time::sleep(time)));
                        }
                        Some(Break::End) | None => this.ended = true,
                    }
                    continue;
                }
                _ => {}
            }
            let item = match this.rest.take() {
                Some(rest) => Some(Ok(rest)),
                None => ready!(this.stream.poll_next_unpin(cx)),
            };
            let mut item = match item {
                Some(Ok(item)) => item,
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
            };
            if let Some((after, _)) = this.breaks.front() {
                let until = after - this.given;
                if item.len() > until {
                    let first = item.split_to(until);
                    this.rest = Some(std::mem::replace(&mut item, first));
                }
            }
            let (start, end) = (
                this.start + this.given,
                this.start + this.given + item.len(),
            );
            for (offset, mask) in &this.flips {
                if (start..end).contains(offset) {
                    item.flip(offset - start, *mask);
                }
            }
            this.given += item.len();
            return Poll::Ready(Some(Ok(item)));
        }
    }
}

/// `body`, which begins at `start` of its object, broken as planned.
pub(super) fn broken(body: Body, planned: Planned, start: u64) -> Body {
    if !planned.alters_stream() {
        return body;
    }
    let size = body.size();
    let body = Body::from_stream(Breaking::new(body, planned, start));
    size.into_iter().fold(body, Body::with_size)
}

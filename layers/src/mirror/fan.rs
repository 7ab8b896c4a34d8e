//! One body for several replicas at once.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use storehouse_objectstore::{Body, Error};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

/// The pieces that wait for one replica, besides the one that it works on.
const WAITING: usize = 1;

/// The bodies of the replicas' puts, by the replicas' places.
#[derive(Debug)]
pub(super) struct Fan(Vec<Option<Sender<Bytes>>>);

/// What became of a replica that takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its put has ended.
    Ended,
    /// It took nothing for this time.
    Stalled(Duration),
}

impl Fan {
    pub(super) fn new(replicas: usize) -> Self {
        Self((0..replicas).map(|_| None).collect())
    }

    /// The body of this replica's put, of `size` bytes. It ends early if the replica is left out,
    /// so that nothing is stored.
    pub(super) fn body(&mut self, replica: usize, size: u64) -> Body {
        let (sender, receiver) = channel(WAITING);
        self.0[replica] = Some(sender);
        let pieces = stream::unfold(receiver, |mut receiver: Receiver<Bytes>| async move {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Error>(piece), receiver))
        });
        Body::from_stream(pieces).with_size(size)
    }

    /// Gives the piece to all, each of which may take this time to make room for it. Gives those
    /// that were lost.
    pub(super) async fn send(
        &mut self,
        piece: &Bytes,
        patience: impl Fn(usize) -> Duration,
    ) -> Vec<(usize, Lost)> {
        let sends = self.0.iter().enumerate().filter_map(|(replica, sender)| {
            let (sender, piece, time) = (sender.as_ref()?, piece.clone(), patience(replica));
            Some(async move {
                match timeout(time, sender.send(piece)).await {
                    Ok(Ok(())) => None,
                    Ok(Err(_)) => Some((replica, Lost::Ended)),
                    Err(_) => Some((replica, Lost::Stalled(time))),
                }
            })
        });
        let lost: Vec<_> = join_all(sends).await.into_iter().flatten().collect();
        for (replica, _) in &lost {
            self.0[*replica] = None;
        }
        lost
    }

    /// Leaves this replica out.
    pub(super) fn leave_out(&mut self, replica: usize) {
        self.0[replica] = None;
    }
}

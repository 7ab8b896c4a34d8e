//! Permits of a whole, of which each client gets a share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::ClientKey;
use super::per_client::{ClientPermit, PerClient};

/// A number of permits, and how many of them one client can hold.
#[derive(Debug)]
pub(crate) struct FairShare {
    whole: Arc<Semaphore>,
    permits: usize,
    clients: PerClient,
}

/// Permits, until it is dropped.
#[derive(Debug)]
pub(crate) struct SharePermit {
    _whole: Option<OwnedSemaphorePermit>,
    _client: Option<ClientPermit>,
}

impl FairShare {
    /// `per_client` is an eighth of the whole by default, and at least 1.
    pub(crate) fn new(permits: usize, per_client: Option<usize>) -> Self {
        let permits = permits.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            whole: Arc::new(Semaphore::new(permits)),
            permits,
            clients: PerClient::new(per_client.unwrap_or(permits / 8)),
        }
    }

    /// Waits for permits: first among the requests of this client, so that what it has waiting
    /// holds up no other client. More than there are count as all of them. A request whose client
    /// is not known has the whole.
    pub(crate) async fn acquire(&self, client: Option<ClientKey>, permits: u32) -> SharePermit {
        let share = match client {
            Some(client) => Some(self.clients.acquire(client, permits).await),
            None => None,
        };
        let permits = permits.min(u32::try_from(self.permits).unwrap_or(u32::MAX));
        let whole = Arc::clone(&self.whole).acquire_many_owned(permits).await;
        SharePermit {
            _whole: whole.ok(), // it is never closed
            _client: share,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_client_cannot_take_all() {
        let share = FairShare::new(16, None);
        let [greedy, other] = [1, 2].map(|n| Some(IpAddr::from([192, 0, 2, n]).into()));
        let mut held = vec![
            share.acquire(greedy, 1).await,
            share.acquire(greedy, 1).await,
        ];
        let third = share.acquire(greedy, 1);
        assert!(
            tokio::time::timeout(Duration::from_millis(10), third)
                .await
                .is_err()
        );
        held.push(share.acquire(other, 1).await);
        held.push(share.acquire(None, 13).await);
        assert_eq!(share.whole.available_permits(), 0);
        drop(held);
        assert_eq!(share.whole.available_permits(), 16);
    }
}

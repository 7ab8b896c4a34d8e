//! Permits for each client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::ClientKey;

type Clients = Mutex<HashMap<ClientKey, Arc<Semaphore>>>;

/// A number of permits for each client. Takes memory for those clients alone that have a permit or
/// wait for one.
#[derive(Clone, Debug)]
pub(crate) struct PerClient {
    permits: usize,
    clients: Arc<Clients>,
}

impl PerClient {
    pub(crate) fn new(permits: usize) -> Self {
        Self {
            permits: permits.clamp(1, Semaphore::MAX_PERMITS),
            clients: Arc::default(),
        }
    }

    /// Waits for permits of this client. More than there are of each client count as all of them.
    pub(crate) async fn acquire(&self, client: ClientKey, permits: u32) -> ClientPermit {
        let seat = self.seat(client);
        let permits = self.at_most_all(permits);
        let permit = Arc::clone(&seat.semaphore)
            .acquire_many_owned(permits)
            .await;
        ClientPermit {
            _permit: permit.ok(),
            _seat: seat,
        }
    }

    /// A permit of this client, if one is free.
    pub(crate) fn try_acquire(&self, client: ClientKey) -> Option<ClientPermit> {
        let seat = self.seat(client);
        let permit = Arc::clone(&seat.semaphore).try_acquire_owned().ok()?;
        Some(ClientPermit {
            _permit: Some(permit),
            _seat: seat,
        })
    }

    fn at_most_all(&self, permits: u32) -> u32 {
        permits.min(u32::try_from(self.permits).unwrap_or(u32::MAX))
    }

    fn seat(&self, client: ClientKey) -> Seat {
        let mut clients = lock(&self.clients);
        let semaphore = clients
            .entry(client)
            .or_insert_with(|| Arc::new(Semaphore::new(self.permits)));
        Seat {
            semaphore: Arc::clone(semaphore),
            client,
            clients: Arc::clone(&self.clients),
        }
    }
}

fn lock(clients: &Clients) -> MutexGuard<'_, HashMap<ClientKey, Arc<Semaphore>>> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client that has a permit or waits for one.
#[derive(Debug)]
struct Seat {
    semaphore: Arc<Semaphore>,
    client: ClientKey,
    clients: Arc<Clients>,
}

impl Drop for Seat {
    /// The last seat of a client removes the client. Seats are made and dropped under the lock, so
    /// every other seat is one reference beside the map's and this one.
    fn drop(&mut self) {
        let mut clients = lock(&self.clients);
        self.semaphore = Arc::new(Semaphore::new(0));
        if clients
            .get(&self.client)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            clients.remove(&self.client);
        }
    }
}

/// Permits of one client, until it is dropped.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    // Dropped in this order: the seat looks whether a permit is left.
    _permit: Option<OwnedSemaphorePermit>,
    _seat: Seat,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    fn client(n: u8) -> ClientKey {
        IpAddr::from([192, 0, 2, n]).into()
    }

    #[tokio::test]
    async fn each_has_its_own_and_leaves_nothing_behind() {
        let shares = PerClient::new(2);
        let held = [1, 1, 2].map(|n| shares.try_acquire(client(n)).unwrap());
        assert!(shares.try_acquire(client(1)).is_none());
        assert_eq!(lock(&shares.clients).len(), 2);
        // One that gave up waiting leaves nothing behind either.
        let waiting = shares.acquire(client(1), 1);
        assert!(
            tokio::time::timeout(Duration::from_millis(10), waiting)
                .await
                .is_err()
        );
        drop(held);
        assert!(lock(&shares.clients).is_empty());
        // More than there are is all of them.
        let all = shares.acquire(client(1), 100).await;
        assert!(shares.try_acquire(client(1)).is_none());
        drop(all);
        assert!(lock(&shares.clients).is_empty());
    }
}

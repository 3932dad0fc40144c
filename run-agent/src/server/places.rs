//! Places for connections. Where all are taken, the connection that has asked for nothing for the longest
//! time makes room: whoever only connects keeps nobody out.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A bounded number of places.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    count: u32,
    waiting: Mutex<Waiting>,
}

/// The connections that have asked for nothing yet, the oldest first.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    silent: BTreeMap<u64, oneshot::Sender<()>>,
}

/// The place of a connection.
#[derive(Debug)]
pub(crate) struct Place {
    voice: Voice,
    dismissed: oneshot::Receiver<()>,
    _free: OwnedSemaphorePermit,
}

/// Tells that a connection has asked for something.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    places: Places,
    number: u64,
}

impl Places {
    /// So many places.
    pub(crate) fn new(count: u32) -> Places {
        let free = Arc::new(Semaphore::new(count as usize));
        Places(Arc::new(Shared { free, count, waiting: Mutex::default() }))
    }

    /// Waits until no connection has a place.
    pub(crate) async fn all_free(&self) {
        // Places are never closed.
        let _all = self.0.free.acquire_many(self.0.count).await;
    }

    /// A place for a new connection, as soon as there is one; `None` never, as long as there are places.
    pub(crate) async fn take(&self) -> Option<Place> {
        let free = match self.0.free.clone().try_acquire_owned() {
            Ok(free) => free,
            Err(_) => {
                self.dismiss_one();
                self.0.free.clone().acquire_owned().await.ok()?
            }
        };
        let (sender, dismissed) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.silent.insert(number, sender);
        let voice = Voice { places: self.clone(), number };
        Some(Place { voice, dismissed, _free: free })
    }

    fn dismiss_one(&self) {
        if let Some((_, oldest)) = self.0.waiting.lock().silent.pop_first() {
            // One that is about to end makes room by itself.
            let _ending = oldest.send(());
        }
    }
}

impl Place {
    pub(crate) fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// Waits until the connection has to make room, if ever.
    pub(crate) async fn dismissed(&mut self) {
        if (&mut self.dismissed).await.is_err() {
            // It has spoken, and stays.
            std::future::pending::<()>().await;
        }
    }
}

impl Voice {
    /// From now on the connection is not asked to make room.
    pub(crate) fn speaks(&self) {
        self.places.0.waiting.lock().silent.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.voice.speaks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// What a future comes to without a wait.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_oldest_silent_connection_makes_room_and_no_other() {
        let places = Places::new(3);
        let [mut one, mut two, mut three] = [(); 3].map(|()| now(places.take()).unwrap().unwrap());
        one.voice().speaks();
        let mut taking = Box::pin(places.take());
        assert!(now(taking.as_mut()).is_none(), "all are taken");
        assert!(now(two.dismissed()).is_some());
        assert!(now(one.dismissed()).is_none() && now(three.dismissed()).is_none());
        drop(two);
        let four = now(taking.as_mut()).flatten().unwrap();
        four.voice().speaks();
        three.voice().speaks();
        // Nobody is silent: the next one has to wait for an end.
        let mut taking = Box::pin(places.take());
        assert!(now(taking.as_mut()).is_none());
        assert!(now(three.dismissed()).is_none());
        drop(one);
        assert!(now(taking.as_mut()).flatten().is_some());
        assert_eq!(places.0.waiting.lock().silent.len(), 0);
    }
}

//! Looks at what may block: each for a while, and only so many at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// How many looks may hang. More are not begun: a disk that hangs must not use up the threads.
const LOOKS_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Bounded {
    places: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(LOOKS_MAX)) }
    }

    /// What the look gives, if it does within the time. It keeps its place until it ends, however long that takes.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        wait: Duration,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let looking = tokio::task::spawn_blocking(move || {
            let seen = look();
            drop(place);
            seen
        });
        tokio::time::timeout(wait, looking).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_not_waited_for_and_not_tried_for_ever() {
        let bounded = Bounded::new();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(parking_lot::Mutex::new(ended));
        for _ in 0..LOOKS_MAX {
            let ended = Arc::clone(&ended);
            let look = move || {
                let _ended = ended.lock().recv();
            };
            assert_eq!(bounded.look(Duration::from_millis(1), look).await, None);
        }
        assert_eq!(bounded.look(Duration::from_secs(60), || 1).await, None, "no place is left");
        drop(end);
        let free = bounded.places.acquire_many(u32::try_from(LOOKS_MAX).unwrap()).await;
        drop(free.unwrap());
        assert_eq!(bounded.look(Duration::from_secs(60), || 1).await, Some(1));
    }
}

//! What takes a while to find out: found out in the background, one at a time, and kept.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// The last value, and the right to look for the next one.
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: Mutex<Option<(Instant, Arc<T>)>>,
    place: Arc<Semaphore>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new() -> Self {
        let place = Arc::new(Semaphore::new(1));
        Self(Arc::new(Inner { value: Mutex::default(), place }))
    }

    /// The value. When it is not good any more a look for another one begins, unless one is on its way, and is waited for
    /// so long; then there is the old one. A look that hangs keeps its place: there is never a second one.
    pub(super) async fn get(
        &self,
        wait: Duration,
        is_good: impl FnOnce(&T, Duration) -> bool,
        look: impl Future<Output = Option<T>> + Send + 'static,
    ) -> Option<Arc<T>> {
        let now = self.value();
        if now.as_ref().is_some_and(|(at, value)| is_good(value, at.elapsed())) {
            return now.map(|(_, value)| value);
        }
        if let Ok(place) = Arc::clone(&self.0.place).try_acquire_owned() {
            let inner = Arc::clone(&self.0);
            let looking = tokio::spawn(async move {
                if let Some(value) = look.await {
                    *inner.value.lock() = Some((Instant::now(), Arc::new(value)));
                }
                drop(place);
            });
            let _late_or_not = timeout(wait, looking).await;
        }
        self.last()
    }

    /// The last value, as old as it may be.
    pub(super) fn last(&self) -> Option<Arc<T>> {
        self.value().map(|(_, value)| value)
    }

    fn value(&self) -> Option<(Instant, Arc<T>)> {
        self.0.value.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_not_waited_for_and_not_doubled() {
        let kept = Kept::new();
        let look = |value| async move { Some(value) };
        assert_eq!(kept.get(WAIT, |_, _| true, look(1)).await.as_deref(), Some(&1));
        assert_eq!(kept.get(WAIT, |_, _| true, look(2)).await.as_deref(), Some(&1), "good enough");
        assert_eq!(kept.get(WAIT, |_, _| false, look(3)).await.as_deref(), Some(&3));
        let hangs = kept.get(WAIT, |_, _| false, std::future::pending()).await;
        assert_eq!(hangs.as_deref(), Some(&3));
        assert_eq!(kept.get(WAIT, |_, _| false, look(4)).await.as_deref(), Some(&3), "no place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_look_is_there_for_the_next_one() {
        let kept = Kept::new();
        let slow = async {
            tokio::time::sleep(WAIT * 3).await;
            Some(7)
        };
        assert_eq!(kept.get(WAIT, |_, _| true, slow).await, None);
        tokio::time::sleep(WAIT * 3).await;
        let good = |_: &i32, age: Duration| age < WAIT * 2;
        assert_eq!(kept.get(WAIT, good, async { None }).await.as_deref(), Some(&7));
    }
}

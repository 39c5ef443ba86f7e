//! Waiting for conditions, with a deadline that says what was missed.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything that is waited for may take.
pub const SOON: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// Waits until something is there.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "within {SOON:?} there was no: {what}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

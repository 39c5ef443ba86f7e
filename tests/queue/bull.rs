//! Each with both major versions of the npm package at the other end.

mod failures;
mod fleet;
mod flow;
mod keeping;
mod leases;

/// Makes a test of each story for each version.
macro_rules! with_both {
    ($($story:ident),* $(,)?) => {
        mod npm5 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::stage::Stage::new(5).await).await;
            })*
        }
        mod npm6 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::stage::Stage::new(6).await).await;
            })*
        }
    };
}
use with_both;

//! One process holds a data folder.

use crate::stage::{Deed, Stage};
use crate::watchman::run_to_end;

#[tokio::test]
async fn a_second_one_ends_and_names_the_first_which_a_kill_frees() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let mut first = stage.start();
    first.until_armed(1).await;

    let second = run_to_end(&mut stage.run()).await;
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!("pid {} on host", first.pid())),
        "{told}"
    );
    assert!(told.contains("--data-dir"), "{told}");
    assert!(first.is_running());
    first.kill().await;

    let third = stage.start();
    third.until_armed(0).await;
    stage.endanger(&position);
    third.until("execution.done").await;
    stage.agree_after_stop(third).await;
    assert_eq!(stage.effects().len(), 1);
}

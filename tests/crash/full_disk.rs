//! A disk that takes nothing more, and then does again.

use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::stage::{Deed, Stage, Windows};
use crate::watchman::Watchman;

/// The service under a limit on the size of files, which the system enforces on every write; told
/// by an error, as of a disk, and not by a signal.
fn limited(stage: &Stage) -> Watchman {
    let run = stage.run();
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().arg("--ignore-signal=XFSZ");
    command.arg(run.get_program()).args(run.get_args());
    Watchman::of(command, stage.clock)
}

fn limit(watchman: &Watchman, bytes: Option<u64>) {
    let pid = Pid::from_raw(watchman.pid().cast_signed()).unwrap();
    let limits = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limits).unwrap();
}

#[tokio::test]
async fn nothing_is_sent_while_nothing_can_be_written_and_all_goes_on_when_it_can() {
    let windows = Windows {
        store_ms: 1000,
        ..Windows::default()
    };
    let stage = Stage::on(None, windows).await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let mut watchman = limited(&stage);
    watchman.until_armed(1).await;
    limit(&watchman, Some(0));
    stage.endanger(&position);
    let loud = watchman.until_where("the store's failure", |line| line["what"] == "store_failed");
    loud.await;
    assert!(stage.effects().is_empty(), "sent without a record");
    // Nobody died of it, and the market is watched.
    assert_eq!(watchman.count("actor.died"), 0, "{}", watchman.told());
    assert!(watchman.is_running());
    limit(&watchman, None);
    stage.done_once(watchman).await;
}

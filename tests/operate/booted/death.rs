//! What systemd does when the service dies, stands still, or is to stop.

use std::time::Duration;

use vigia::simulator::Fault;

use super::machine::Machine;
use super::service::ENVIRONMENT;
use crate::stage::{Deed, Stage, Windows};
use crate::stopwatch::Stopwatch;

const PROGRESS: &str = "[health]\nprogress_ms = 2500\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_the_execution_in_hand_and_a_kill_does_not_matter() {
    const ANSWER_MS: u64 = 1500;
    let stage = Stage::in_a_file().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let bob = stage.owner("bob");
    stage.guard(&bob, Deed::Close).await;
    let Some(machine) = Machine::serving(&stage) else {
        return;
    };
    machine.run("systemctl start vigia");
    machine.until_logged("automation.armed", 1);
    let slow = Fault::DelayReply { ms: ANSWER_MS };
    stage.closing(&position, slow).await;
    let began = Stopwatch::start();
    machine.run("systemctl stop vigia");
    let took = began.elapsed();
    let journal = machine.run("journalctl --no-pager --unit vigia --output cat");
    assert!(
        journal.contains("vigia.service: Deactivated successfully."),
        "{journal}"
    );
    assert!(!journal.contains("vigia.service: Failed"), "{journal}");
    for event in ["execution.done", "service.stopped"] {
        assert_eq!(machine.count(event), 1, "{event}");
    }
    assert_eq!(stage.effects().len(), 1);
    assert!(took < Duration::from_secs(25), "{took:?}");

    // Killed in the same place.
    stage.control.set_price(crate::stage::START).unwrap();
    machine.run("systemctl start vigia");
    let position = stage.open_position(&bob, 10).await;
    machine.until_logged("automation.armed", 2);
    let first = machine.shows("MainPID");
    let slow = Fault::DelayReply { ms: ANSWER_MS };
    stage.closing(&position, slow).await;
    let killed_at = Stopwatch::start();
    machine.run("systemctl kill --kill-whom=main --signal=KILL vigia");
    machine.until_shows("NRestarts", "1");
    machine.until_shows("ActiveState", "active");
    let back = killed_at.elapsed();
    assert_ne!(machine.shows("MainPID"), first);
    machine.until_logged("execution.done", 2);
    assert_eq!(stage.effects().len(), 2, "{:#?}", stage.effects());
    println!(
        "under systemd: a stop with an answer {ANSWER_MS} ms away took {} ms; active again {} ms \
         after SIGKILL, and nothing was done twice",
        took.as_millis(),
        back.as_millis()
    );
}

/// By the unit's own watchdog, of 30 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_gets_nothing_done_is_ended_and_goes_on_where_it_was() {
    const STALL_MS: u64 = 300_000;
    const ENDED_WITHIN: Duration = Duration::from_secs(55);
    let stage = Stage::configured(None, Windows::default(), PROGRESS).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let Some(machine) = Machine::serving(&stage) else {
        return;
    };
    let deed = format!("VIGIA_FAILPOINT=automation.fired=stall:{STALL_MS}\n");
    machine.write(ENVIRONMENT, 0o600, deed);
    machine.run("systemctl start vigia");
    machine.until_logged("automation.armed", 1);
    machine.write(ENVIRONMENT, 0o600, "");
    stage.endanger(&position);
    let stalled_at = Stopwatch::start();
    machine.until_logged("watchdog.stalled", 1);
    while machine.shows("NRestarts") == "0" {
        assert!(
            stalled_at.elapsed() < ENDED_WITHIN,
            "it stands still and lives"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = stalled_at.elapsed();
    assert_eq!(stage.effects().len(), 0, "it stood before it was sent");
    machine.until_shows("ActiveState", "active");
    machine.until_logged("execution.done", 1);
    let journal = machine.run("journalctl --no-pager --unit vigia --output cat");
    assert!(
        journal.contains("Watchdog timeout (limit 30s)!"),
        "{journal}"
    );
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
    println!(
        "under systemd: a trading thread that stood still was ended after {} ms, the trigger carried \
         out {} ms after it",
        ended.as_millis(),
        stalled_at.elapsed().as_millis()
    );
    machine.run("systemctl stop vigia");
}

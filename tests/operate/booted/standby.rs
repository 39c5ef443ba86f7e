//! A second service of the same unit that waits for its turn.

use super::machine::Machine;
use super::service::shipped;
use crate::stage::{Deed, Stage};

const STATUS: &str = "systemctl show --property StatusText --value vigia-standby";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_active_while_it_waits_and_takes_over_from_one_that_is_stopped() {
    let stage = Stage::in_a_file().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let Some(machine) = Machine::serving(&stage) else {
        return;
    };
    let unit = shipped("config/systemd/vigia.service");
    let standby = unit.replace("/vigia run ", "/vigia run --standby ");
    assert_ne!(unit, standby);
    machine.write("/etc/systemd/system/vigia-standby.service", 0o644, standby);
    machine
        .run("systemctl daemon-reload && systemctl start vigia && systemctl start vigia-standby");
    let holder = format!("standing by, while pid {} ", machine.shows("MainPID"));
    machine.until(STATUS, |told| told.starts_with(&holder));
    machine.run("systemctl is-active vigia vigia-standby");
    machine.run("systemctl stop vigia");
    machine.until(STATUS, |told| told == "1 accounts, 1 live");
    stage.endanger(&position);
    let script = "journalctl --no-pager --unit vigia-standby --output cat";
    machine.until(script, |told| told.contains("\"execution.done\""));
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
    machine.run("systemctl is-active vigia-standby && systemctl stop vigia-standby");
}

//! A dry run does everything but send.

use vigia::domain::execution::{SkipReason, State};

use crate::harness::{DANGER, Script, adding_but, closing};

#[actix::test]
async fn a_dry_run_decides_and_writes_down_but_never_sends() {
    let mut stage = Script::new().dry_run().play().await;
    let at_once = adding_but(&serde_json::json!({ "cooldown_seconds": 0 }));
    let (alpha, _) = stage.guarded("alpha", at_once).await;
    let (beta, _) = stage.guarded("beta", closing()).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.stands(&alpha, State::Skipped).await;
    stage.stands(&beta, State::Skipped).await;
    // The danger lasts; how often it is written down again is what is measured.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    for trader in [&alpha, &beta] {
        let rows = stage.executions(trader).await;
        assert!((1..=3).contains(&rows.len()), "{} in 3 s", rows.len());
        for row in &rows {
            // The latest may be under way.
            let skipped = row.skipped() == Some(SkipReason::DryRun);
            assert!(skipped || row.state == State::Planned, "{row:#?}");
        }
        assert_eq!(stage.effects(trader).len(), 0);
    }
    stage.end().await;
}

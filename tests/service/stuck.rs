//! Work that never ends is found by its missing progress and replaced.

use vigia::domain::execution::State;
use vigia::supervision::failpoint::{self, Deed};

use crate::harness::{DANGER, Script, adding};

#[actix::test]
async fn a_connection_whose_reading_never_ends_is_replaced_and_its_account_is_guarded() {
    let mut stage = Script::new().with("connection.stuck_ms", 300).play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.mark();
    failpoint::set("connection.reading", Some(&alpha.name), Deed::Hang);
    let cause = stage.died(&alpha.connection()).await;
    assert_eq!(cause, "stopped");
    stage.restarted(&alpha.connection(), 1).await;
    stage.control.set_price(DANGER).unwrap();
    for trader in [&alpha, &beta] {
        stage.done(trader).await;
        assert_eq!(stage.effects(trader).len(), 1);
    }
    stage.end().await;
}

#[actix::test]
async fn an_executor_that_stands_still_is_replaced_and_its_execution_carried_out_once() {
    let mut stage = Script::new().with("execution.stuck_ms", 300).play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    failpoint::set("executor.carrying", Some(&alpha.name), Deed::Hang);
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    stage.end().await;
}

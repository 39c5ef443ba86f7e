//! What the exchange cannot tell keeps its evidence until a person settles it, once.

use vigia::domain::execution::State;
use vigia::domain::units::Sats;

use crate::books::Books;
use crate::stage::{Deed, Stage};
use crate::watchman::{run_to_end, vigia};

const NOTE: &str = "seen in the account's history";

/// Killed before its request left, while the owner adds another amount: only a person can tell.
async fn uncertain() -> (Stage, Books) {
    let stage = Stage::set().await;
    let (owner, position) = stage.guarded("alice", Deed::Add).await;
    stage.dies_at("execution.sending", &position).await;
    let now = stage.rest.clock().now();
    let adding = stage
        .rest
        .add_margin(&owner.credentials, position.id, Sats(700_001), now);
    adding.await.unwrap();
    let watchman = stage.start();
    let books = stage
        .settled(&watchman, |books| books.states() == [State::Uncertain])
        .await;
    watchman.stop().await;
    (stage, books)
}

/// Runs `vigia execution resolve`. Whether it succeeded, and what it said.
async fn resolve(stage: &Stage, id: &str, settled: &str) -> (bool, String) {
    let mut command = vigia();
    command.args(["execution", "resolve", id, "--as", settled, "--note", NOTE]);
    command.arg("--config").arg(stage.config_file());
    command.arg("--data-dir").arg(stage.data_dir());
    let output = run_to_end(&mut command).await;
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

async fn settled_as(settled: &str, state: State) {
    let (stage, books) = uncertain().await;
    let row = &books.executions[0];
    let evidence = row.evidence.as_ref().expect("its evidence is stored");
    assert_eq!(evidence["amount"], 500_000, "{evidence}");
    assert!(evidence["before"].is_object(), "{evidence}");
    assert!(
        !evidence["readings"].as_array().unwrap().is_empty(),
        "{evidence}"
    );
    assert!(books.audit.is_empty());

    let id = row.id.to_string();
    let (success, told) = resolve(&stage, &id, settled).await;
    assert!(success, "{told}");
    let (again, told) = resolve(&stage, &id, "done").await;
    assert!(!again && told.contains(state.as_str()), "{told}");

    // Started again, it leaves alone what was settled.
    let watchman = stage.start();
    watchman.until_armed(0).await;
    watchman.stop().await;
    let books = stage.books().await;
    let row = &books.executions[0];
    assert_eq!(books.states(), [state]);
    assert!(row.reason.as_deref().unwrap().contains(NOTE));
    assert!(row.evidence.is_some(), "it stays");
    assert_eq!(books.audit.len(), usize::from(state == State::Done));
    assert_eq!(stage.effects().len(), 1, "the owner's");
}

#[tokio::test]
async fn an_uncertain_execution_is_settled_as_done() {
    settled_as("done", State::Done).await;
}

#[tokio::test]
async fn an_uncertain_execution_is_settled_as_failed() {
    settled_as("failed", State::Failed).await;
}

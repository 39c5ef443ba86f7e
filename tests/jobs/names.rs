//! The name of Redis cannot be resolved for a while: jobs wait where they are, and are taken when it can.

use vigia::domain::rules::RuleKind;
use vigia::simulator::LedgerKind;

use crate::name_server::{NameServer, Names};
use crate::scene::{Backend, Scene, buying};
use crate::waiting::until;
use crate::watchman::Watchman;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_resumed_when_the_name_of_redis_is_known_again() {
    let names = NameServer::start(Names::Known);
    let mut scene = Scene::on(Backend::Redis, &[]).await;
    let asked = scene.player("asked").await;
    let entry = scene.by_job(&asked, RuleKind::AutoEntry, buying()).await;
    let mut command = scene.stage.run();
    let url = scene.redis_url().replace("127.0.0.1", "localhost");
    command.env("REDIS_URL", url);
    let watchman: Watchman = scene.start_by(names.asked_by(&command), 1).await;
    scene.told(&scene.ask(&entry).await).await;
    names.are(Names::Denied);
    scene.redis().kill();
    scene.redis().restart().await;
    // Redis is there, and nobody finds it.
    let cause = until("a queue that says that its host is not found", || async {
        let cause = scene.status().await.queue.cause?;
        cause.contains("lookup").then_some(cause)
    })
    .await;
    let waits = scene.ask(&entry).await;
    assert_eq!(scene.status().await.queue.state, "lost");
    names.are(Names::Known);
    let known = tokio::time::Instant::now();
    assert_eq!(scene.told(&waits).await["status"], "completed");
    println!(
        "{cause}; a job was done {:?} after the name was known",
        known.elapsed()
    );
    assert_eq!(scene.effects(&asked.key(), LedgerKind::Filled).len(), 2);
    assert_eq!(watchman.count("actor.died"), 0, "{}", watchman.told());
    watchman.stop().await;
}

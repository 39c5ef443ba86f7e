//! Every actor is killed in every place an actor can die. Each time it comes back, the trigger that
//! falls into the outage takes effect exactly once, and the other account notices nothing.

use vigia::domain::execution::State;
use vigia::journal::{Execution, Filter};
use vigia::supervision::failpoint::{self, Deed, Place};
use vigia::telemetry::Event;

use crate::harness::{DANGER, MARGIN, Script, Stage, Trader, adding, adding_but};

/// Whom to kill.
#[derive(Clone, Copy, PartialEq)]
enum Victim {
    PriceFeed,
    Connection,
    Automation,
    Intake,
    AuditLog,
    HealthReporter,
}

/// Where to kill it.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    In(Place),
    /// While it starts, after it was killed in a handler.
    Started,
}

impl Victim {
    /// The place it passes when it starts, and whether others pass it too.
    fn start(self) -> (&'static str, bool) {
        match self {
            Self::PriceFeed => ("price_feed.started", true),
            Self::Connection => ("connection.started", false),
            Self::Automation => ("automation.started", false),
            Self::Intake => ("intake.started", true),
            Self::AuditLog => ("audit_log.started", true),
            Self::HealthReporter => ("health_reporter.started", true),
        }
    }
}

async fn it_comes_back_and_nothing_is_lost_or_doubled(victim: Victim, death: Death) {
    let mut script = Script::new();
    if death == Death::Started && victim.start().1 {
        script = script.alone();
    }
    let mut stage = script.play().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    let (actor, key) = match victim {
        Victim::PriceFeed => ("price_feed/sim".to_owned(), None),
        Victim::Connection => (alpha.connection(), Some(alpha.name.clone())),
        Victim::Automation => (format!("automation/{guard}"), Some(guard.to_string())),
        Victim::Intake => ("intake".to_owned(), None),
        Victim::AuditLog => ("audit_log".to_owned(), None),
        Victim::HealthReporter => ("health_reporter".to_owned(), None),
    };
    calm(&mut stage, &alpha, &beta).await;
    stage.mark();
    let (place, deaths) = match death {
        Death::In(place) => (place, 1),
        Death::Started => {
            failpoint::set(victim.start().0, key.as_deref(), Deed::Panic(1));
            (Place::Handler, 2)
        }
    };
    stage.app().crash(&actor, place);
    let cause = stage.died(&actor).await;
    assert!(cause.contains("failpoint"), "{cause}");
    stage.control.set_price(DANGER).unwrap();
    stage.restarted(&actor, deaths).await;
    stage.done(&alpha).await;
    stage.done(&beta).await;
    for trader in [&alpha, &beta] {
        assert_eq!(stage.effects(trader).len(), 1, "{}", trader.name);
        assert_eq!(stage.margin(trader), 2 * MARGIN);
        assert_eq!(stage.states(trader).await, [State::Done]);
    }
    only_this_died(&mut stage, &actor, deaths);
    undisturbed(&mut stage, &beta);
    stage.end().await;
}

/// Both accounts are on their sockets, so that what is reported from now on has a cause.
async fn calm(stage: &mut Stage, alpha: &Trader, beta: &Trader) {
    use vigia::domain::connection::Transport::Websocket;
    stage.live_over(alpha, Websocket).await;
    stage.live_over(beta, Websocket).await;
}

fn only_this_died(stage: &mut Stage, victim: &str, deaths: usize) {
    let died: Vec<_> = stage
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::ActorDied { actor, .. } => Some(actor.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(died, vec![victim; deaths]);
}

fn undisturbed(stage: &mut Stage, other: &Trader) {
    let of_other = |event: &&Event| match event {
        Event::ConnectionState { account, .. } | Event::TransportSwitched { account, .. } => {
            account.id == other.id
        }
        _ => false,
    };
    let noticed: Vec<_> = stage.events().iter().filter(of_other).cloned().collect();
    assert!(noticed.is_empty(), "{noticed:?}");
}

macro_rules! deaths {
    ($($name:ident => $victim:ident),* $(,)?) => { $(
        mod $name {
            use super::{Death, Place, Victim, it_comes_back_and_nothing_is_lost_or_doubled as proof};

            #[actix::test]
            async fn dies_in_a_handler() {
                proof(Victim::$victim, Death::In(Place::Handler)).await;
            }

            #[actix::test]
            async fn dies_in_a_timer() {
                proof(Victim::$victim, Death::In(Place::Timer)).await;
            }

            #[actix::test]
            async fn dies_in_a_future() {
                proof(Victim::$victim, Death::In(Place::Future)).await;
            }

            #[actix::test]
            async fn dies_while_it_starts() {
                proof(Victim::$victim, Death::Started).await;
            }
        }
    )* };
}

deaths! {
    price_feed => PriceFeed,
    connection => Connection,
    automation => Automation,
    intake => Intake,
    audit_log => AuditLog,
    health_reporter => HealthReporter,
}

/// The executor of alpha dies at a place that all executors pass. Beta's guard fires later.
async fn an_executor_dies_at(
    place: &'static str,
    key: impl Fn(&Trader) -> Option<String>,
) -> Stage {
    let mut stage = Script::new().alone().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let later = adding_but(&serde_json::json!({ "margin_threshold": 0.9 }));
    let (beta, _) = stage.guarded("beta", later).await;
    calm(&mut stage, &alpha, &beta).await;
    stage.mark();
    failpoint::set(place, key(&alpha).as_deref(), Deed::Panic(1));
    stage.control.set_price(DANGER).unwrap();
    assert!(stage.died("executor/0").await.contains(place));
    stage.restarted("executor/0", 1).await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    only_this_died(&mut stage, "executor/0", 1);
    stage.control.set_price(91_500.0).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.effects(&beta).len(), 1);
    assert_eq!(stage.effects(&alpha).len(), 1);
    undisturbed(&mut stage, &beta);
    stage
}

/// All executions, the first first.
async fn journal(stage: &Stage) -> Vec<Execution> {
    let all = Filter::default();
    let listed = stage.app().shared.journal.executions(&all).await;
    let mut rows = listed.unwrap().rows;
    rows.reverse();
    rows
}

mod executor {
    use super::*;

    #[actix::test]
    async fn dies_when_it_is_given_work() {
        let stage = an_executor_dies_at("executor.run", |alpha| Some(alpha.name.clone())).await;
        stage.end().await;
    }

    #[actix::test]
    async fn dies_while_it_starts() {
        an_executor_dies_at("executor.started", |_| None)
            .await
            .end()
            .await;
    }

    #[actix::test]
    async fn dies_before_it_sends() {
        an_executor_dies_at("execution.planned", |_| None)
            .await
            .end()
            .await;
    }

    /// The journal says `sending`, the exchange never heard of it: proven not applied, and the
    /// guard acts anew.
    #[actix::test]
    async fn dies_between_the_durable_sending_and_the_request() {
        let stage = an_executor_dies_at("execution.sending", |_| None).await;
        let rows = journal(&stage).await;
        assert_eq!(rows[0].state, State::Failed);
        assert_eq!(rows[0].reason.as_deref(), Some("not_applied"));
        assert_eq!(rows[1].episode, rows[0].episode + 1);
        stage.end().await;
    }

    /// The exchange has applied it, the answer died with the executor: proven applied, once.
    #[actix::test]
    async fn dies_with_the_answer_in_hand() {
        let stage = an_executor_dies_at("execution.answered", |_| None).await;
        let rows = journal(&stage).await;
        assert_eq!(rows.len(), 2, "one of alpha, one of beta: {rows:#?}");
        stage.end().await;
    }

    #[actix::test]
    async fn dies_after_it_recorded() {
        an_executor_dies_at("execution.recorded", |_| None)
            .await
            .end()
            .await;
    }
}

//! An account goes to another network of the exchange: nothing of the old one is acted on any more,
//! what was under way there is proven there, and nothing is ever sent to the wrong one.

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use vigia::app;
use vigia::domain::execution::State;
use vigia::domain::position::{Position, Side};
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Sats;
use vigia::exchange::NewTrade;
use vigia::simulator::{Control, Fault, LedgerSource, Simulator};

use crate::scrape::{tree, until};
use crate::stage::{
    ADDED, Deed, Owner, QUANTITY, START, Stage, THRESHOLD, Windows, account_of, price_at,
    wanted_server,
};
use crate::watchman::{SOON, Watchman};

/// The other network.
const OTHER: &str = "other";
const RUNNING: &str = "/v3/futures/isolated/trades/running";

/// Two networks; the second is known by its control alone.
struct Networks {
    stage: Stage,
    other: Control,
    /// So many changes were the owner's own there.
    owner_did: usize,
    _simulator: Simulator,
}

impl Networks {
    async fn set() -> Self {
        let windows = Windows::default();
        let simulator = windows.exchange();
        let more = format!(
            "[networks.{OTHER}]\napi_url = \"{}\"\nstream_url = \"{}\"\n",
            simulator.api_url(),
            simulator.stream_url()
        );
        Self {
            stage: Stage::configured(wanted_server(), windows, &more).await,
            other: simulator.control(),
            owner_did: 0,
            _simulator: simulator,
        }
    }

    /// With a position of alice's under guard here, and another of hers there.
    async fn guarded(deed: Deed) -> (Self, Position, Position) {
        let mut networks = Self::set().await;
        let (owner, here) = networks.stage.guarded("alice", deed).await;
        let there = networks.also_there(&owner).await;
        (networks, here, there)
    }

    /// What was decided is skipped for the change, the account is live there, and nothing was sent here
    /// nor there.
    async fn only_skipped(&self, watchman: Watchman) {
        let skipped = watchman.until("execution.skipped").await;
        assert_eq!(skipped["reason"], "network_changed", "{skipped}");
        self.live_there(&watchman).await;
        assert_eq!((self.stage.effects().len(), self.sent_there()), (0, 0));
        let books = self.stage.agree_after_stop(watchman).await;
        assert_eq!(books.states(), [State::Skipped]);
    }

    /// The same key on the other network, with a position of its own.
    async fn also_there(&mut self, owner: &Owner) -> Position {
        self.other.add_account(account_of(&owner.name));
        let rest = app::rest_client(self.stage.settings(), OTHER, self.stage.clock).unwrap();
        let trade = NewTrade::market(Side::Buy, QUANTITY, 10.0, "there".to_owned());
        let opening = rest.open(&owner.credentials, &trade, rest.clock().now());
        let position = opening.await.unwrap();
        self.owner_did = self.done_there();
        position
    }

    /// As another process would change it.
    async fn change(&self) {
        let settings = self.stage.settings();
        let url = settings.database_url();
        let on_server = url.starts_with("postgres");
        let url = if on_server {
            url
        } else {
            format!("sqlite://{}", self.stage.database().display())
        };
        let table = if on_server { "vigia." } else { "" };
        let update = format!("UPDATE {table}user_exchange_accounts SET network = '{OTHER}'");
        let store = Database::connect(url).await.unwrap();
        let changed = store.execute_unprepared(&update).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
        store.close().await.unwrap();
    }

    fn asked_there(&self) -> u64 {
        self.other.requests_of("key-alice")
    }

    /// How many changes were asked for there, beyond what the owner did.
    fn sent_there(&self) -> usize {
        self.done_there() - self.owner_did
    }

    /// How many changes were asked for there, by whomever.
    fn done_there(&self) -> usize {
        let entries = self.other.ledger();
        let asked = entries
            .iter()
            .filter(|entry| entry.source == LedgerSource::Api);
        asked.count()
    }

    async fn live_there(&self, watchman: &Watchman) {
        until("it is live on the other network", watchman, || async {
            let account = tree(&self.stage, "?account=alice").await.accounts.pop()?;
            (account.network == OTHER && account.state == "live").then_some(())
        })
        .await;
    }
}

fn entry() -> Value {
    json!({ "side": "b", "quantity": 100, "trigger_price": START * 0.97 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_served_there_and_its_old_positions_are_left_alone() {
    let (networks, here, there) = Networks::guarded(Deed::Close).await;
    let stage = &networks.stage;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let asked_first = networks.asked_there();
    networks.change().await;
    networks.live_there(&watchman).await;
    watchman.until_armed(2).await;
    assert!(networks.asked_there() > asked_first);
    let asked_here = stage.control.requests_of("key-alice");
    stage.endanger(&here);
    let price = price_at(&there, there.margin, THRESHOLD + 0.05);
    networks.other.set_price(price).unwrap();
    let done = watchman.until("execution.done").await;
    assert_eq!(done["position"], there.id.to_string(), "{done}");
    assert_eq!(networks.sent_there(), 1);
    assert_eq!(stage.effects(), []);
    assert_eq!(stage.control.requests_of("key-alice"), asked_here);
    let ended =
        |line: &Value| line["event"] == "actor.stopped" && line["actor"] == "connection/alice";
    watchman
        .until_where("the old connection has ended", ended)
        .await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_proven_where_it_was_sent_before_it_goes() {
    let (networks, here, _) = Networks::guarded(Deed::Add).await;
    let stage = &networks.stage;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let lost = Fault::LoseReply
        .on_key("key-alice")
        .on_route(Deed::Add.route());
    stage.control.inject(lost.times(1)).unwrap();
    // No proof before we let it.
    let away = Fault::status(503);
    let away = away.on_key("key-alice").on_route(RUNNING);
    stage.control.inject(away).unwrap();
    stage.endanger(&here);
    stage
        .until("it is sent", SOON, |_| stage.effects().len() == 1)
        .await;
    let asked = networks.asked_there();
    networks.change().await;
    let told = |line: &Value| {
        let text = line["message"].as_str().unwrap_or_default();
        line["event"] == "config.unusable" && text.contains("its network was changed")
    };
    watchman.until_where("it is told why it stays", told).await;
    // In danger again, and nothing watches it any more.
    let margin = Sats(here.margin.0 + ADDED.0);
    let low = price_at(&here, margin, THRESHOLD + 0.05);
    stage.control.set_price(low).unwrap();
    let restart = stage.cli(&["account", "restart", "alice"]).await;
    restart.refused(&["its network was changed"]);
    until("the price is seen", &watchman, || async {
        let account = tree(stage, "?account=alice").await.accounts.pop()?;
        let seen = account.price.is_some_and(|price| price.usd() <= low);
        (seen && account.network != OTHER && account.automations.is_empty()).then_some(())
    })
    .await;
    assert_eq!(networks.asked_there(), asked);
    stage.control.clear_faults();
    watchman.until("execution.done").await;
    networks.live_there(&watchman).await;
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
    assert_eq!(networks.sent_there(), 0);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_under_way_is_proven_where_it_was_sent() {
    let (networks, here, _) = Networks::guarded(Deed::Add).await;
    let stage = &networks.stage;
    stage.dies_at("execution.answered", &here).await;
    networks.change().await;
    let watchman = stage.start();
    watchman.until("execution.done").await;
    networks.live_there(&watchman).await;
    assert_eq!(stage.effects().len(), 1);
    assert_eq!(networks.sent_there(), 0);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_had_only_planned_is_never_sent_there() {
    let mut networks = Networks::set().await;
    let owner = networks.stage.owner("alice");
    let adding = networks
        .stage
        .automate(&owner, RuleKind::AutoEntry, entry(), true);
    adding.await;
    networks.also_there(&owner).await;
    let stage = &networks.stage;
    let mut doomed = stage.start_to_die_at("execution.planned");
    doomed.until_armed(1).await;
    stage.control.set_price(START * 0.96).unwrap();
    doomed.died().await;
    networks.change().await;
    // Where it goes it would be true, too.
    networks.other.set_price(START * 0.96).unwrap();
    let watchman = stage.start();
    networks.only_skipped(watchman).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_next_try_is_not_sent_any_more() {
    let (networks, here, _) = Networks::guarded(Deed::Add).await;
    let stage = &networks.stage;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let busy = Fault::Status {
        status: 429,
        code: None,
        retry_after: Some(2.0),
        plain: false,
    };
    let busy = busy.on_key("key-alice").on_route(Deed::Add.route());
    stage.control.inject(busy.times(1)).unwrap();
    stage.endanger(&here);
    watchman.until("execution.deferred").await;
    networks.change().await;
    networks.only_skipped(watchman).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_on_a_network_that_is_not_configured_any_more_is_left_and_told() {
    let (networks, here, _) = Networks::guarded(Deed::Add).await;
    let stage = &networks.stage;
    stage.dies_at("execution.answered", &here).await;
    networks.change().await;
    let config = std::fs::read_to_string(stage.config_file()).unwrap();
    let without = config.replace("[networks.sim]", "[networks.renamed]");
    assert_ne!(config, without);
    std::fs::write(stage.config_file(), without).unwrap();
    let watchman = stage.start();
    watchman.until("admin.listening").await;
    networks.live_there(&watchman).await;
    let left = watchman.until("execution.left").await;
    assert_eq!(left["network"], "sim", "{left}");
    watchman.stop().await;
    assert_eq!(stage.books().await.states(), [State::Sending]);
    assert_eq!((stage.effects().len(), networks.sent_there()), (1, 0));
}

//! What the live book saves a reader, and how long an order takes from the price that triggers it:
//! `cargo bench --profile fast --bench latency`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench reads the clock

mod stage;

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::Value;
use stage::figures::{Figures, heading};
use stage::owners::{closing, guarding};
use stage::{CALM, DANGER, Stage};
use vigia::domain::position::Position;
use vigia::simulator::LedgerKind;
use vigia::telemetry::Event;

/// Positions of the account that is read.
const POSITIONS: usize = 5;
const HTTP_READS: usize = 2_000;
/// Readings of the book for each one over HTTP.
const BOOK_READS: usize = 20;
/// Accounts, and how often all of them are endangered at once.
const CROWDS: [(usize, usize); 3] = [(1, 100), (100, 5), (1_000, 1)];

async fn stage() -> Stage {
    let windows = [
        // What an account may ask of the exchange is not what is measured.
        ("limits.sockets", 2_000),
        ("limits.new_sockets_per_hour", 100_000),
        ("limits.logins_per_minute", 100_000),
        ("limits.requests_per_second", 100),
        ("supervision.refresh_ms", 50),
    ];
    Stage::set(&windows, |_| {}).await
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The same account's positions, from the live book and over HTTP, in turns.
async fn reading() {
    let stage = stage().await;
    let owners = stage.owners(1, &guarding(1_000)).await;
    for _ in 1..POSITIONS {
        stage.open_more(&owners).await;
    }
    stage.over_sockets(&owners).await;
    let account = stage.account(&owners[0]);
    let (mut from_book, mut over_http, mut timer) = (vec![], vec![], vec![]);
    for _ in 0..HTTP_READS {
        let asked = Instant::now();
        let read = stage.rest.running(&owners[0].credentials).await;
        over_http.push(micros(asked.elapsed()));
        assert_eq!(read.expect("a reading").positions.len(), POSITIONS);
        for _ in 0..BOOK_READS {
            let asked = Instant::now();
            let rows = &account.view.load().rows;
            let read: Vec<Position> = rows.iter().map(|row| row.position.clone()).collect();
            from_book.push(micros(asked.elapsed()));
            assert_eq!(black_box(read).len(), POSITIONS);
        }
        let asked = Instant::now();
        timer.push(micros(asked.elapsed()));
    }
    println!(
        "reading {POSITIONS} positions of one account, by turns, HTTP on this machine's loopback"
    );
    heading("microseconds");
    let (from_book, over_http) = (Figures::of(from_book), Figures::of(over_http));
    from_book.print("from the live book, copied");
    over_http.print("over HTTP");
    Figures::of(timer).print("the timer itself");
    println!(
        "mean {:.3} against {:.1}: {:.0} times; p50 {:.0} times",
        from_book.mean(),
        over_http.mean(),
        over_http.mean() / from_book.mean(),
        over_http.quantile(0.5) / from_book.quantile(0.5)
    );
    println!(
        "These are two different things: memory, which a socket keeps current, and a request. Over \
         the internet a request\ntakes its round trip longer and the book does not, so no share of \
         \"latency saved\" follows from this. The service\nthat this one replaces stated one, 96.2 % \
         (means of 12.60 ms and 328 ms), from two different paths."
    );
    over_http.bars("over HTTP", "microseconds");
    stage.end().await;
}

/// What a crowd's orders took, in milliseconds.
struct Crowd {
    times: Figures,
    /// The means of the hops on their way, by name.
    hops: Vec<(&'static str, f64)>,
    /// Statements and transactions of the database for each order, its recording included.
    statements: f64,
    commits: f64,
}

/// Each account has one position; one price endangers all of them. From the reading of the frame with
/// that price to each order's leaving, its intent being durable by then.
async fn orders(accounts: usize, rounds: usize, guard: &Value) -> Crowd {
    let stage = stage().await;
    let owners = stage.owners(accounts, guard).await;
    stage.over_sockets(&owners).await;
    let (mut times, mut statements, mut commits) = (vec![], 0, 0);
    let writes = stage.app.shared.store.write_counts();
    for round in 0..rounds {
        if round > 0 {
            stage.price(CALM).await;
            stage.open_more(&owners).await;
        }
        let mark = stage.ears.mark();
        let before = (writes.statements.read(), writes.commits.read());
        stage.control.set_price(DANGER).expect("a price");
        let sending = |_, event: &Event| match event {
            Event::Sending {
                tick_to_order_us, ..
            } => Some(tick_to_order_us.map(|micros| micros as f64 / 1e3)),
            _ => None,
        };
        let sent = stage.ears.hear("orders", mark, accounts, sending).await;
        let done = |_, event: &Event| matches!(event, Event::Done { .. }).then_some(());
        stage.ears.hear("closes", mark, accounts, done).await;
        statements += writes.statements.read() - before.0;
        commits += writes.commits.read() - before.1;
        times.extend(sent);
    }
    let closed = stage.control.ledger();
    let closed = closed
        .iter()
        .filter(|entry| entry.kind == LedgerKind::Closed);
    let (closed, orders) = (closed.count(), accounts * rounds);
    assert_eq!((closed, times.len()), (orders, orders), "each once");
    let hops = stage.app.shared.events.metrics().hops.each();
    let hops = hops.map(|(name, hop)| (name, hop.read()));
    let hops = hops.map(|(name, seen)| (name, seen.sum * 1e3 / seen.count.max(1) as f64));
    stage.end().await;
    let dated = times.iter().flatten().count();
    if dated < orders {
        println!(
            "{} orders came of no price, but of a reading",
            orders - dated
        );
    }
    let each = |count: u64| count as f64 / orders as f64;
    Crowd {
        times: Figures::of(times.into_iter().flatten()),
        hops: hops.to_vec(),
        statements: each(statements),
        commits: each(commits),
    }
}

async fn bench() {
    reading().await;
    let mut all = vec![];
    for (accounts, rounds) in CROWDS {
        all.push((accounts, rounds, orders(accounts, rounds, &closing()).await));
    }
    heading("price -> order, intent durable, ms");
    for (accounts, rounds, crowd) in &all {
        crowd.times.print(&format!(
            "accounts endangered at once: {accounts}, {rounds} times"
        ));
    }
    println!(
        "\nthe hops of these orders, means in ms; the database, per order, its recording included"
    );
    for (accounts, _, crowd) in &all {
        let hops = crowd.hops.iter();
        let hops: Vec<_> = hops.map(|(name, ms)| format!("{name} {ms:.2}")).collect();
        println!(
            "{accounts:>5}: {}; {:.2} statements, {:.2} commits",
            hops.join(", "),
            crowd.statements,
            crowd.commits
        );
    }
    for (accounts, _, crowd) in &all {
        crowd.times.bars(&format!("accounts: {accounts}"), "ms");
    }
}

fn main() {
    stage::run(bench());
}

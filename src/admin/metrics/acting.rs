//! From tick to order: hops, executions, what they waited for.

use super::page::{Page, label};
use crate::actors::Shared;

pub(super) fn figures(page: &mut Page, shared: &Shared) {
    hops(page, shared);
    executions(page, shared);
    pool(page, shared);
    troubles(page, shared);
}

fn hops(page: &mut Page, shared: &Shared) {
    let hops = &shared.events.metrics().hops;
    let each = page.histogram(
        "vigia_hop_seconds",
        "Hops of live triggers from the tick to the answer, each from the end of the one before.",
    );
    for (hop, seen) in hops.each() {
        each.took(label("hop", hop), seen.read());
    }
    page.histogram(
        "vigia_tick_to_order_seconds",
        "From the tick's frame, read from the socket, to the request of a live trigger.",
    )
    .took(vec![], hops.tick_to_order.read());
}

fn executions(page: &mut Page, shared: &Shared) {
    let metrics = shared.events.metrics();
    page.counter("vigia_triggers", "Live triggers that fired.")
        .count(vec![], metrics.triggered.read());
    page.counter("vigia_episodes_armed", "Episodes that were armed.")
        .count(vec![], metrics.armed.read());
    let ended = page.counter(
        "vigia_executions",
        "Executions that ended, by action and outcome.",
    );
    for ([action, outcome], count) in metrics.executions.read() {
        let mut labels = label("action", action);
        labels.extend(label("outcome", outcome));
        ended.count(labels, count);
    }
    let skipped = page.counter(
        "vigia_executions_skipped",
        "Executions that were never sent, by reason.",
    );
    for ([reason], count) in metrics.skipped.read() {
        skipped.count(label("reason", reason), count);
    }
    page.counter(
        "vigia_executions_deferred",
        "Requests known not to have been applied, to be tried again.",
    )
    .count(vec![], metrics.deferred.read());
}

fn pool(page: &mut Page, shared: &Shared) {
    let pool = &shared.events.metrics().pool;
    for (name, help, value) in [
        (
            "vigia_executions_waiting",
            "Executions that wait for an executor or for another of their account.",
            pool.waiting.read(),
        ),
        (
            "vigia_executions_parked",
            "Executions that wait for a proof or their next try.",
            pool.parked.read(),
        ),
        (
            "vigia_executors_busy",
            "Executors that have one in hand.",
            pool.busy.read(),
        ),
        (
            "vigia_executors_started",
            "Executors that were started.",
            pool.seats.read(),
        ),
        (
            "vigia_executors_limit",
            "Executors that may be started.",
            shared.tuning.live_executions as u64,
        ),
    ] {
        page.gauge(name, help).is(vec![], value as f64);
    }
}

fn troubles(page: &mut Page, shared: &Shared) {
    let metrics = shared.events.metrics();
    let alarms = page.counter("vigia_alarms", "Alarms, by what they are about.");
    for ([what], count) in metrics.alarms.read() {
        alarms.count(label("what", what), count);
    }
    let switches = page.counter(
        "vigia_transport_switches",
        "Times at which the other transport took over, by cause.",
    );
    for ([to, cause], count) in metrics.switches.read() {
        let mut labels = label("to", to);
        labels.extend(label("cause", cause));
        switches.count(labels, count);
    }
    let lost = page.counter("vigia_sockets_lost", "Sockets that were lost, by cause.");
    for ([cause], count) in metrics.sockets_lost.read() {
        lost.count(label("cause", cause), count);
    }
    let drift = page.counter(
        "vigia_book_drift",
        "Differences between a reading and the book, by field.",
    );
    for ([field], count) in metrics.drift.read() {
        drift.count(label("field", field), count);
    }
    for (name, help, count) in [
        (
            "vigia_readings_failed",
            "Readings of accounts that failed.",
            &metrics.readings_failed,
        ),
        (
            "vigia_tickers_failed",
            "Readings of the price that failed.",
            &metrics.tickers_failed,
        ),
        (
            "vigia_frames_undecodable",
            "Frames that were skipped.",
            &metrics.undecodable,
        ),
        (
            "vigia_rate_silences",
            "Times at which the exchange asked for silence.",
            &metrics.silenced,
        ),
    ] {
        page.counter(name, help).count(vec![], count.read());
    }
}

//! What accounts of one network share: the price, and what the exchange allows.

use std::sync::Arc;

use super::page::{Labels, Page, label};
use crate::actors::{NetworkShared, Shared};
use crate::exchange::RateCounts;

pub(super) fn figures(page: &mut Page, shared: &Shared) {
    let mut networks: Vec<_> = shared.networks.iter().collect();
    networks.sort_by(|a, b| a.0.cmp(b.0));
    // A network without accounts has no price, and spends nothing.
    networks.retain(|(_, network)| network.feed.is_filled());
    for family in [prices, rates, sockets] {
        family(page, shared, &networks);
    }
}

type Networks<'a> = [(&'a String, &'a Arc<NetworkShared>)];

fn prices(page: &mut Page, shared: &Shared, networks: &Networks<'_>) {
    let now = shared.clock.mono();
    for (name, network) in networks {
        let seen = network.price.seen(now);
        let of = || label("network", name);
        let price = page.gauge("vigia_price_usd", "The last price.");
        if let Some(seen) = seen {
            price.is(of(), seen.price.usd());
        }
        let age = page.gauge(
            "vigia_price_age_seconds",
            "Since any source confirmed the price; before the first, since the start.",
        );
        age.is(of(), seen.map_or(now, |seen| seen.age).as_secs_f64());
        page.counter("vigia_ticks", "Prices that the socket has pushed.")
            .count(of(), network.price.ticks.read());
        page.gauge("vigia_levels", "Trigger levels that the feed holds.")
            .is(of(), network.price.levels.read() as f64);
    }
}

fn rates(page: &mut Page, shared: &Shared, networks: &Networks<'_>) {
    let now = shared.clock.mono();
    for (name, network) in networks {
        let of = |budget: &str| [label("network", name), label("budget", budget)].concat();
        let (left, keys) = network.key_rates.left(now);
        let free = page.gauge(
            "vigia_rate_left",
            "Requests that are free now: of all keys together, and of the address.",
        );
        free.is(of("keys"), left as f64);
        free.is(of("public"), network.public_rate.left(now) as f64);
        page.gauge("vigia_rate_keys", "Keys that have a budget.")
            .is(label("network", name), keys as f64);
        spent(page, &of("keys"), network.key_rates.counts());
        spent(page, &of("public"), network.public_rate.counts());
    }
}

fn spent(page: &mut Page, of: &Labels, counts: &RateCounts) {
    for (spend, requests, waits) in counts.read() {
        let labels = [of.clone(), label("class", spend.as_str())].concat();
        page.counter("vigia_rate_requests", "Requests that found room.")
            .count(labels.clone(), requests);
        page.counter(
            "vigia_rate_waits",
            "Times at which no room was found; each asks again later.",
        )
        .count(labels, waits);
    }
}

fn sockets(page: &mut Page, shared: &Shared, networks: &Networks<'_>) {
    let limits = shared.tuning.sockets;
    for (name, network) in networks {
        for room in network.sockets.rooms() {
            let egress = room
                .egress
                .map_or("default".to_owned(), |ip| ip.to_string());
            let of = || [label("network", name), label("egress", &egress)].concat();
            page.gauge(
                "vigia_sockets_open",
                "Sockets that are open or may still be counted.",
            )
            .is(of(), room.open as f64);
            page.gauge("vigia_sockets_new_left", "New sockets left in this hour.")
                .is(of(), room.new_left as f64);
            page.gauge("vigia_sockets_logins_left", "Logins left in this minute.")
                .is(of(), room.logins_left as f64);
        }
    }
    page.gauge("vigia_sockets_limit", "Sockets that may be open at once.")
        .is(vec![], limits.open as f64);
}

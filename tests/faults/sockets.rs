//! What sockets and the frames on them can do.

use vigia::simulator::Fault;

use crate::story::{Seen, UNNOTICED, Whom, all_over_http, over_http, told};

/// No new socket comes about.
const REFUSED: Fault = Fault::RefuseUpgrades { status: 503 };
const PRICES: &str = "futures/inverse/btc_usd/lastPrice";
const TRADES: &str = "futures/inverse/btc_usd/isolated/trades";

/// Nothing is heard of the price: the feed's socket is replaced.
const DEAF_FEED: Seen = Seen {
    feed_lost: &["silent"],
    ..UNNOTICED
};

const UNDECODABLE: Seen = Seen {
    told: &[
        ("frame.undecodable", "price_feed/sim"),
        ("frame.undecodable", "connection/alpha"),
    ],
    untold: &["transport.switched"],
    ..DEAF_FEED
};

const UNDERSTOOD: Seen = Seen {
    untold: &[
        "frame.undecodable",
        "connection.state",
        "transport.switched",
    ],
    ..UNNOTICED
};

/// One 429 keeps back whatever would be opened from the same address, the account's own among it.
const ADDRESS_PAUSES: Seen = Seen {
    lost: &["closed"],
    ..all_over_http(&["closed", "limit"])
};

/// Whether something is sent on each socket after the fault has begun.
const NUDGED: bool = true;
const ALONE: bool = false;

macro_rules! faults {
    ($($name:ident: $whom:ident, [$($fault:expr),+], $nudged:expr, $seen:expr;)+) => { $(
        #[actix::test]
        async fn $name() {
            told(Whom::$whom, vec![$($fault.into()),+], $nudged, $seen).await;
        }
    )+ };
}

faults! {
    upgrades_are_refused: All, [REFUSED, Fault::DropSockets], ALONE,
        all_over_http(&["closed", "refused"]);
    too_many_upgrades: All, [Fault::RefuseUpgrades { status: 429 }, Fault::DropSockets], ALONE,
        ADDRESS_PAUSES;
    dropped_in_the_middle_of_a_frame: All, [REFUSED, Fault::TearFrames], NUDGED,
        all_over_http(&["closed", "refused"]);
    closed_with_1000: All, [REFUSED, Fault::CloseSockets { code: 1000 }], ALONE,
        all_over_http(&["closed", "refused"]);
    closed_with_1001: All, [REFUSED, Fault::CloseSockets { code: 1001 }], ALONE,
        all_over_http(&["closed", "refused"]);
    closed_with_1008: All, [REFUSED, Fault::CloseSockets { code: 1008 }], ALONE,
        all_over_http(&["limit", "refused"]);
    closed_with_1011: All, [REFUSED, Fault::CloseSockets { code: 1011 }], ALONE,
        all_over_http(&["closed", "refused"]);
    accepted_but_silent: All, [Fault::SilenceSockets], ALONE,
        all_over_http(&["silent", "silent"]);
    one_account_silent: Alpha, [Fault::SilenceSockets], ALONE, over_http(&["silent"]);
    pings_answered_but_no_data: All, [Fault::SilenceData], NUDGED, DEAF_FEED;
    data_without_prices: All, [vigia::simulator::Injection::from(Fault::SilenceData).on_topic(PRICES)],
        NUDGED, DEAF_FEED;
    data_without_trades: All, [vigia::simulator::Injection::from(Fault::SilenceData).on_topic(TRADES)],
        NUDGED, UNDERSTOOD;
    each_frame_three_seconds_late: All, [Fault::DelayFrames { ms: 3000 }], ALONE,
        all_over_http(&["silent"]);
    login_refused: Alpha, [Fault::RefuseLogins, Fault::DropSockets], ALONE,
        over_http(&["closed", "auth", "auth"]);
    subscription_answered_partially: All, [Fault::PartialSubscribe, Fault::DropSockets], ALONE,
        all_over_http(&["closed", "decode"]);
    malformed_json: All, [Fault::MalformedEvents], NUDGED, UNDECODABLE;
    unknown_events_and_topics: All, [Fault::StrangeEvents], NUDGED, UNDERSTOOD;
    truncated_frames: All, [REFUSED, Fault::CutFrames], NUDGED,
        all_over_http(&["decode", "refused"]);
    frames_of_64_kib: All, [Fault::HugeEvents { bytes: 64 << 10 }], NUDGED, UNDERSTOOD;
    frames_of_2_mib: All, [REFUSED, Fault::HugeEvents { bytes: 2 << 20 }], NUDGED,
        all_over_http(&["decode", "refused"]);
    duplicated_events: All, [Fault::DuplicateEvents], NUDGED, UNDERSTOOD;
    reordered_events: All, [Fault::ReorderEvents], NUDGED, UNNOTICED;
    missing_events: All, [Fault::DropEvents], NUDGED, DEAF_FEED;
}

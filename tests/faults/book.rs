//! The book against a model of the exchange: whatever order events, readings and answers to own
//! commands come in, no trade is revived, and no margin is believed to be lower than our own add
//! left it unless it is.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use vigia::domain::book::{Book, TradeEvent};
use vigia::domain::ids::PositionId;
use vigia::domain::position::{Position, Side};
use vigia::domain::units::Sats;

/// Trades of a world.
const TRADES: usize = 3;
/// A reading may show the exchange as it was so long before it was asked: under the two seconds
/// after which the book believes what it has seen twice.
const MOST_LAG_MS: u64 = 1900;
/// How long everything is under way at most, by kind.
const MOST_WAY_MS: u64 = 600;

/// What happens at the exchange, or is asked of it.
#[derive(Clone, Copy, Debug)]
enum Act {
    Open(usize),
    Close(usize),
    Add(usize, i64),
    CashIn(usize, i64),
    Funding(usize),
    OwnAdd(usize, i64),
    OwnClose(usize),
    Read { lag_ms: u64 },
}

/// One act, how long after the one before, and how long requests and news of it are under way.
#[derive(Clone, Copy, Debug)]
struct Step {
    after_ms: u64,
    act: Act,
    there_ms: u64,
    back_ms: u64,
    lost: bool,
}

fn act(lagging: bool) -> impl Strategy<Value = Act> {
    let trade = 0..TRADES;
    let lag = if lagging { MOST_LAG_MS } else { 0 };
    prop_oneof![
        2 => trade.clone().prop_map(Act::Open),
        1 => trade.clone().prop_map(Act::Close),
        1 => (trade.clone(), 1..50_i64).prop_map(|(trade, sats)| Act::Add(trade, sats)),
        1 => (trade.clone(), 1..50_i64).prop_map(|(trade, sats)| Act::CashIn(trade, sats)),
        1 => trade.clone().prop_map(Act::Funding),
        3 => (trade.clone(), 1..50_i64).prop_map(|(trade, sats)| Act::OwnAdd(trade, sats)),
        1 => trade.prop_map(Act::OwnClose),
        8 => (0..=lag).prop_map(|lag_ms| Act::Read { lag_ms }),
    ]
}

fn steps(lossy: bool, lagging: bool) -> impl Strategy<Value = Vec<Step>> {
    let way = || 0..MOST_WAY_MS;
    let step = (0..900_u64, act(lagging), way(), way(), any::<u8>());
    let step = step.prop_map(move |(after_ms, act, there_ms, back_ms, roll)| Step {
        after_ms,
        act,
        there_ms,
        back_ms,
        lost: lossy && roll < 64,
    });
    prop::collection::vec(step, 1..80)
}

/// What arrives at the book.
#[derive(Clone, Debug)]
enum Arrival {
    Event(usize, TradeEvent),
    Answer {
        trade: usize,
        margin: i64,
        applied_at: u64,
    },
    Closed(usize),
    Reading {
        requested_at: u64,
        shown: BTreeMap<usize, i64>,
    },
}

/// The exchange: what each trade's margin was from when on; `None`: not running.
#[derive(Default)]
struct World {
    past: [Vec<(u64, Option<i64>)>; TRADES],
    arrivals: Vec<(u64, Arrival)>,
    /// Events arrive in the order in which they were sent.
    last_event_at: u64,
}

impl World {
    fn at(&self, trade: usize, time: u64) -> Option<i64> {
        let past = self.past[trade].iter().rev();
        past.into_iter().find(|(since, _)| *since <= time)?.1
    }

    /// Whether a trade has had this margin at some time from `since` on.
    fn has_had(&self, trade: usize, margin: i64, since: u64) -> bool {
        let later = self.past[trade]
            .iter()
            .any(|(at, had)| *at >= since && *had == Some(margin));
        later || self.at(trade, since) == Some(margin)
    }

    fn set(&mut self, trade: usize, time: u64, margin: Option<i64>) {
        self.past[trade].push((time, margin));
    }

    fn tell(&mut self, step: &Step, trade: usize, event: TradeEvent, now: u64) {
        if !step.lost {
            self.last_event_at = self.last_event_at.max(now + step.back_ms);
            let event = Arrival::Event(trade, event);
            self.arrivals.push((self.last_event_at, event));
        }
    }

    /// Something happens at the exchange now.
    fn happens(&mut self, step: &Step, now: u64) {
        let (arrives, new) = (now + step.back_ms, |sats: i64| Some(1000 + sats));
        match step.act {
            Act::Open(trade) if self.past[trade].is_empty() => {
                self.set(trade, now, new(0));
                self.tell(step, trade, TradeEvent::Dirty, now);
            }
            Act::Open(_) => {}
            Act::Close(trade) | Act::OwnClose(trade) => {
                if self.at(trade, now).is_some() {
                    self.set(trade, now, None);
                    self.tell(step, trade, TradeEvent::Gone, now);
                    if matches!(step.act, Act::OwnClose(_)) {
                        self.arrivals.push((arrives, Arrival::Closed(trade)));
                    }
                }
            }
            Act::Add(trade, sats) | Act::OwnAdd(trade, sats) | Act::CashIn(trade, sats) => {
                let Some(margin) = self.at(trade, now) else {
                    return;
                };
                let takes = matches!(step.act, Act::CashIn(..));
                let margin = margin + if takes { -sats } else { sats };
                self.set(trade, now, Some(margin));
                if matches!(step.act, Act::OwnAdd(..)) {
                    let applied_at = now;
                    let answer = Arrival::Answer {
                        trade,
                        margin,
                        applied_at,
                    };
                    self.arrivals.push((arrives, answer));
                }
            }
            Act::Funding(trade) => {
                if let Some(margin) = self.at(trade, now) {
                    self.set(trade, now, Some(margin - 1));
                    self.tell(step, trade, TradeEvent::Dirty, now);
                }
            }
            Act::Read { .. } => {}
        }
    }

    /// A reading that was requested then is made now.
    fn read(&mut self, step: &Step, lag_ms: u64, requested_at: u64, now: u64) {
        let as_of = now.saturating_sub(lag_ms);
        let shown = |trade| Some((trade, self.at(trade, as_of)?));
        let shown = (0..TRADES).filter_map(shown).collect();
        let reading = Arrival::Reading {
            requested_at,
            shown,
        };
        self.arrivals.push((now + step.back_ms, reading));
    }
}

/// The book, and what it must not forget.
#[derive(Default)]
struct Reader {
    book: Book,
    gone: [bool; TRADES],
    /// What our own add left, and when it was applied.
    own: [Option<(i64, u64)>; TRADES],
    /// The last event or own answer.
    touched_at: [u64; TRADES],
    missed_event: bool,
}

fn id(trade: usize) -> PositionId {
    PositionId(uuid::Uuid::from_u128(trade as u128 + 1))
}

fn position(trade: usize, margin: i64) -> Position {
    Position {
        id: id(trade),
        margin: Sats(margin),
        ..Position::sample(Side::Buy, 1000, 100_000.0, 10)
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

impl Reader {
    fn margin(&self, trade: usize) -> Option<i64> {
        self.book.get(id(trade)).map(|position| position.margin.0)
    }

    fn takes(&mut self, arrival: Arrival, now: u64, world: &World) {
        match arrival {
            Arrival::Event(trade, event) => {
                self.book.event(id(trade), event, ms(now));
                self.gone[trade] |= event == TradeEvent::Gone;
                self.touched_at[trade] = now;
            }
            Arrival::Closed(trade) => {
                self.book.own_close(id(trade), ms(now));
                self.gone[trade] = true;
                self.touched_at[trade] = now;
            }
            Arrival::Answer {
                trade,
                margin,
                applied_at,
            } => {
                self.book.own_answer(position(trade, margin), ms(now));
                self.own[trade] = Some((margin, applied_at));
                self.touched_at[trade] = now;
            }
            Arrival::Reading {
                requested_at,
                shown,
            } => {
                let before = [0, 1, 2].map(|trade| self.margin(trade));
                let running = shown
                    .iter()
                    .map(|(trade, margin)| position(*trade, *margin));
                let outcome = self.book.read(running.collect(), ms(requested_at));
                self.missed_event |= outcome.missed_event;
                for (trade, before) in before.into_iter().enumerate() {
                    let overtaken = requested_at < self.touched_at[trade];
                    assert!(
                        !overtaken || self.margin(trade) == before,
                        "a reading from before the last event or answer was applied"
                    );
                }
            }
        }
        self.must_hold(world);
    }

    fn must_hold(&self, world: &World) {
        for trade in 0..TRADES {
            let margin = self.margin(trade);
            assert!(!self.gone[trade] || margin.is_none(), "revived");
            if let (Some((own, since)), Some(margin)) = (self.own[trade], margin) {
                assert!(
                    margin >= own || world.has_had(trade, margin, since),
                    "{margin} is less than our own add left ({own}), and never was true since"
                );
            }
        }
    }
}

/// Lets the world happen, and the book hear of it; answers both as they are long after.
fn play(steps: &[Step]) -> (World, Reader) {
    let (mut world, mut reader) = (World::default(), Reader::default());
    reader.book.hears_from(ms(0));
    // Own commands on an account are made one after the other.
    let (mut now, mut free_at) = (0, 0);
    let mut due: Vec<(u64, u64, Step)> = vec![];
    for step in steps {
        now += step.after_ms;
        let own = matches!(step.act, Act::OwnAdd(..) | Act::OwnClose(_));
        if own && now < free_at {
            continue;
        }
        let asked = own || matches!(step.act, Act::Read { .. });
        let there = if asked { now + step.there_ms } else { now };
        if own {
            free_at = there + step.back_ms + 1;
        }
        due.push((there, now, *step));
    }
    // Reading goes on when all has come to rest.
    let rest = now + 2 * MOST_WAY_MS + MOST_LAG_MS;
    for number in 0..5 {
        let (act, at) = (Act::Read { lag_ms: 0 }, rest + number * 2500);
        let last = Step {
            after_ms: 0,
            act,
            there_ms: 0,
            back_ms: 0,
            lost: false,
        };
        due.push((at, at, last));
    }
    due.sort_by_key(|(there, ..)| *there);
    for (there, asked_at, step) in due {
        deliver(&mut world, &mut reader, there);
        match step.act {
            Act::Read { lag_ms } => world.read(&step, lag_ms, asked_at, there),
            _ => world.happens(&step, there),
        }
    }
    deliver(&mut world, &mut reader, u64::MAX);
    (world, reader)
}

/// What has arrived by then, in the order in which it arrives.
fn deliver(world: &mut World, reader: &mut Reader, by: u64) {
    world.arrivals.sort_by_key(|(at, _)| *at);
    let due = world.arrivals.partition_point(|(at, _)| *at <= by);
    let arrived: Vec<_> = world.arrivals.drain(..due).collect();
    for (at, arrival) in arrived {
        reader.takes(arrival, at, world);
    }
}

fn agrees(world: &World, reader: &Reader) {
    for trade in 0..TRADES {
        assert_eq!(
            reader.margin(trade),
            world.at(trade, u64::MAX),
            "trade {trade} in the end"
        );
    }
    assert!(!reader.book.is_dirty());
}

fn cases() -> ProptestConfig {
    let long = std::env::var_os("VIGIA_LONG").is_some();
    ProptestConfig {
        cases: if long { 200_000 } else { 3000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Events are lost, and readings show what was.
    #[test]
    fn nothing_is_revived_and_no_lower_margin_believed_once(steps in steps(true, true)) {
        let (world, reader) = play(&steps);
        agrees(&world, &reader);
    }

    /// A socket that tells everything is not taken for deaf, however readings and events cross.
    #[test]
    fn no_event_is_missed_where_none_is_lost(steps in steps(false, false)) {
        let (world, reader) = play(&steps);
        agrees(&world, &reader);
        prop_assert!(!reader.missed_event, "an event was missed that was not lost");
    }
}

//! The table: each act, killed at each of its points, with and without a lost reply, live or by a job.
//! Long runs play each row live and by a job.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use crate::act::Act;
use crate::point::Point;
use crate::row::Row;

/// Rows that are played at once by each test: each of them mostly waits.
const AT_ONCE: usize = 4;
/// Where the store is a server, every row has one of its own: so many rows are left out for each one
/// that is played.
const OF_SERVERS: usize = 8;

/// Whether this run may take long.
pub fn is_long() -> bool {
    std::env::var_os("VIGIA_LONG").is_some()
}

/// The rows of an act.
fn rows(act: Act) -> Vec<Row> {
    let points = Point::ALL.into_iter().filter(|point| point.is_of(act));
    let mut rows = vec![];
    for (index, point) in points.enumerate() {
        for lost in [false, true] {
            // Nobody answers a request that is not carried out.
            if point == Point::Unheard && !lost {
                continue;
            }
            let routes = point.routes();
            let chosen = (index + usize::from(lost)) % routes.len();
            for (number, route) in routes.iter().copied().enumerate() {
                if is_long() || number == chosen {
                    rows.push(Row {
                        act,
                        point,
                        route,
                        lost,
                        queue: String::new(),
                    });
                }
            }
        }
    }
    rows
}

/// Those of an act's rows that are played on the store of this run: each starts a server of its own,
/// where there is one, so every so many of them are.
fn chosen(act: Act) -> Vec<Row> {
    let mut rows = rows(act);
    if std::env::var("VIGIA_TEST_STORE").as_deref() == Ok("postgres") {
        let mut index = Act::ALL.iter().position(|of| *of == act).unwrap();
        rows.retain(|_| {
            index += 1;
            index % OF_SERVERS == 0
        });
    }
    rows
}

/// Plays rows, some of them at once, and tells how many kills were survived.
pub async fn play(rows: Vec<Row>) {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let playing: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move {
                let _permit = gate.acquire().await.unwrap();
                let survived = AssertUnwindSafe(row.play()).catch_unwind().await.is_ok();
                if !survived {
                    println!("FAILED: {}", row.label());
                }
                (row.label(), survived)
            })
        })
        .collect();
    let (mut survived, mut failed) = (0, vec![]);
    for row in playing {
        match row.await.unwrap() {
            (_, true) => survived += 1,
            (label, false) => failed.push(label),
        }
    }
    println!("kills survived: {survived}");
    assert!(failed.is_empty(), "{failed:#?}");
}

macro_rules! acts {
    ($($name:ident: $act:ident,)*) => { $(
        #[tokio::test]
        async fn $name() {
            play(chosen(Act::$act)).await;
        }
    )* };
}

acts! {
    a_close_is_done_once: Close,
    margin_is_added_once: AddMargin,
    a_reduction_is_done_once: Reduce,
    a_fallback_is_done_once: Fallback,
    a_takeprofit_is_set_once: UpdateTp,
    a_stoploss_is_set_once: UpdateSl,
    a_profit_is_taken_once: CloseTp,
    a_loss_is_cut_once: CloseSl,
    an_entry_is_made_once: Enter,
    a_cross_entry_is_made_once: CrossEnter,
    a_cross_position_is_closed_once: CrossClose,
    a_cross_position_is_reduced_once: CrossReduce,
    a_cross_deposit_is_made_once: CrossDeposit,
}

#[test]
fn the_table_names_every_act_at_every_point() {
    for act in Act::ALL {
        let rows = rows(act);
        let played = |point: Point, lost: bool| {
            rows.iter()
                .any(|row| row.point == point && row.lost == lost)
        };
        for point in Point::ALL.into_iter().filter(|point| point.is_of(act)) {
            assert!(played(point, true), "{act:?} {point:?}");
            assert!(point == Point::Unheard || played(point, false));
        }
    }
    let count: usize = Act::ALL.into_iter().map(|act| rows(act).len()).sum();
    println!("rows of the table: {count}");
}

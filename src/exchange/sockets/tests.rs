use super::*;
use crate::domain::position::{Position, Side};
use crate::domain::units::Price;

fn limits() -> SocketLimits {
    SocketLimits {
        open: 4,
        new_per_hour: 10,
        logins_per_minute: 5,
        ..SocketLimits::default()
    }
}

fn budget(limits: SocketLimits) -> SocketBudget {
    SocketBudget::new("sim:1", limits, &[], Clock::start())
}

fn id(name: &str) -> AccountId {
    AccountId::new(name)
}

/// Of a long of this leverage, entered at the present price.
fn near(leverage: i64) -> Option<Nearness> {
    let position = Position::sample(Side::Buy, 1000, 100_000.0, leverage);
    let at = Price::from_usd(100_000.0).unwrap();
    Some(Nearness::of([position].iter(), at))
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A socket of an account that is connected and logged in.
fn open(budget: &SocketBudget, name: &str, nearness: Option<Nearness>) -> Option<SocketPermit> {
    let mut permit = budget.for_account(&id(name), nearness).ok()?;
    permit.connected();
    permit.logs_in();
    permit.login_answered();
    Some(permit)
}

fn close(mut permit: SocketPermit) {
    permit.gone();
}

#[tokio::test(start_paused = true)]
async fn accounts_leave_places_for_prices_and_for_a_successor() {
    let budget = budget(limits());
    let first = open(&budget, "a", near(2)).unwrap();
    let _second = open(&budget, "b", near(2)).unwrap();
    assert!(
        open(&budget, "c", near(2)).is_none(),
        "two of four are kept"
    );
    let _prices = budget.for_prices().unwrap();
    let successor = open(&budget, "a", near(2)).unwrap();
    assert!(open(&budget, "b", near(2)).is_none(), "one at a time");
    close(first);
    close(successor);
    // Nobody else wishes any more.
    after(3).await;
    assert!(open(&budget, "c", near(2)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_was_lost_in_silence_may_still_be_counted() {
    let budget = budget(limits());
    let lost = open(&budget, "a", near(2)).unwrap();
    let _other = open(&budget, "b", near(2)).unwrap();
    drop(lost);
    assert!(open(&budget, "c", near(90)).is_none());
    let again = open(&budget, "a", near(2));
    assert!(again.is_some(), "in the place that is kept for that");
    close(again.unwrap());
    after(120).await;
    assert!(open(&budget, "c", near(90)).is_some());
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_by_the_hour_from_their_end_and_prices_have_a_share() {
    let budget = budget(limits());
    for n in 0..9 {
        after(60).await;
        close(open(&budget, &n.to_string(), near(2)).unwrap());
    }
    assert!(open(&budget, "a", near(2)).is_none(), "nine of ten");
    let mut slow = budget.for_prices().unwrap();
    assert!(budget.for_prices().is_err());
    after(3600).await;
    for n in 0..8 {
        after(60).await;
        close(open(&budget, &n.to_string(), near(2)).unwrap());
    }
    assert!(
        open(&budget, "a", near(2)).is_none(),
        "one is under way still"
    );
    close(budget.for_prices().unwrap());
    slow.connected();
    slow.gone();
}

#[tokio::test(start_paused = true)]
async fn logins_are_paced_from_their_answer_and_prices_need_none() {
    let budget = budget(SocketLimits {
        open: 50,
        logins_per_minute: 2,
        ..limits()
    });
    let mut slow = budget.for_account(&id("a"), near(2)).unwrap();
    slow.connected();
    slow.logs_in();
    let _quick = open(&budget, "b", near(2)).unwrap();
    after(60).await;
    let _third = open(&budget, "c", near(2)).unwrap();
    assert!(
        open(&budget, "d", near(2)).is_none(),
        "one is under way still"
    );
    assert!(budget.for_prices().is_ok());
    slow.login_answered();
    after(59).await;
    assert!(open(&budget, "d", near(2)).is_none());
    after(1).await;
    assert!(open(&budget, "d", near(2)).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_attempted_is_given_back() {
    let budget = budget(SocketLimits {
        logins_per_minute: 1,
        ..limits()
    });
    for _ in 0..20 {
        budget.for_account(&id("a"), near(2)).unwrap().unused();
    }
    let refused = budget.for_account(&id("a"), near(2)).unwrap();
    drop(refused);
    let only_the_attempt = budget.for_account(&id("a"), near(2));
    assert!(only_the_attempt.is_ok(), "it came to no login");
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_attempted_counts() {
    let here: IpAddr = "127.0.0.2".parse().unwrap();
    let limits = limits();
    let budget = SocketBudget::new("sim:1", limits, &[here], Clock::start());
    let attempt = |egress| Attempt {
        host: "sim:1".into(),
        egress,
        login: true,
    };
    for seconds in [3601, 3599, 61, 59, 0] {
        budget.remember(&attempt(Some(here)), Duration::from_secs(seconds));
        budget.remember(&attempt(None), Duration::ZERO);
    }
    let opened = (0..9).filter(|n| match open(&budget, &n.to_string(), near(2)) {
        Some(permit) => {
            close(permit);
            true
        }
        None => false,
    });
    assert_eq!(opened.count(), 3, "two of five logins are taken");
    after(60).await;
    let opened = (0..9).filter(|n| match open(&budget, &n.to_string(), near(2)) {
        Some(permit) => {
            close(permit);
            true
        }
        None => false,
    });
    assert_eq!(
        opened.count(),
        3,
        "of nine, three now and three before are taken"
    );
}

#[tokio::test(start_paused = true)]
async fn each_address_has_its_own_limits() {
    let addresses: Vec<IpAddr> = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    let budget = SocketBudget::new("sim:1", limits(), &addresses, Clock::start());
    let open: Vec<_> = (0..9)
        .filter_map(|n| open(&budget, &n.to_string(), near(2)))
        .collect();
    let from = |ip: &IpAddr| {
        let ours = open.iter().filter(|permit| permit.egress() == Some(*ip));
        ours.count()
    };
    assert_eq!((from(&addresses[0]), from(&addresses[1])), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_exchange_is_obeyed_where_it_counts_more_than_we_do() {
    let budget = budget(limits());
    let mut refused = budget.for_account(&id("a"), near(2)).unwrap();
    refused.limited();
    refused.gone();
    drop(refused);
    assert!(open(&budget, "b", near(2)).is_none());
    assert!(budget.for_prices().is_err());
    after(60).await;
    assert!(budget.for_prices().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_nearest_to_liquidation_come_first_once_all_are_known() {
    let budget = budget(limits());
    let names = ["a", "b", "c", "d"];
    names.iter().for_each(|name| budget.expect(&id(name)));
    assert!(
        open(&budget, "a", near(2)).is_none(),
        "others are not known yet"
    );
    assert!(open(&budget, "b", near(50)).is_none());
    assert!(open(&budget, "c", near(3)).is_none());
    assert!(open(&budget, "d", near(20)).is_none());
    after(1).await;
    let mut held = vec![];
    for (name, leverage) in [("a", 2), ("b", 50), ("c", 3), ("d", 20)] {
        let permit = open(&budget, name, near(leverage));
        held.extend(permit.map(|permit| (name, permit)));
    }
    let names: Vec<_> = held.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_an_account_that_cannot_be_read() {
    let budget = budget(limits());
    ["a", "b", "c", "d"]
        .iter()
        .for_each(|name| budget.expect(&id(name)));
    assert!(open(&budget, "a", near(2)).is_none());
    after(3).await;
    assert!(open(&budget, "a", near(2)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_kept_unless_another_is_much_nearer() {
    let budget = budget(limits());
    let far = open(&budget, "far", near(10)).unwrap();
    let _mid = open(&budget, "mid", near(12)).unwrap();
    let keeps = |name: &str, leverage| budget.keeps(&id(name), near(leverage).unwrap());
    assert!(open(&budget, "new", near(20)).is_none());
    after(1).await;
    assert!(keeps("far", 10), "twice as near is not enough so soon");
    assert!(open(&budget, "new", near(40)).is_none());
    after(1).await;
    assert!(keeps("mid", 12), "the farthest yields");
    assert!(!keeps("far", 10), "threefold");
    assert!(keeps("far", 10), "told once");
    close(far);
    let _new = open(&budget, "new", near(40)).unwrap();
    assert!(open(&budget, "far", near(10)).is_none());
    after(1).await;
    assert!(keeps("mid", 12) && keeps("new", 40), "and stays so");
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_long_is_given_to_one_that_is_nearer() {
    let budget = budget(limits());
    let far = open(&budget, "far", near(10)).unwrap();
    let _mid = open(&budget, "mid", near(19)).unwrap();
    after(599).await;
    assert!(open(&budget, "new", near(20)).is_none());
    after(1).await;
    assert!(open(&budget, "new", near(20)).is_none());
    assert!(!budget.keeps(&id("far"), near(10).unwrap()));
    close(far);
    let _new = open(&budget, "new", near(20)).unwrap();
    assert!(open(&budget, "far", near(18)).is_none());
    after(600).await;
    assert!(open(&budget, "far", near(21)).is_none());
    after(1).await;
    assert!(
        budget.keeps(&id("mid"), near(19).unwrap()),
        "equals do not take turns"
    );
}

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Requests that are answered the moment they are made, at times of the test's own.
struct Instantly {
    limit: RateLimit,
    spent: Spent,
}

impl Instantly {
    fn per_key() -> Self {
        let limit = RateLimit::per_key();
        let budget = RateBudget::new(limit, Clock::start());
        let spent = Arc::into_inner(budget.spent).unwrap().into_inner().unwrap();
        Self { limit, spent }
    }

    fn spend_many(&mut self, many: usize, spend: Spend, now: Duration) -> Result<(), Duration> {
        self.spent.take(many, spend, &self.limit, now)?;
        self.spent.window.end(many, now);
        Ok(())
    }

    fn spend(&mut self, spend: Spend, now: Duration) -> Result<(), Duration> {
        self.spend_many(1, spend, now)
    }
}

#[test]
fn reads_leave_room_for_commands_and_nothing_exceeds_the_window() {
    let mut budget = Instantly::per_key();
    assert_eq!(budget.spend(Spend::Read, at(0)), Ok(()));
    assert_eq!(budget.spend(Spend::Read, at(10)), Ok(()));
    assert_eq!(budget.spend(Spend::Read, at(20)), Err(at(1000)));
    for _ in 0..3 {
        assert_eq!(budget.spend(Spend::Guard, at(30)), Ok(()));
    }
    assert_eq!(budget.spend(Spend::Guard, at(40)), Err(at(1000)));
    assert_eq!(budget.spend(Spend::Guard, at(1000)), Ok(()));
    assert_eq!(budget.spend(Spend::Read, at(1050)), Ok(()));
    assert_eq!(
        budget.spend(Spend::Read, at(1051)),
        Err(at(2000)),
        "the two that reads may take are a command's and a read's"
    );
}

#[test]
fn whatever_is_asked_no_window_holds_more_than_its_limit() {
    let mut budget = Instantly::per_key();
    let made: Vec<u64> = (0..20_000)
        .filter(|ms| {
            let spend = match ms % 3 {
                0 => Spend::Read,
                1 => Spend::Stops,
                _ => Spend::Guard,
            };
            budget.spend(spend, at(*ms)).is_ok()
        })
        .collect();
    assert!(made.len() > 80);
    for window in made.windows(budget.limit.requests + 1) {
        assert!(window[budget.limit.requests] - window[0] >= 1000);
    }
}

#[test]
fn several_are_spent_together_or_not_at_all() {
    let mut budget = Instantly::per_key();
    assert_eq!(budget.spend_many(3, Spend::Guard, at(0)), Ok(()));
    assert_eq!(budget.spend_many(3, Spend::Guard, at(5)), Err(at(1000)));
    assert_eq!(budget.spend_many(2, Spend::Guard, at(5)), Ok(()));
}

#[test]
fn a_429_silences_everybody() {
    let budget = RateBudget::new(RateLimit::per_key(), Clock::start());
    assert!(budget.silence(at(2000)));
    assert!(!budget.silence(at(1000)));
    assert_eq!(budget.spend(Spend::Guard, at(1999)).err(), Some(at(2000)));
    assert!(budget.spend(Spend::Guard, at(2000)).is_ok());
}

/// A guard that needs two is not starved by what needs one.
#[test]
fn what_a_guard_waits_for_is_given_to_nothing_lesser() {
    let mut budget = Instantly::per_key();
    for ms in 0..5 {
        assert_eq!(budget.spend(Spend::Stops, at(ms)), Ok(()));
    }
    assert_eq!(budget.spend_many(2, Spend::Guard, at(10)), Err(at(1001)));
    let claimed = at(1051);
    assert_eq!(budget.spend(Spend::Stops, at(1000)), Err(claimed));
    assert_eq!(budget.spend(Spend::Read, at(1000)), Err(claimed));
    assert_eq!(
        budget.spend(Spend::Guard, at(1000)),
        Ok(()),
        "its equals may"
    );
    assert_eq!(budget.spend_many(2, Spend::Guard, at(1002)), Ok(()));
    assert_eq!(budget.spend(Spend::Entry, at(1052)), Ok(()), "not for ever");
}

/// The exchange counts a request when it sees it, which may be long after it was sent.
#[tokio::test(start_paused = true)]
async fn a_request_counts_until_a_window_after_its_answer() {
    let clock = Clock::start();
    let budget = RateBudget::new(RateLimit::per_key(), clock);
    let slow = budget.spend_many(5, Spend::Guard, clock.mono()).unwrap();
    tokio::time::sleep(at(4000)).await;
    assert_eq!(
        budget.spend(Spend::Guard, clock.mono()).err(),
        Some(at(5000)),
        "under way still"
    );
    drop(slow);
    let answered = clock.mono();
    assert!(budget.spend(Spend::Guard, answered + at(999)).is_err());
    assert!(budget.spend(Spend::Guard, answered + at(1000)).is_ok());
}

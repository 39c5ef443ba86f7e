//! What a rule does in a replay: the last look, then the command.

use std::time::Duration;

use super::execution::Execution;
use super::replay::Replay;
use crate::domain::execution::{Action, LastLook, Sight, SkipReason, State, last_look};
use crate::domain::rules::Rule;
use crate::domain::rules::margin_guard::GuardAction;

impl Replay<'_> {
    /// The last look, and what it lets through; the rule's fallback where nothing could be added.
    pub(super) fn execute(
        &mut self,
        rule: &Rule,
        holding: Option<usize>,
        fallback: bool,
    ) -> (State, Option<SkipReason>) {
        let position = self.position(holding);
        let sight = Sight {
            position: position.as_ref(),
            row_age: Duration::ZERO,
            balance: Some(self.ledger.balance),
            price: Some(self.price),
        };
        match last_look(rule, fallback, &sight) {
            LastLook::Send(action) => {
                let answer = self.send(holding, action);
                let state = match answer {
                    Ok(()) => State::Done,
                    Err(_) => State::Failed,
                };
                self.note(holding, state, Some(action), answer.err());
                (state, None)
            }
            LastLook::Skip(reason) => {
                let text = Some(reason.as_str().to_owned());
                self.note(holding, State::Skipped, None, text);
                (State::Skipped, Some(reason))
            }
            LastLook::NothingToAdd { at_leverage_limit } => {
                let reason = if at_leverage_limit {
                    "at_leverage_limit"
                } else {
                    "no_balance"
                };
                self.note(holding, State::Failed, None, Some(reason.to_owned()));
                if has_fallback(rule) && !fallback {
                    self.execute(rule, holding, true);
                }
                (State::Failed, None)
            }
            LastLook::OutOfRange(text) => {
                self.note(holding, State::Failed, None, Some(text));
                (State::Failed, None)
            }
            LastLook::ReadFirst => (State::Skipped, Some(SkipReason::ConditionGone)),
        }
    }

    fn send(&mut self, holding: Option<usize>, action: Action) -> Result<(), String> {
        let Some(index) = holding else {
            return self.ledger.enter(action, self.price, self.now);
        };
        let before = self.ledger.holdings.get(index).map(|holding| holding.id);
        let answer = self.ledger.apply(index, action, self.price, self.now);
        let after = self.ledger.holdings.get(index).map(|holding| holding.id);
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            self.lineage.succeed(after, before);
        }
        answer
    }

    fn note(
        &mut self,
        holding: Option<usize>,
        state: State,
        action: Option<Action>,
        reason: Option<String>,
    ) {
        let index = holding.or_else(|| self.ledger.holdings.len().checked_sub(1));
        let entered = holding.is_some() || state == State::Done;
        let label = index
            .filter(|_| entered)
            .and_then(|index| self.ledger.holdings.get(index));
        let position = label.map_or_else(|| "market".to_owned(), |holding| holding.label.clone());
        let now = index.and_then(|index| self.position(Some(index)));
        let execution = Execution {
            time: self.now,
            position,
            price: self.price,
            state,
            action,
            reason,
            liquidation: now.map(|position| position.liquidation),
            times: 1,
        };
        self.record.write(execution);
    }
}

fn has_fallback(rule: &Rule) -> bool {
    matches!(
        rule,
        Rule::MarginGuard(guard)
            if matches!(guard.action, GuardAction::AddMargin { fallback: Some(_), .. })
    )
}

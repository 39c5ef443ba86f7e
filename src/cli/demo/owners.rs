//! The accounts' owners: they open the positions and store accounts and automations.

use anyhow::{Context, Result};

use super::cast::{Opened, Part, QUANTITY, SMALL_QUANTITY};
use super::stage::NETWORK;
use crate::clock::Clock;
use crate::domain::credentials::Credentials;
use crate::domain::ids::{PositionId, UserId};
use crate::domain::maths;
use crate::domain::position::{MarginMode, Side};
use crate::domain::units::{Price, Sats};
use crate::exchange::{NewCrossOrder, NewTrade, Rest};
use crate::simulator::AccountConfig;
use crate::store::{NewAccount, NewAutomation, Store};

/// A cross account holds so much more than its position binds: what the fee and the maintenance
/// margin ask for, and not enough to outlive the fall.
const CROSS_MARGIN: f64 = 1.1;

/// An account of the exchange and what it plays.
pub(super) struct Owner {
    pub account: AccountConfig,
    pub part: Part,
    pub leverage: i64,
}

/// Opens each owner's position and stores the account, with its automations or without any. Returns
/// how many automations there are.
pub(super) async fn populate(
    owners: &[Owner],
    (rest, store, clock): (&Rest, &Store, Clock),
    price: f64,
    without_automations: bool,
) -> Result<usize> {
    let mut automations = 0;
    for owner in owners {
        let key = &owner.account.key;
        let credentials = Credentials::new(
            &*owner.account.key,
            &*owner.account.secret,
            &*owner.account.passphrase,
        );
        let opened = owner
            .open(rest, &credentials, price)
            .await
            .with_context(|| format!("opening the position of {key}"))?;
        let new = NewAccount {
            user_id: UserId::new("demo"),
            // The summary finds an account's effects by its key.
            name: key.clone(),
            network: NETWORK.to_owned(),
            credentials,
        };
        let stored = store.add_account(new, clock.utc()).await?;
        if without_automations {
            continue;
        }
        for (kind, config) in owner.part.automations(&opened) {
            let new = NewAutomation {
                account: stored.id.clone(),
                kind,
                config,
                live: true,
                active: true,
            };
            store.add_automation(new, clock.utc()).await?;
            automations += 1;
        }
    }
    Ok(automations)
}

impl Owner {
    async fn open(&self, rest: &Rest, who: &Credentials, price: f64) -> Result<Opened> {
        let mut opened = match self.part.mode() {
            MarginMode::Isolated => self.open_trade(rest, who, price).await?,
            MarginMode::Cross => self.open_cross(rest, who, price).await?,
        };
        if self.part.is_hedged() {
            let id = format!("{}-short", self.account.key);
            let trade = NewTrade::market(Side::Sell, SMALL_QUANTITY, self.leverage as f64, id);
            let short = rest.open(who, &trade, rest.clock().now()).await?;
            opened.hedge = Some(short.id);
        }
        Ok(opened)
    }

    async fn open_trade(&self, rest: &Rest, who: &Credentials, price: f64) -> Result<Opened> {
        let id = self.account.key.clone();
        let trade = NewTrade::market(Side::Buy, QUANTITY, self.leverage as f64, id);
        let long = rest.open(who, &trade, rest.clock().now()).await?;
        Ok(self.opened(price, long.margin, long.id))
    }

    async fn open_cross(&self, rest: &Rest, who: &Credentials, price: f64) -> Result<Opened> {
        let at = Price::from_usd(price).context("the market has no price")?;
        let bound = maths::notional(QUANTITY, at).0 as f64 / self.leverage as f64;
        let margin = Sats((bound * CROSS_MARGIN) as i64);
        let now = || rest.clock().now();
        rest.cross_deposit(who, margin, now()).await?;
        rest.cross_leverage(who, self.leverage, now()).await?;
        let order = NewCrossOrder {
            side: Side::Buy,
            quantity: QUANTITY,
            client_id: self.account.key.clone(),
        };
        rest.cross_order(who, &order, now()).await?;
        let position = rest.cross_position(who).await?.position;
        let position = position.context("the cross order opened nothing")?;
        Ok(self.opened(price, margin, position.id))
    }

    fn opened(&self, price: f64, margin: Sats, long: PositionId) -> Opened {
        Opened {
            price,
            leverage: self.leverage,
            margin,
            long,
            hedge: None,
        }
    }
}

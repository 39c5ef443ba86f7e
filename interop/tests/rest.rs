//! `lnm-sdk`, a client by somebody else, trades against the exchange simulator over REST.
//!
//! Where the two do not agree, the protocol's fact sheet says whom to believe:
//!
//! - `email` of the account may be null by the sheet; `lnm-sdk` demands a text. The account here has
//!   one, and [`an_account_without_a_mail_address`] shows what happens otherwise.
//! - The margin of a trade by quantity is rounded down by the simulator, as the sheet recommends;
//!   `lnm-sdk` rounds up where it sizes a trade. It takes the margin from the answer, so nothing
//!   breaks; [`margins_are_a_satoshi_apart`] holds the difference at one satoshi.
//! - `lnm-sdk` refuses a limit order whose stop-loss is above its price, whatever the side; the
//!   exchange judges by side. [`a_short_may_have_its_stop_above`] shows both.
//! - `lnm-sdk` knows no trailing stops and no lists of the wallet: those are tested elsewhere.
//!
//! With no parameters it sends a question mark with nothing behind it, and does not sign that mark.

use std::num::NonZeroU64;
use std::sync::Arc;

use lnm_sdk::rest::v3::models::{
    ClientId, CrossExposure, CrossLeverage, CrossPosition, Leverage, Margin, OhlcRange,
    OrderQuantity, Price, Trade, TradeExecution, TradeExecutionType, TradeSide, TradeSize,
};
use lnm_sdk::rest::v3::{RestClient, RestClientConfig};
use vigia::simulator::{AccountConfig, Control, Limits, Simulator, SimulatorConfig};

type Done = Result<(), Box<dyn std::error::Error>>;

/// The simulator and a client of its one account, which has 2,000,000 sats; price 100,000 USD.
struct Stage {
    simulator: Simulator,
    control: Control,
    client: Arc<RestClient>,
}

async fn stage() -> Stage {
    let mut account = AccountConfig::new("key", "secret", "phrase", 2_000_000);
    account.email = Some("owner@example.org".to_owned());
    stage_with(account).await
}

async fn stage_with(account: AccountConfig) -> Stage {
    let config = SimulatorConfig {
        accounts: vec![account],
        limits: Limits::off(),
        // The client must sign what it sends, as JavaScript would write it.
        strict_json: true,
        ..Default::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let config = RestClientConfig::default()
        .with_endpoint(simulator.api_url())
        .with_rate_limiter_active(false);
    Stage {
        control: simulator.control(),
        client: RestClient::with_credentials(config, "key", "secret", "phrase").unwrap(),
        simulator,
    }
}

impl Stage {
    fn balance(&self) -> u64 {
        self.control.account("key").unwrap().balance as u64
    }

    async fn trade(&self, side: TradeSide, execution: TradeExecution) -> Trade {
        let size = TradeSize::from(OrderQuantity::try_from(1000).unwrap());
        let leverage = Leverage::try_from(10).unwrap();
        let id = ClientId::try_from("interop-1").ok();
        let trades = &self.client.futures_isolated;
        let placed = trades.new_trade(side, size, leverage, execution, None, None, id);
        placed.await.unwrap()
    }
}

fn usd(price: f64) -> Price {
    Price::try_from(price).unwrap()
}

fn sats(amount: u64) -> NonZeroU64 {
    NonZeroU64::new(amount).unwrap()
}

#[tokio::test]
async fn what_concerns_everybody() -> Done {
    let x = stage().await;
    x.client.utilities.ping().await?;
    x.client.utilities.time().await?;
    x.control.set_price(99_000.5)?;
    let ticker = x.client.futures_data.get_ticker().await?;
    assert_eq!(ticker.last_price(), usd(99_000.5));
    assert_eq!(ticker.prices()[0].ask_price(), usd(99_000.5));
    assert_eq!(ticker.funding_rate(), 0.0001);
    x.control.settle_funding(0.0002, 95_010.37)?;
    let market = &x.client.futures_data;
    let settled = market
        .get_funding_settlements(None, None, None, None)
        .await?;
    let one = &settled.data()[0];
    assert_eq!(
        (one.funding_rate(), one.fixing_price()),
        (0.0002, 95_010.37)
    );
    let range = Some(OhlcRange::OneMinute);
    let candles = market
        .get_candles(None, None, Some(sats(5)), range, None)
        .await?;
    assert_eq!(candles.data()[0].close(), usd(99_000.5));
    x.simulator.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_isolated_trade_from_entry_to_close() -> Done {
    let x = stage().await;
    let trades = &x.client.futures_isolated;
    let trade = x.trade(TradeSide::Buy, TradeExecution::Market).await;
    assert!(trade.running() && trade.filled_at().is_some());
    assert_eq!(trade.trade_type(), TradeExecutionType::Market);
    assert_eq!(
        (trade.margin().as_u64(), trade.opening_fee()),
        (100_000, 1000)
    );
    assert_eq!(
        (trade.liquidation(), trade.maintenance_margin()),
        (usd(90_909.0), 1100)
    );
    assert_eq!(
        trade.client_id(),
        ClientId::try_from("interop-1").ok().as_ref()
    );
    assert_eq!(x.client.account.get_account().await?.balance(), 1_897_900);

    let stopped = trades
        .update_stoploss(trade.id(), Some(usd(95_000.0)))
        .await?;
    assert_eq!(stopped.stoploss(), Some(usd(95_000.0)));
    let same = trades
        .update_stoploss(trade.id(), Some(usd(95_000.0)))
        .await;
    assert!(
        same.unwrap_err().to_string().contains("400"),
        "the same value again"
    );
    let aimed = trades
        .update_takeprofit(trade.id(), Some(usd(120_000.0)))
        .await?;
    assert_eq!(aimed.takeprofit(), Some(usd(120_000.0)));
    assert_eq!(
        trades.update_stoploss(trade.id(), None).await?.stoploss(),
        None
    );
    assert_eq!(
        trades
            .update_takeprofit(trade.id(), None)
            .await?
            .takeprofit(),
        None
    );

    let more = trades.add_margin_to_trade(trade.id(), sats(50_000)).await?;
    assert_eq!(
        (more.margin().as_u64(), more.liquidation()),
        (150_000, usd(86_956.5))
    );
    assert!((more.leverage().as_f64() - 6.666_666_666_666_667).abs() < 1e-12);
    x.control.set_price(110_000.0)?;
    let less = trades.cash_in_trade(trade.id(), sats(40_000)).await?;
    assert_eq!(
        (less.price(), less.entry_price()),
        (usd(104_166.5), Some(usd(100_000.0)))
    );
    assert_eq!((less.margin().as_u64(), less.pl()), (150_000, 50_911));

    let running = trades.get_running_trades().await?;
    assert_eq!((running.len(), running[0].id()), (1, trade.id()));
    x.control.settle_funding(0.0001, 110_000.0)?;
    let fees = trades.get_funding_fees(None, None, None, None).await?;
    assert_eq!(
        (fees.data()[0].trade_id(), fees.data()[0].fee()),
        (trade.id(), 91)
    );
    let closed = trades.close_trade(trade.id()).await?;
    assert!(closed.closed() && !closed.running());
    assert_eq!(
        (closed.exit_price(), closed.closing_fee()),
        (Some(usd(110_000.0)), 909)
    );
    let page = trades
        .get_closed_trades(None, None, Some(sats(1)), None)
        .await?;
    assert_eq!(page.data()[0].id(), trade.id());
    // Profit by price less a half satoshi of rounding by the moved entry, fees, funding.
    assert_eq!(x.balance(), 2_000_000 + 40_000 + 50_911 - 1000 - 909 - 91);
    Ok(())
}

#[tokio::test]
async fn open_orders_are_placed_listed_and_withdrawn() -> Done {
    let x = stage().await;
    let trades = &x.client.futures_isolated;
    let below = x
        .trade(TradeSide::Sell, TradeExecution::Limit(usd(70_000.0)))
        .await;
    assert!(
        below.open() && below.filled_at().is_none(),
        "a touch order on either side"
    );
    assert_eq!((below.opening_fee(), below.pl()), (0, 0));
    let size = TradeSize::from(Margin::try_from(20_000)?);
    let (leverage, limit) = (
        Leverage::try_from(10)?,
        TradeExecution::Limit(usd(67_000.5)),
    );
    let by_margin = trades
        .new_trade(
            TradeSide::Buy,
            size,
            leverage,
            limit,
            Some(usd(65_000.0)),
            None,
            None,
        )
        .await?;
    assert_eq!(
        (by_margin.margin().as_u64(), by_margin.quantity().as_u64()),
        (20_000, 134)
    );
    let open = trades.get_open_trades().await?;
    assert_eq!(
        open.iter().map(Trade::id).collect::<Vec<_>>(),
        [by_margin.id(), below.id()]
    );
    assert!(trades.cancel_trade(below.id()).await?.canceled());
    let rest = trades.cancel_all_trades().await?;
    assert_eq!(
        rest.iter().map(Trade::id).collect::<Vec<_>>(),
        [by_margin.id()]
    );
    let page = trades
        .get_canceled_trades(None, None, Some(sats(1)), None)
        .await?;
    assert_eq!(page.data()[0].id(), by_margin.id());
    let cursor = page.next_cursor();
    let page = trades
        .get_canceled_trades(None, None, Some(sats(1)), cursor)
        .await?;
    assert_eq!(
        (page.data()[0].id(), page.next_cursor()),
        (below.id(), None)
    );
    assert_eq!(x.balance(), 2_000_000);
    Ok(())
}

/// What the client computes from margin, leverage and entry must be what the exchange says.
fn assert_coherent(position: &CrossPosition) {
    match position.exposure().unwrap() {
        CrossExposure::Neutral => {
            assert_eq!((position.quantity(), position.liquidation()), (0, None));
        }
        CrossExposure::Running(own) => {
            assert_eq!(own.running_margin().as_u64(), position.running_margin());
            assert_eq!(
                own.maintenance_margin().as_u64(),
                position.maintenance_margin()
            );
            assert_eq!(Some(own.liquidation()), position.liquidation());
        }
    }
}

#[tokio::test]
async fn cross_margin_from_deposit_to_withdrawal() -> Done {
    let x = stage().await;
    let cross = &x.client.futures_cross;
    let flat = cross.get_position().await?;
    assert_coherent(&flat);
    assert_eq!((flat.margin(), flat.entry_price()), (0, None));
    let funded = cross.deposit(sats(600_000)).await?;
    assert_eq!(
        (funded.margin(), funded.id(), x.balance()),
        (600_000, flat.id(), 1_400_000)
    );
    let ten = cross.set_leverage(CrossLeverage::try_from(10)?).await?;
    assert_eq!(ten.leverage().as_u64(), 10);

    let quantity = OrderQuantity::try_from(1000)?;
    let id = ClientId::try_from("interop-2").ok();
    let bought = cross
        .place_order(TradeSide::Buy, quantity, TradeExecution::Market, id.clone())
        .await?;
    assert!(bought.filled() && bought.filled_at().is_some() && !bought.open());
    assert_eq!(
        (bought.trading_fee(), bought.price()),
        (1000, usd(100_000.0))
    );
    assert_eq!(bought.client_id(), id.as_ref());
    for price in [100_000.0, 90_000.0, 110_000.0] {
        x.control.set_price(price)?;
        // More of it, less of it, and through zero to the other side.
        for (side, quantity) in [
            (TradeSide::Buy, 777),
            (TradeSide::Sell, 1234),
            (TradeSide::Sell, 2000),
            (TradeSide::Buy, 1),
            (TradeSide::Buy, 2456),
        ] {
            let quantity = OrderQuantity::try_from(quantity)?;
            let market = TradeExecution::Market;
            cross.place_order(side, quantity, market, None).await?;
            assert_coherent(&cross.get_position().await?);
        }
        assert_eq!(cross.get_position().await?.quantity(), 1000);
    }
    x.control.settle_funding(0.0001, 100_000.0)?;
    let fees = cross.get_funding_fees(None, None, None, None).await?;
    assert_eq!(fees.data()[0].fee(), 100);
    let five = cross.set_leverage(CrossLeverage::try_from(5)?).await?;
    assert_coherent(&five);

    let limit = TradeExecution::Limit(usd(80_000.0));
    let resting = cross
        .place_order(TradeSide::Sell, quantity, limit, None)
        .await?;
    assert!(resting.open() && resting.trading_fee() == 0);
    assert_eq!(cross.get_open_orders().await?.len(), 1);
    assert!(cross.cancel_order(resting.id()).await?.canceled());
    cross
        .place_order(TradeSide::Sell, quantity, limit, None)
        .await?;
    assert_eq!(cross.cancel_all_orders().await?.len(), 1);

    let closing = cross.close_position().await?;
    assert_eq!(
        (closing.side(), closing.quantity()),
        (TradeSide::Sell, quantity)
    );
    assert_eq!(
        (closing.trade_type(), closing.client_id()),
        (TradeExecutionType::Market, None)
    );
    let filled = cross
        .get_filled_orders(None, None, Some(sats(2)), None)
        .await?;
    assert_eq!(
        (filled.data().len(), filled.data()[0].id()),
        (2, closing.id())
    );
    let last = cross.get_position().await?;
    assert_coherent(&last);
    assert_eq!(last.id(), flat.id());
    assert_eq!(cross.withdraw(sats(last.margin())).await?.margin(), 0);
    let moved = cross.get_transfers(None, None, Some(sats(2)), None).await?;
    let amounts: Vec<i64> = moved
        .data()
        .iter()
        .map(|transfer| transfer.amount())
        .collect();
    assert_eq!(amounts, [-(last.margin() as i64), 600_000]);
    Ok(())
}

#[tokio::test]
async fn a_liquidated_cross_position_is_decoded() -> Done {
    let x = stage().await;
    let cross = &x.client.futures_cross;
    cross.deposit(sats(20_000)).await?;
    cross.set_leverage(CrossLeverage::try_from(100)?).await?;
    let quantity = OrderQuantity::try_from(1000)?;
    cross
        .place_order(TradeSide::Buy, quantity, TradeExecution::Market, None)
        .await?;
    let level = cross.get_position().await?.liquidation().unwrap();
    x.control.set_price(level.as_f64())?;
    let filled = cross
        .get_filled_orders(None, None, Some(sats(1)), None)
        .await?;
    assert_eq!(
        filled.data()[0].trade_type(),
        TradeExecutionType::Liquidation
    );
    assert_eq!(filled.data()[0].price(), level);
    assert_coherent(&cross.get_position().await?);
    Ok(())
}

#[tokio::test]
async fn an_account_without_a_mail_address() {
    let x = stage_with(AccountConfig::new("key", "secret", "phrase", 1)).await;
    let error = x
        .client
        .account
        .get_account()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("invalid type: null"), "{error}");
}

#[tokio::test]
async fn margins_are_a_satoshi_apart() -> Done {
    let x = stage().await;
    let (quantity, leverage) = (OrderQuantity::try_from(12_345)?, Leverage::try_from(25)?);
    let price = usd(60_000.5);
    x.control.set_price(price.as_f64())?;
    let own = Margin::calculate(quantity, price, leverage);
    let trades = &x.client.futures_isolated;
    let trade = trades
        .new_trade(
            TradeSide::Buy,
            quantity.into(),
            leverage,
            TradeExecution::Market,
            None,
            None,
            None,
        )
        .await?;
    assert_eq!((own.as_u64(), trade.margin().as_u64()), (822_994, 822_993));
    assert_eq!(trade.liquidation(), usd(57_693.0));
    Ok(())
}

#[tokio::test]
async fn a_short_may_have_its_stop_above() -> Done {
    let x = stage().await;
    let trades = &x.client.futures_isolated;
    let size: TradeSize = OrderQuantity::try_from(1000)?.into();
    let (leverage, limit) = (
        Leverage::try_from(10)?,
        TradeExecution::Limit(usd(110_000.0)),
    );
    let stop = Some(usd(115_000.0));
    let refused = trades
        .new_trade(TradeSide::Sell, size, leverage, limit, stop, None, None)
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(
        !error.contains("status"),
        "refused before it was sent: {error}"
    );
    let placed = trades
        .new_trade(TradeSide::Sell, size, leverage, limit, None, None, None)
        .await?;
    let stopped = trades.update_stoploss(placed.id(), stop).await?;
    assert_eq!(stopped.stoploss(), stop);
    Ok(())
}

// The official client's REST side, every route of it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createHttpClient } from '@ln-markets/sdk/rest/v3'

import { credentials, start } from './stage.mjs'

let exchange
let client

before(async () => {
  exchange = await start()
  client = createHttpClient({ ...credentials, network: 'signet' })
})

after(() => exchange.stop())

/** The status of a refusal. */
const status = async (answer) => {
  try {
    await answer
  } catch (error) {
    return error.response?.status ?? error
  }
  return 200
}

const nothing = { data: [], nextCursor: null }

test('public routes', async () => {
  assert.equal(await client.ping(), 'pong')
  assert.match((await client.time()).time, /^\d{4}-.*Z$/)
  await exchange.price(100_000)
  const ticker = await client.futures.getTicker()
  assert.equal(ticker.lastPrice, 100_000)
  assert.equal(ticker.prices[0].askPrice, 100_000)
  const candles = await client.futures.getCandles({ from: '2020-01-01T00:00:00.000Z', range: '1m' })
  assert.equal(candles.data[0].close, 100_000)
  const board = await client.futures.getLeaderboard()
  assert.deepEqual(Object.keys(board).sort(), ['all-time', 'daily', 'monthly', 'weekly'])
  const best = await client.syntheticUsd.getBestPrice()
  assert.equal(best.bidPrice, 100_000)
  // Removed from the exchange in July 2026, after this client was published.
  assert.equal(await status(client.oracle.getIndex({})), 404)
  assert.equal(await status(client.oracle.getLastPrice({})), 404)
})

test('an account and its lists', async () => {
  const account = await client.account.get()
  assert.equal(account.balance, 2_000_000)
  assert.equal(account.feeTier, 0)
  assert.equal(account.email, null)
  for (const list of [
    client.account.getLightningDeposits,
    client.account.getLightningWithdrawals,
    client.account.getOnChainDeposits,
    client.account.getOnChainWithdrawals,
    client.account.getNotifications,
    client.syntheticUsd.getSwaps,
  ]) {
    assert.deepEqual(await list({ limit: 5 }), nothing)
  }
  await client.account.readNotifications()
  assert.equal(await status(client.account.depositLightning({ amount: 1 })), 403)
})

test('a wrong secret', async () => {
  const stranger = createHttpClient({ ...credentials, secret: 'other' })
  assert.equal(await status(stranger.account.get()), 401)
})

test('an isolated trade from entry to close', async () => {
  const trades = client.futures.isolated
  const opened = await trades.newTrade({
    type: 'market', side: 'buy', quantity: 1000, leverage: 10, clientId: 'ts-1',
  })
  assert.equal(opened.running, true)
  assert.deepEqual(
    [opened.margin, opened.liquidation, opened.maintenanceMargin, opened.openingFee],
    [100_000, 90_909, 1100, 1000],
  )
  const { id } = opened
  assert.equal((await trades.updateStoploss({ id, value: 95_000 })).stoploss, 95_000)
  assert.equal(await status(trades.updateStoploss({ id, value: 95_000 })), 400)
  const trailing = await trades.updateStoploss({ id, value: 0.02, mode: 'trailing' })
  assert.deepEqual([trailing.stoploss, trailing.stoplossTrailingDistance], [98_000, 0.02])
  assert.equal((await trades.removeStoploss({ id })).stoploss, 0)
  assert.equal((await trades.updateTakeprofit({ id, value: 120_000 })).takeprofit, 120_000)
  assert.equal((await trades.removeTakeprofit({ id })).takeprofit, 0)
  const more = await trades.addMargin({ id, amount: 50_000 })
  assert.deepEqual([more.margin, more.liquidation], [150_000, 86_956.5])
  const less = await trades.cashIn({ id, amount: 50_000 })
  assert.deepEqual([less.margin, less.sumCashInMargin], [100_000, 50_000])
  assert.equal((await trades.getRunningTrades())[0].clientId, 'ts-1')
  await exchange.settle(0.0001, 100_500)
  const fees = await trades.getFundingFees({ tradeId: id })
  assert.equal(fees.data[0].fee, 100)
  const settled = await client.futures.getFundingSettlements()
  assert.equal(settled.data[0].id, fees.data[0].settlementId)
  const closed = await trades.close({ id })
  assert.deepEqual([closed.closed, closed.closingFee, closed.pl], [true, 1000, 0])
  assert.equal((await trades.getClosedTrades({ limit: 1 })).data[0].id, id)
  assert.equal(await status(trades.close({ id })), 400)
})

test('open orders', async () => {
  const trades = client.futures.isolated
  const order = { type: 'limit', side: 'buy', margin: 20_000, price: 67_000.5, leverage: 10 }
  const first = await trades.newTrade({ ...order, stoploss: 65_000 })
  assert.deepEqual([first.open, first.quantity, first.stoploss], [true, 134, 65_000])
  const second = await trades.newTrade(order)
  assert.deepEqual((await trades.getOpenTrades()).map(({ id }) => id), [second.id, first.id])
  assert.equal((await trades.cancel({ id: first.id })).canceled, true)
  // Typed as one object, answered as a list: the client's types are wrong there.
  assert.deepEqual((await trades.cancelAll()).map(({ id }) => id), [second.id])
})

test('cross margin', async () => {
  const { cross } = client.futures
  const flat = await cross.getPosition()
  assert.deepEqual([flat.quantity, flat.entryPrice, flat.liquidation], [0, null, null])
  assert.equal((await cross.deposit({ amount: 501_000 })).margin, 501_000)
  assert.equal((await cross.setLeverage({ leverage: 10 })).leverage, 10)
  const bought = await cross.newOrder({ type: 'market', side: 'buy', quantity: 1000 })
  assert.deepEqual([bought.filled, bought.tradingFee, bought.type], [true, 1000, 'market'])
  const held = await cross.getPosition()
  assert.deepEqual([held.margin, held.liquidation, held.id], [500_000, 66_733.5, flat.id])
  const limit = { type: 'limit', side: 'sell', quantity: 10, price: 70_000 }
  const resting = await cross.newOrder(limit)
  assert.equal((await cross.getOpenOrders())[0].id, resting.id)
  assert.equal((await cross.cancel({ id: resting.id })).canceled, true)
  await cross.newOrder(limit)
  assert.equal((await cross.cancelAll()).length, 1)
  await exchange.settle(0.0001, 100_500)
  assert.equal((await cross.getFundingFees()).data[0].fee, 100)
  const closing = await cross.close()
  assert.deepEqual([closing.side, closing.quantity], ['sell', 1000])
  assert.equal((await cross.getFilledOrders({ limit: 1 })).data[0].id, closing.id)
  const { margin } = await cross.getPosition()
  assert.equal((await cross.withdraw({ amount: margin })).margin, 0)
  const amounts = (await cross.getTransfers()).data.map(({ amount }) => amount)
  assert.deepEqual(amounts, [-margin, 501_000])
})

test('pages are walked by cursor', async () => {
  const { cross } = client.futures
  await cross.deposit({ amount: 100_000 })
  for (let number = 0; number < 5; number += 1) {
    await cross.newOrder({ type: 'market', side: number % 2 ? 'sell' : 'buy', quantity: 1 })
  }
  const from = (await client.time()).time.slice(0, 11) + '00:00:00.000Z'
  const seen = new Set()
  for (let cursor; cursor !== null; ) {
    const page = await cross.getFilledOrders({ from, limit: 2, cursor })
    page.data.forEach(({ id }) => seen.add(id))
    cursor = page.nextCursor
  }
  assert.equal(seen.size, 7)
})

test('every effect is in the ledger once', async () => {
  const count = new Map()
  for (const { kind } of await exchange.ledger()) count.set(kind, (count.get(kind) ?? 0) + 1)
  for (const [kind, number] of [
    ['filled', 1], ['closed', 1], ['margin_added', 1], ['cashed_in', 1], ['opened', 2],
    ['canceled', 2], ['cross_deposited', 2], ['cross_filled', 6], ['cross_closed', 1],
    ['cross_opened', 2], ['cross_canceled', 2], ['cross_withdrawn', 1],
  ]) {
    assert.equal(count.get(kind), number, kind)
  }
})

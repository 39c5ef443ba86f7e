// The official client's stream side: all eight methods, all topics.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createHttpClient } from '@ln-markets/sdk/rest/v3'
import { createStreamClient } from '@ln-markets/sdk/stream/v1'

import { credentials, start } from './stage.mjs'

const futures = 'futures/inverse/btc_usd'
const ranges = [
  '1m', '3m', '5m', '10m', '15m', '30m', '45m', '1h', '2h', '3h', '4h', '1d', '1w', '1month',
  '3months',
]
const named = ['ticker', 'lastPrice', 'index', 'buckets', 'funding'].map((name) => `${futures}/${name}`)
const candles = ranges.map((range) => `${futures}/ohlc/${range}`)
const trades = `${futures}/isolated/trades`
const orders = `${futures}/cross/orders`
const position = `${futures}/cross/position`
const publicTopics = ['announcements', ...named, ...candles]
const privateTopics = [trades, orders, position, 'wallet/deposit', 'wallet/withdrawal']

const deadline = 10_000

let exchange
let rest
let stream
const pushed = []
const waiting = []

before(async () => {
  exchange = await start()
  rest = createHttpClient(credentials)
  stream = createStreamClient({ network: 'mainnet', reconnectEnabled: false })
  for (const topic of [...publicTopics, ...privateTopics]) {
    stream.on(topic, (data) => {
      pushed.push({ topic, data })
      waiting.splice(0).forEach((look) => look())
    })
  }
  stream.on('error', (error) => assert.fail(error))
  await stream.connect()
})

after(async () => {
  stream.close()
  await exchange.stop()
})

/** The next push of a topic, taken out of what has come; others wait for their turn. */
const next = (topic) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing on ${topic}`)), deadline)
    const look = () => {
      const index = pushed.findIndex((push) => push.topic === topic)
      if (index < 0) return waiting.push(look)
      clearTimeout(late)
      return resolve(pushed.splice(index, 1)[0].data)
    }
    look()
  })

const code = async (answer) => {
  try {
    await answer
  } catch (error) {
    return [error.code, error.data?.code]
  }
  return undefined
}

test('methods that need no login', async () => {
  assert.deepEqual(await stream.hello({ clientName: 'test', clientVersion: '1' }), { version: '1.0.0' })
  assert.equal(await stream.ping(), 'pong')
  assert.ok(Math.abs((await stream.time()).time - Date.now()) < 5_000)
  assert.deepEqual(await code(stream.whoami()), [-32401, 'UNAUTHORIZED'])
  assert.deepEqual(await code(stream.subscribe({ topics: [trades] })), [-32401, 'UNAUTHORIZED'])
  assert.deepEqual(await code(stream.subscribe({ topics: ['nothing'] })), [-32602, 'BAD_REQUEST'])
})

test('login', async () => {
  const wrong = { ...credentials, secret: 'other' }
  assert.deepEqual(await code(stream.authenticate(wrong)), [-32401, 'UNAUTHORIZED'])
  const { authenticated, permissions } = await stream.authenticate(credentials)
  assert.ok(authenticated && permissions.includes('futures:cross:write'))
  assert.equal((await stream.whoami()).apiKey, credentials.key)
})

test('every topic can be had, and is told', async () => {
  const topics = [...publicTopics, ...privateTopics]
  assert.deepEqual((await stream.subscribe({ topics })).subscribed, topics)
  await exchange.price(100_500.5)
  for (const topic of [...named.filter((name) => !name.endsWith('funding')), ...candles.slice(0, 13)]) {
    const data = await next(topic)
    assert.equal(typeof data.time, 'number', topic)
  }
  await exchange.settle(0.0001, 100_500)
  assert.deepEqual((await next(`${futures}/funding`)).current.rate, 0.0001)
  await exchange.post('announcement', { id: 'a1', title: 'Maintenance', message: 'At noon' })
  assert.equal((await next('announcements')).title, 'Maintenance')
  await exchange.post('pay', { key: credentials.key, sats: 7 })
  assert.equal((await next('wallet/deposit')).balance, 2_000_007)
  await exchange.post('pay', { key: credentials.key, sats: -7 })
  assert.equal((await next('wallet/withdrawal')).fee, 0)
})

test('the life of trades', async () => {
  const { isolated } = rest.futures
  const order = { side: 'buy', quantity: 1000, leverage: 10, clientId: 'ts-2' }
  await exchange.price(100_000)
  const event = async (name) => {
    const told = await next(trades)
    assert.deepEqual([told.event, told.trade.clientId], [name, 'ts-2'])
    return told.trade
  }
  const market = await isolated.newTrade({ ...order, type: 'market', stoploss: 95_000 })
  assert.equal((await event('filled')).id, market.id)
  await isolated.newTrade({ ...order, type: 'limit', price: 99_000, takeprofit: 99_500 })
  await event('open')
  await exchange.settle(0.0001, 100_500)
  assert.equal((await event('funding')).liquidationPrice, 90_917.5)
  await exchange.price(99_000)
  await event('filled')
  await exchange.price(99_500)
  assert.equal((await event('takeprofit')).exitPrice, 99_500)
  await exchange.price(95_000)
  assert.equal((await event('stoploss')).pl, -52_632)
  const resting = await isolated.newTrade({ ...order, type: 'limit', price: 80_000 })
  await event('open')
  await isolated.cancel({ id: resting.id })
  await event('canceled')
  const running = await isolated.newTrade({ ...order, type: 'market' })
  await event('filled')
  await isolated.close({ id: running.id })
  await event('closed')
  await isolated.newTrade({ ...order, type: 'market', leverage: 100 })
  await event('filled')
  await exchange.price(90_000)
  assert.equal((await event('liquidation')).pl, undefined)
})

test('the life of the cross position', async () => {
  const { cross } = rest.futures
  const told = async (topic, name) => {
    const data = await next(topic)
    assert.equal(data.event, name)
    return data.order ?? data.position
  }
  await cross.deposit({ amount: 100_000 })
  assert.equal((await told(position, 'deposit')).margin, 100_000)
  await cross.setLeverage({ leverage: 50 })
  await told(position, 'leverage')
  await cross.newOrder({ type: 'market', side: 'buy', quantity: 1000 })
  assert.equal((await told(orders, 'new')).type, 'market')
  assert.equal((await told(position, 'new')).quantity, 1000)
  const resting = await cross.newOrder({ type: 'limit', side: 'sell', quantity: 10, price: 95_000 })
  await told(orders, 'new')
  await told(position, 'new')
  await cross.cancel({ id: resting.id })
  assert.equal((await told(orders, 'canceled')).tradingFee, undefined)
  await told(position, 'cancel')
  await cross.newOrder({ type: 'limit', side: 'sell', quantity: 10, price: 91_000 })
  await told(orders, 'new')
  await told(position, 'new')
  await exchange.price(91_000)
  await told(orders, 'limit')
  assert.equal((await told(position, 'limit')).quantity, 990)
  await cross.withdraw({ amount: 10 })
  await told(position, 'withdraw')
  await exchange.settle(0.0001, 91_000)
  await told(position, 'funding')
  await exchange.price(50_000)
  assert.equal((await told(orders, 'new')).type, 'liquidation')
  assert.deepEqual((await told(position, 'liquidation')).quantity, 0)
})

test('unsubscribing', async () => {
  const some = [trades, orders]
  assert.deepEqual((await stream.unsubscribe({ topics: some })).unsubscribed, some)
  assert.deepEqual((await stream.unsubscribe({ topics: some })).unsubscribed, [])
  const { unsubscribed } = await stream.unsubscribeAll()
  assert.equal(unsubscribed.length, publicTopics.length + privateTopics.length - 2)
  assert.deepEqual((await stream.unsubscribeAll()).unsubscribed, [])
})

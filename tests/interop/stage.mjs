// The simulator, started for one test file, and the hand behind it.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const binary = process.env.VIGIA_BIN ?? '../../target/debug/vigia'
const deadline = 10_000

export const credentials = { key: 'key-1', secret: 'secret-1', passphrase: 'phrase-1' }

const scopes = [
  'account:read',
  'account:deposits:read',
  'account:withdrawals:read',
  'account:notifications:read',
  'account:notifications:write',
  'futures:isolated:read',
  'futures:isolated:write',
  'futures:cross:read',
  'futures:cross:write',
  'synthetic-usd:read',
]

/** Starts the simulator at 100,000 USD, its tape at rest, with one account of 2,000,000 sats. */
export const start = async () => {
  const child = spawn(binary, ['simulator', '--listen', '127.0.0.1:0', '--no-limits', '--paused'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const address = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the simulator did not start')), deadline)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the simulator ended: ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /^REST +http:\/\/([^/]+)\/v3$/.exec(line)
      if (!found) return
      clearTimeout(late)
      resolve(found[1])
    })
  })
  process.env.VIGIA_SIMULATOR = address
  const control = async (method, path, body) => {
    const response = await fetch(`http://${address}/_control/${path}`, {
      method,
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body && JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${text}`)
    return JSON.parse(text)
  }
  const post = (path, body) => control('POST', path, body)
  await post('account', { ...credentials, balance_sats: 2_000_000, permissions: scopes })
  return {
    price: (price) => post('price', { price }),
    settle: (rate, fixing) => post('funding', { rate, fixing }),
    fault: (fault) => post('fault', fault),
    post,
    ledger: () => control('GET', 'ledger'),
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit')
        child.once('exit', resolve)
        child.kill()
      }),
  }
}

// Leads the client's fixed addresses to the simulator at VIGIA_SIMULATOR (HOST:PORT), and lets no
// other address through. Nothing of the client is changed: this stands where the network stands.

import net from 'node:net'
import tls from 'node:tls'

const exchange = /^(api|stream)\.(signet\.)?lnmarkets\.com$/

export const simulator = () => {
  const [host, port] = (process.env.VIGIA_SIMULATOR ?? '').split(':')
  if (!port) throw new Error('VIGIA_SIMULATOR must be HOST:PORT')
  return { host, port: Number(port) }
}

const refused = (name) => new Error(`${name}: only the simulator may be reached`)

const fetchForReal = globalThis.fetch
globalThis.fetch = async (input, init) => {
  const request = new Request(input, init)
  const url = new URL(request.url)
  const { host, port } = simulator()
  if (exchange.test(url.hostname)) {
    url.protocol = 'http:'
    url.host = `${host}:${port}`
  } else if (url.host !== `${host}:${port}`) {
    throw refused(url.host)
  }
  const text = ['GET', 'HEAD'].includes(request.method) ? '' : await request.text()
  return fetchForReal(url, {
    method: request.method,
    headers: request.headers,
    body: text === '' ? undefined : text,
    signal: request.signal,
  })
}

// The stream's client opens its socket with TLS: without it, it is the simulator's protocol.
tls.connect = (options) => {
  const name = options.servername ?? options.host
  if (!exchange.test(name)) throw refused(name)
  return net.connect(simulator())
}

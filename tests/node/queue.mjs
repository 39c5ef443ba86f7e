// One end of a BullMQ queue, as Node applications have it: producer, observer and, where asked,
// worker. Reads one command as JSON from each line of standard input and answers each with a line:
//
//   node queue.mjs 5|6 REDIS_URL QUEUE
//   {"id":1,"op":"add","name":"n","data":{},"opts":{}}   ->   {"id":1,"ok":"17"}
import { createInterface } from 'node:readline'

const [version, url, name] = process.argv.slice(2)
const { Queue, QueueEvents, Worker, Job } = await import(`bullmq${version}`)

const address = new URL(url)
const connection = { host: address.hostname, port: Number(address.port) }
const queue = new Queue(name, { connection })
const events = new QueueEvents(name, { connection })
// Outages are part of some tests: what is of interest is what comes after.
const complaints = []
for (const part of [queue, events]) part.on('error', (error) => complaints.push(String(error)))
// What an observer is told as it happens, the oldest first.
const heard = []
for (const event of ['completed', 'failed', 'retries-exhausted'])
  events.on(event, (told) => heard.push({ event, ...told }))
await events.waitUntilReady()

let worker
let worked = []

const shown = async (job) =>
  job && {
    id: job.id,
    name: job.name,
    state: await job.getState(),
    data: job.data,
    opts: job.opts,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    returnvalue: job.returnvalue,
    failedReason: job.failedReason,
    stacktrace: job.stacktrace,
    processedBy: job.processedBy,
    processedOn: job.processedOn,
    finishedOn: job.finishedOn,
    timestamp: job.timestamp,
    delay: job.delay,
    priority: job.priority,
    stalledCounter: job.stalledCounter,
  }

const redis = async () => {
  const client = queue.client ? await queue.client : await (await queue.getBackend()).client
  return client
}

const operations = {
  add: async ({ name: job, data, opts }) => (await queue.add(job, data, opts)).id,
  addBulk: async ({ jobs }) => (await queue.addBulk(jobs)).length,
  counts: () => queue.getJobCounts(),
  job: async ({ job }) => shown(await queue.getJob(job)),
  workers: async () => (await queue.getWorkers()).map(({ name, rawname }) => rawname ?? name),
  wait: async ({ job, ms }) => {
    const found = await Job.fromId(queue, job)
    try {
      return { returned: await found.waitUntilFinished(events, ms) }
    } catch (error) {
      return { failed: error.message }
    }
  },
  retry: async ({ job }) => void (await (await queue.getJob(job)).retry()),
  promote: async ({ job }) => void (await (await queue.getJob(job)).promote()),
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  concurrency: ({ count }) => queue.setGlobalConcurrency(count),
  upsert: async ({ scheduler, repeat, template }) =>
    void (await queue.upsertJobScheduler(scheduler, repeat, template)),
  removeScheduler: ({ scheduler }) => queue.removeJobScheduler(scheduler),
  // What happened, oldest first: all of it, or what happened to one job.
  events: async ({ job }) => {
    const rows = await (await redis()).xrange(queue.toKey('events'), '-', '+')
    const happened = rows.map(([, fields]) => {
      const event = {}
      for (let i = 0; i < fields.length; i += 2) event[fields[i]] = fields[i + 1]
      return event
    })
    return happened.filter((event) => job === undefined || event.jobId === job)
  },
  command: async ({ args }) => (await redis()).call(...args),
  heard: ({ job }) => heard.filter((told) => told.jobId === job),
  running: () => ({ events: Boolean(events.running), complaints }),
  work: () => {
    worker = new Worker(name, async (job) => void worked.push(job.id), { connection, concurrency: 5 })
    worker.on('error', (error) => complaints.push(String(error)))
  },
  worked: () => worked,
  stopWork: () => worker.close(),
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line)
  // Each is answered when it is done: some wait for others.
  Promise.resolve()
    .then(() => operations[op](rest))
    .then((ok) => ({ id, ok: ok ?? null }))
    .catch((error) => ({ id, error: String(error) }))
    .then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'))
}
process.exit(0)

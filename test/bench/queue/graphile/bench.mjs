// Measures graphile-worker in a process of its own, in step with the Go program that starts it: it says "ready" when it is
// warm, begins when a line comes on standard input, and says what it found. Workers and producers share this process, as
// they do with the other queues.
import readline from "node:readline";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";

const connectionString = process.env.BENCH_DSN;
const settings = JSON.parse(process.argv[2]);

// Warnings and errors only; a line for each job would cost the queue time.
const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(`graphile-worker: ${level}: ${message}`);
});

// preset is what the documentation recommends: its defaults, or the batching of its page on performance.
const preset = {
  worker: {
    connectionString,
    concurrentJobs: settings.concurrency,
    maxPoolSize: Math.max(10, settings.concurrency + 1),
    ...(settings.batched && {
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    }),
  },
};

const seen = { accepted: 0, entered: 0, firstAt: 0, acks: [], starts: [] };

function forget() {
  Object.assign(seen, { accepted: 0, entered: 0, firstAt: 0, acks: [], starts: [] });
}

const taskList = {
  noop(payload) {
    const now = performance.now();
    if (payload.at) seen.starts.push(now - payload.at);
    if (++seen.entered === 1) seen.firstAt = now;
  },
};

const startRunner = () => run({ preset, logger, taskList, noHandleSignals: true });

const utils = await makeWorkerUtils({
  preset: { worker: { connectionString, maxPoolSize: settings.producerPool } },
  logger,
});

let keys = 0;

async function accept(at, measured) {
  await utils.addJob("noop", { key: `bench-${++keys}`, at: measured ? at : 0 });
  if (measured) seen.acks.push(performance.now() - at);
  seen.accepted++;
}

async function closedLoop(producers, length, measured) {
  const end = performance.now() + length;
  const loop = async () => {
    for (;;) {
      const at = performance.now();
      if (at >= end) return;
      if (!measured && seen.accepted - seen.entered > settings.warmUpRoom) await sleep(1);
      else await accept(at, measured);
    }
  };
  await Promise.all(Array.from({ length: producers }, loop));
}

// openLoop counts times from the moment at which a task was due. It gives up what is not sent by the limit.
async function openLoop(rate, length) {
  const begin = performance.now();
  const total = Math.floor((rate * length) / 1000);
  const due = (i) => begin + (i * 1000) / rate;
  let next = 0;
  const sender = async () => {
    while (next < total) {
      const now = performance.now();
      if (now > begin + length + settings.late) return;
      if (due(next) > now) await sleep(1);
      else await accept(due(next++), true);
    }
  };
  await Promise.all(Array.from({ length: settings.senders }, sender));
}

const query = (text) => utils.withPgClient((client) => client.query(text)).then(({ rows }) => rows[0]);

// drain waits for the end of all accepted tasks, within limits, and returns how many ended and how long that took. A
// finished job is one that is gone.
async function drain(accepted, begin, limit) {
  const deadline = performance.now() + limit;
  while (performance.now() < deadline) {
    if (seen.entered >= accepted) {
      const { open } = await query("select exists (select 1 from graphile_worker._private_jobs) as open");
      if (!open) return { done: accepted, took: performance.now() - begin };
    }
    await sleep(2);
  }
  const took = performance.now() - begin;
  const { left } = await query("select count(*)::int as left from graphile_worker._private_jobs");
  return { done: accepted - left, took };
}

function percentile(values, p) {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length, Math.max(1, Math.round(p * sorted.length))) - 1];
}

async function warmUp() {
  const runner = await startRunner();
  await closedLoop(16, settings.warmUp, false);
  await drain(seen.accepted, performance.now(), settings.warmLimit);
  forget();
  return runner;
}

async function load() {
  const begin = performance.now();
  if (settings.rate > 0) await openLoop(settings.rate, settings.length);
  else await closedLoop(settings.producers, settings.length, true);
  const sending = performance.now() - begin;
  const { accepted, acks } = { accepted: seen.accepted, acks: seen.acks.slice() };
  const { done, took } = await drain(accepted, begin, settings.drain);
  return {
    completed: (done * 1000) / took,
    accepted: (accepted * 1000) / sending,
    "ack-p50": percentile(acks, 0.5),
    "ack-p99": percentile(acks, 0.99),
    "call-to-start-p50": percentile(seen.starts, 0.5),
    "call-to-start-p99": percentile(seen.starts, 0.99),
  };
}

async function burnDown() {
  const begin = performance.now();
  await startRunner();
  const { done, took } = await drain(settings.backlog, begin, settings.drain);
  const wait = seen.firstAt - begin;
  return {
    completed: (done * 1000) / took,
    "completed-after-first": (done * 1000) / (took - wait),
    "first-task-after": wait,
  };
}

async function main() {
  if (settings.migrate) {
    await runMigrations({ connectionString, logger });
    return;
  }
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const runner = await warmUp();
  if (settings.backlog > 0) await runner.stop();
  console.log(JSON.stringify({ ready: true }));
  await lines.next();
  const sample = settings.backlog > 0 ? await burnDown() : await load();
  console.log(JSON.stringify({ sample }));
}

await main();
process.exit(0);

import { readFile, readdir } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import type { EventLoopUtilization } from 'node:perf_hooks';
import type { Clock } from '#src/platform/clock.ts';
import type { Metrics } from './index.ts';

const readOr = async <T>(read: Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await read;
  } catch {
    return otherwise;
  }
};

const PAGE_BYTES = 4096;

/**
 * What the process as a whole uses, under the names that every Prometheus client has for it. All of it is looked up when somebody scrapes;
 * between scrapes it costs nothing. Answers how to stop.
 */
export const collectProcessMetrics = (metrics: Metrics, clock: Clock): (() => void) => {
  const cpu = metrics.counter({ name: 'process_cpu_seconds_total', help: 'Total user and system CPU time spent in seconds.' }).with();
  const user = metrics.gauge({ name: 'process_cpu_user_seconds_total', help: 'User CPU time spent in seconds.' }).with();
  const system = metrics.gauge({ name: 'process_cpu_system_seconds_total', help: 'System CPU time spent in seconds.' }).with();
  const resident = metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.' }).with();
  const virtual = metrics.gauge({ name: 'process_virtual_memory_bytes', help: 'Virtual memory size in bytes.' }).with();
  const openFds = metrics.gauge({ name: 'process_open_fds', help: 'Number of open file descriptors.' }).with();
  const maxFds = metrics.gauge({ name: 'process_max_fds', help: 'Maximum number of open file descriptors.' }).with();
  const started = metrics.gauge({ name: 'process_start_time_seconds', help: 'Start time of the process since the Unix epoch.' }).with();
  const heap = metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'Used size of the JavaScript heap.' }).with();
  const heapTotal = metrics.gauge({ name: 'nodejs_heap_size_total_bytes', help: 'Size of the JavaScript heap.' }).with();
  const external = metrics.gauge({ name: 'nodejs_external_memory_bytes', help: 'Memory of buffers outside of the heap.' }).with();
  const busy = metrics
    .gauge({ name: 'nodejs_eventloop_utilization', help: 'Share of the time since the last scrape in which the event loop was busy.' })
    .with();

  started.set(clock.now() / 1000 - process.uptime());
  let countedSeconds = 0;
  let last: EventLoopUtilization = performance.eventLoopUtilization();

  return metrics.onScrape(async () => {
    const usage = process.cpuUsage();
    user.set(usage.user / 1e6);
    system.set(usage.system / 1e6);
    cpu.inc((usage.user + usage.system) / 1e6 - countedSeconds);
    countedSeconds = (usage.user + usage.system) / 1e6;
    const memory = process.memoryUsage();
    resident.set(memory.rss);
    heap.set(memory.heapUsed);
    heapTotal.set(memory.heapTotal);
    external.set(memory.external);
    const now = performance.eventLoopUtilization();
    busy.set(performance.eventLoopUtilization(now, last).utilization);
    last = now;
    // Linux only; elsewhere these stay 0.
    const [fds, limits, pages] = await Promise.all([
      readOr(readdir('/proc/self/fd'), []),
      readOr(readFile('/proc/self/limits', 'utf8'), ''),
      readOr(readFile('/proc/self/statm', 'utf8'), '0'),
    ]);
    openFds.set(fds.length);
    maxFds.set(Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0));
    virtual.set(Number(pages.split(' ')[0]) * PAGE_BYTES);
  });
};

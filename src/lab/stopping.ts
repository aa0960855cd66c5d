/** How the lab's commands end before their time: on a signal, in good order. */

/**
 * Fires on the first signal that asks us to end, or when nobody reads our output any more; a second signal ends us at
 * once, and the kernel cleans up.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  process.stdout.on("error", () => stop.abort());
  return stop.signal;
}

/** The task's result, or undefined as soon as we are asked to stop. */
export function unlessStopped<T>(stopped: AbortSignal, task: Promise<T>): Promise<T | undefined> {
  const aborted = new Promise<undefined>((resolve) =>
    stopped.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  return Promise.race([task, aborted]);
}

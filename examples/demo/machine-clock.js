// @ts-check
// One clock for all processes of the demo, so that "after the acknowledgement" means the same in each of them.
//
// `process.hrtime` reads the system's monotonic clock (CLOCK_MONOTONIC, mach_absolute_time, the performance
// counter), which counts from the start of the machine, not of the process. `performance.now` would start at zero
// in each.

/** Milliseconds since some moment that all processes of this machine agree on; never goes back. */
export function machineNow() {
  return Number(process.hrtime.bigint()) / 1e6
}

// @ts-check
// How far the replay is: one line that is written over on a terminal, a line now and then elsewhere.

const BAR_COLUMNS = 24
const TERMINAL_MS = 120
const LOG_MS = 3_000

/**
 * Shows the progress of a replay until the function it returns is called.
 *
 * @param {import('./driver.js').Replay} replay that runs
 * @param {number} count how many requests it will be
 * @param {number} limitMs when it will end in any case
 * @param {NodeJS.WriteStream} out
 * @returns {() => void}
 */
export function showProgress(replay, count, limitMs, out) {
  const startedAt = performance.now()
  const show = () => {
    const line = progressLine(replay, count, limitMs, performance.now() - startedAt)
    if (out.isTTY) out.write(`\r${line.slice(0, (out.columns ?? 80) - 1)}\u001b[K`)
    else out.write(`${line}\n`)
  }
  const timer = setInterval(show, out.isTTY ? TERMINAL_MS : LOG_MS)
  return () => {
    clearInterval(timer)
    show()
    if (out.isTTY) out.write('\n')
  }
}

/**
 * @param {Pick<import('./driver.js').Replay, 'requests' | 'checkReads' | 'withoutLoad'>} counts
 * @param {number} count
 * @param {number} limitMs
 * @param {number} elapsedMs
 */
function progressLine({ requests, checkReads, withoutLoad }, count, limitMs, elapsedMs) {
  const share = count === 0 ? 1 : requests / count
  const full = Math.round(share * BAR_COLUMNS)
  const perMs = requests / Math.max(elapsedMs, 1)
  const reads = requests + checkReads
  const leftMs = Math.max(0, Math.min((count - requests) / perMs, limitMs - elapsedMs))
  return [
    `${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)} ${String(Math.floor(100 * share)).padStart(3)} %`,
    `${requests.toLocaleString('en')} requests`,
    `${Math.round(1_000 * perMs).toLocaleString('en')}/s`,
    `hit ratio ${reads === 0 ? '–' : `${((100 * withoutLoad) / reads).toFixed(1)} %`}`,
    requests === count ? '' : `${Math.ceil(leftMs / 1_000)} s left`,
  ]
    .join('   ')
    .trimEnd()
}

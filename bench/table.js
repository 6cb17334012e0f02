// @ts-check
/** What the reports of several benches are made with. */

/**
 * @param {string[]} head
 * @param {string[][]} lines
 * @returns {string} Markdown; the first column to the left, the others to the right
 */
export function tableOf(head, lines) {
  const all = [head, head.map((_, index) => (index === 0 ? '---' : '---:')), ...lines]
  const widths = head.map((_, index) => Math.max(...all.map((line) => line[index]?.length ?? 0)))
  return all
    .map((line) => `| ${line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`)
    .join('\n')
}

/** @param {readonly number[]} figures */
export function median(figures) {
  const sorted = [...figures].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

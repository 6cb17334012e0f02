// @ts-check
// How the demo starts its processes and how they end: both ends of the channel between parent and child.
//
// A child says `ready` once, answers the questions it is asked, and ends when it is told `end`, or when the channel
// breaks, which it does however the parent ends, also by SIGKILL. So nothing of the demo outlives it. A signal from
// the keyboard reaches every process of the terminal; children leave it to the parent, which ends them in order.

import { fork } from 'node:child_process'
import { once } from 'node:events'

/** How long a child may take to end by itself. */
const END_MS = 5_000

/** A process of the demo, seen from the parent. */
export class Child {
  #process
  /** Rejects when the process is gone. @type {Promise<never>} */
  #gone
  #isEnding = false

  /**
   * Starts a module as a process.
   *
   * @param {string} name what to call it in messages
   * @param {URL} module
   * @param {unknown} settings handed to it as JSON
   * @param {(error: Error) => void} onLost called when it ends without having been told to
   */
  constructor(name, module, settings, onLost) {
    this.#process = fork(module, [JSON.stringify(settings), String(process.pid)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#gone = new Promise((_, reject) => {
      this.#process.on('error', reject)
      this.#process.on('exit', (code, signal) =>
        reject(new Error(`${name} ended by itself (${signal ?? `status ${code}`})`)),
      )
    })
    this.#gone.catch((error) => {
      if (!this.#isEnding) onLost(error)
    })
  }

  /**
   * What the process says when it is ready.
   *
   * @returns {Promise<any>}
   */
  async ready() {
    return (await this.#next()).ready
  }

  /**
   * Asks the process, one question at a time.
   *
   * @param {string} question
   * @returns {Promise<any>}
   */
  async ask(question) {
    const answered = this.#next()
    this.#process.send({ question })
    return (await answered).answer
  }

  /** Tells the process to end and waits until it has; one that does not is killed. */
  async end() {
    this.#isEnding = true
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.send({ end: true })
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(timer)
  }

  /** @returns {Promise<any>} */
  async #next() {
    const [message] = await Promise.race([once(this.#process, 'message'), this.#gone])
    return message
  }
}

/** Whether the parent of this process is gone: that its channel broke is heard of later than that it is nobody's child. */
export function isOrphaned() {
  return !process.connected || process.ppid !== Number(process.argv[3])
}

/** What ends a process that has not joined its parent yet. */
const leave = () => process.exit()

/** What the parent handed to this process, which ends when the parent is gone before it is joined. */
export function settingsFromParent() {
  process.once('disconnect', leave)
  if (isOrphaned()) leave()
  return JSON.parse(process.argv[2] ?? 'null')
}

/**
 * Ties this process to its parent.
 *
 * @param {object} life
 * @param {unknown} life.ready what the parent is told now
 * @param {(question: string) => unknown} life.answer
 * @param {(isAlone: boolean) => Promise<void>} life.end puts everything away; alone when there is no parent any
 *   more that would do the rest
 */
export function joinParent({ ready, answer, end }) {
  let isEnding = false
  /** @param {boolean} isAlone */
  const endOnce = async (isAlone) => {
    if (isEnding) return
    isEnding = true
    // What the end waits for may never come, when all that it needs is ending too.
    setTimeout(() => process.exit(), END_MS).unref()
    try {
      await end(isAlone)
    } catch (error) {
      // An orphan's neighbours are putting the same things away at the same time.
      if (!isAlone) {
        console.error(error)
        process.exitCode = 1
      }
    }
    process.exit()
  }
  process.on('SIGINT', () => {})
  process.off('disconnect', leave)
  process.on('disconnect', () => endOnce(true))
  process.on('message', (/** @type {any} */ message) => {
    if (message.end) void endOnce(false)
    else tell({ answer: answer(message.question) })
  })
  tell({ ready })
}

/**
 * Tells the parent; when that is gone, the broken channel is what counts.
 *
 * @param {object} message
 */
function tell(message) {
  process.send?.(message, undefined, undefined, () => {})
}

// The processes of a fleet as their parent has them: begun, stopped, killed, asked for their state, and what they wrote
// down.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { endProcess } from '../../support/end-process.ts'
import type { Account, Deed } from './record.ts'
import { checkRecord } from './record.ts'
import type { Way } from './world.ts'

/** The instants of the files are of the same clock. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6

/** What a fleet is made with. */
export interface FleetOptions {
  readonly seed: number
  readonly members: number
  readonly folder: string
  readonly leaseMs: number
  readonly thinkMs: number
  readonly writeShare: number
  /** How the process of a place reaches the server. */
  readonly way: (place: number) => Way
}

interface State {
  readonly what: string
  readonly isTrusted: boolean
  readonly waiting: number
  /** What the process says of its cache's health. */
  readonly told: string
}

const SLOT_MS = 10_000

class Member {
  readonly name: string
  readonly log: string
  readonly #child: ChildProcess
  #said = ''
  isEnded = false

  constructor(name: string, log: string, order: object) {
    this.name = name
    this.log = log
    this.#child = fork(join(import.meta.dirname, 'member.js'), [JSON.stringify({ ...order, name, log })], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text
    })
    this.#child.once('exit', () => {
      this.isEnded = true
    })
  }

  /** @throws Error with what it said when it ended by itself. */
  async next(what: string): Promise<State> {
    for (;;) {
      const listening = new AbortController()
      const { signal } = listening
      const ended = this.isEnded ? [undefined] : once(this.#child, 'exit', { signal }).then(() => [undefined])
      const said = once(this.#child, 'message', { signal })
      const [state] = (await Promise.race([ended, said])) as [State | undefined]
      listening.abort()
      for (const each of [ended, said]) Promise.resolve(each).catch(() => {})
      if (state === undefined) throw new Error(`C9: ${this.name} ended by itself: ${this.#said}`)
      if (state.what === what) return state
    }
  }

  ask(what: 'state' | 'go' | 'quiet' | 'settle'): Promise<State> {
    const answer = this.next(what)
    this.#child.send(what)
    return answer
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
  }

  async end(): Promise<void> {
    await endProcess(this.#child)
  }
}

/** Several processes with a cache each. */
export class Fleet {
  readonly #options: FleetOptions
  readonly #members: Member[] = []
  readonly #logs = new Map<string, string>()
  readonly #deeds: Deed[] = []
  #begun = 0

  constructor(options: FleetOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#members.length
  }

  /** Starts all, and has them work when each of them listens. */
  async start(): Promise<void> {
    for (let place = 0; place < this.#options.members; place++) this.#members.push(this.#begin(place, false))
    await Promise.all(this.#members.map((member) => member.next('started')))
    await this.#whenTrusted(30_000)
    await Promise.all(this.#members.map((member) => member.ask('go')))
  }

  /** Ends one at once, and begins another one in its place. */
  async kill(place: number): Promise<void> {
    await this.#at(place).end()
    const member = this.#begin(place, true)
    this.#members[place] = member
    await member.next('started')
    await member.ask('go')
  }

  /** Stops a process where it stands. */
  pause(place: number): void {
    this.#at(place).signal('SIGSTOP')
  }

  resume(place: number): void {
    const { name } = this.#at(place)
    this.#deeds.push({ t: now(), e: 'resumed', by: name })
    this.#at(place).signal('SIGCONT')
  }

  /** A server has taken over that lacks what was acknowledged since then. */
  lost(from: number): void {
    this.#deeds.push({ t: now(), e: 'lost', from })
  }

  /** @throws Error when a process has ended by itself. */
  async checkAlive(): Promise<void> {
    await this.#members.find(({ isEnded }) => isEnded)?.next('state')
  }

  /**
   * Has all come to rest, and checks what they wrote.
   *
   * @throws Broken when a promise was not kept.
   */
  async finish(): Promise<Account> {
    await Promise.all(this.#members.map((member) => member.ask('quiet')))
    const stuck = await this.#until(20_000, ({ waiting }) => waiting === 0)
    if (stuck.length > 0) throw new Error(`C9: calls in ${stuck.join(', ')} wait for ever`)
    await this.#whenTrusted(20_000)
    await Promise.all(this.#members.map((member) => member.ask('settle')))
    await this.#whenTrusted(20_000)
    await this.end()
    return checkRecord(this.#logs, this.#deeds, this.#options.leaseMs)
  }

  async end(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.end()))
  }

  async #whenTrusted(withinMs: number): Promise<void> {
    const deaf = await this.#until(withinMs, ({ isTrusted }) => isTrusted)
    if (deaf.length > 0) throw new Error(`C4: ${deaf.join(', ')} do not trust their copies, though all works`)
  }

  /** Asks until all are in a state; those who never come to it. */
  async #until(withinMs: number, isThere: (state: State) => boolean): Promise<string[]> {
    const until = now() + withinMs
    for (;;) {
      const states = await Promise.all(this.#members.map((member) => member.ask('state')))
      const missing = this.#members.flatMap(({ name }, at) => {
        const state = states[at] as State
        return isThere(state) ? [] : [`${name} (${state.told})`]
      })
      if (missing.length === 0 || now() > until) return missing
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  #begin(place: number, isSecond: boolean): Member {
    const { folder, leaseMs, members, seed, thinkMs, way, writeShare } = this.#options
    const turn = this.#begun++
    const name = `p${place}-${turn}`
    const log = join(folder, `${name}.jsonl`)
    this.#logs.set(name, log)
    return new Member(name, log, {
      place,
      places: members,
      seed: seed + 7_919 * turn,
      slotMs: SLOT_MS,
      isSecond,
      leaseMs,
      thinkMs,
      writeShare,
      way: way(place),
    })
  }

  #at(place: number): Member {
    return this.#members[place] as Member
  }
}

// What the processes of a fleet wrote down, put in order and held against the promises: the simulator's own checker
// (test/simulation/history.ts), fed from files.
//
// A value carries no number, only a name: what its number was is worked out here, where all mutations are known, and is
// that of the truth when its load began or its set was called. What is done at the authority is not watched from
// outside; an acknowledgement stands for it, so C3 demands a little less here than in the simulator. C4, which is a
// time, and C7, whose instants only the server knows, are left to that.

import { readFileSync } from 'node:fs'
import { type Asked, Broken, History, type Mutation, type Value, Witness } from '../../simulation/history.ts'

/** One line of a process's file. */
interface Line {
  readonly t: number
  readonly e: string
  readonly a: number
  readonly m: number
  readonly key?: string
  readonly keys: readonly string[]
  readonly how: string
  readonly value?: string
  readonly isOfTag: boolean
  readonly code?: unknown
  readonly message?: string
}

/** What the test did to the fleet. */
export type Deed =
  /** A process went on after it was stopped. */
  | { readonly t: number; readonly e: 'resumed'; readonly by: string }
  /** A server took over without what was acknowledged since `from`. */
  | { readonly t: number; readonly e: 'lost'; readonly from: number }

/** How much a run did. */
export interface Account {
  readonly reads: number
  readonly answers: number
  readonly writes: number
  readonly acknowledged: number
  readonly loads: number
}

const lifetimes = {
  ttlMs: Number.POSITIVE_INFINITY,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  loadTimeoutMs: Number.POSITIVE_INFINITY,
  failureThrottleMs: 0,
  softLoadTimeoutMs: Number.POSITIVE_INFINITY,
  loadLeaseMs: 0,
}

/**
 * Checks what was recorded.
 *
 * @param logs - The file of each process, by the process's name.
 * @throws Broken when a promise was not kept.
 */
export function checkRecord(
  logs: ReadonlyMap<string, string>,
  deeds: readonly Deed[],
  leaseMs: number,
): Account {
  let now = 0
  let acknowledged = 0
  const history = new History(() => now, leaseMs, lifetimes, false)
  const witnesses = new Map([...logs.keys()].map((name) => [name, new Witness(name)]))
  const values = new Map<string, Value>()
  const asked = new Map<string, Asked>()
  const mutations = new Map<string, Mutation[]>()
  const loading = new Map<string, { n: number; asked: Asked; beganAt: number; end: () => void }>()

  const hear = (by: Witness, line: Line): void => {
    const { key } = line
    const name = `${by.name}/${line.a ?? line.m}`
    switch (line.e) {
      case 'ask':
        asked.set(name, history.ask(by, key ?? '', line.how, false))
        return
      case 'answer': {
        const question = asked.get(name) as Asked
        const value = line.value === undefined ? undefined : values.get(line.value)
        if (line.value !== undefined && value === undefined)
          throw new Broken(`C1: ${line.value}, which never was, of ${question.key} in ${by.name}`)
        history.answered(question, value)
        return
      }
      case 'failed':
        throw new Broken(`C9: a read in ${by.name} rejected with ${line.message}`)
      case 'load': {
        const question = asked.get(name)
        if (question === undefined) throw new Broken(`C9: a load in ${by.name} that nobody asked for`)
        const end = history.loading(question)
        loading.set(String(line.value), {
          n: history.truthOf(question.key),
          asked: question,
          beganAt: now,
          end,
        })
        return
      }
      case 'loaded': {
        const load = loading.get(String(line.value))
        loading.delete(String(line.value))
        load?.end()
        if (load !== undefined) values.set(String(line.value), history.make(load.n, load))
        return
      }
      case 'mutate': {
        const called = line.keys.map((each) => history.called(by, each, line.isOfTag))
        mutations.set(name, called)
        if (line.value !== undefined) values.set(line.value, history.make((called[0] as Mutation).n))
        if (line.isOfTag) for (const each of witnesses.values()) each.clearedAt = now
        return
      }
      case 'acknowledged':
        for (const mutation of mutations.get(name) ?? []) {
          history.done(by, mutation.key, mutation.isOfTag)
          history.acknowledged(mutation)
          if (mutation.isOfTag) for (const each of witnesses.values()) each.clearedAt = now
        }
        acknowledged++
        return
      case 'rejected':
        for (const mutation of mutations.get(name) ?? [])
          history.rejected(mutation, Object.assign(new Error(line.message), { code: line.code }))
        return
      case 'overtaken':
        if (key === undefined) by.allOvertakenAt = now
        else by.overtakenAt.set(key, now)
        return
      default:
        throw new Error(`${line.e}: nobody writes such a line`)
    }
  }

  const lines = [...logs].flatMap(([name, path]) => linesOf(path).map((line) => ({ t: line.t, name, line })))
  const all = [...lines, ...deeds.map((deed) => ({ t: deed.t, deed }))].sort((one, other) => one.t - other.t)
  for (const each of all) {
    now = each.t
    if ('line' in each) hear(witnesses.get(each.name) as Witness, each.line)
    else if (each.deed.e === 'lost') history.lost(each.deed.from, () => true, witnesses.values())
    else (witnesses.get(each.deed.by) as Witness).stoppedAt = now
  }
  const { reads, answers, writes, loads } = history
  return { reads, answers, writes, acknowledged, loads }
}

/** A process that is killed may leave half a line. */
function linesOf(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((text) => JSON.parse(text) as Line)
}

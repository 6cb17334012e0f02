// A listener that writes down what a bus says, and checks the one thing that holds for every bus: each
// message begins where its partition stood, or a gap was told.

import type { BusListener } from '../bus/bus.ts'
import type { Message } from '../message.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'

/** What a bus said, in the order it was said. */
export type BusEvent =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'echo'; readonly token: string; readonly stamps: readonly Stamp[] }
  | { readonly kind: 'gap'; readonly partition: number | undefined; readonly stamps: readonly Stamp[] }
  | { readonly kind: 'failure'; readonly error: unknown }

/** Writes down what a bus says. */
export class BusObserver implements BusListener {
  readonly events: BusEvent[] = []
  /** Messages that did not follow on what came before, in words; empty for a bus that keeps its contract. */
  readonly disorder: string[] = []
  readonly #positions = new Map<number, Stamp>()
  readonly #told = new Set<string>()
  readonly #gaps: Stamp[] = []
  readonly #hear: (message: Message) => void

  /** @param hear - Runs inside `onMessage`. */
  constructor(hear: (message: Message) => void = () => {}) {
    this.#hear = hear
  }

  get messages(): Message[] {
    return this.events.flatMap((event) => (event.kind === 'message' ? [event.message] : []))
  }

  /** Takes note of where `subscribe` says the partitions stand; messages may have come before it said so. */
  begin(stamps: readonly Stamp[]): void {
    for (const stamp of stamps) this.#goTo(stamp)
  }

  /** Whether the mutation with this stamp was told, or lies before a gap that was told. */
  heard(stamp: Stamp): boolean {
    return this.#told.has(nameOf(stamp)) || this.#gaps.some((to) => isAtOrAfter(to, stamp))
  }

  /** How far the partition was heard, from `begin` on. */
  positionOf(partition: number): Stamp | undefined {
    return this.#positions.get(partition)
  }

  /** The echo of `token`, and how many events came before it. */
  echoOf(token: string): { readonly at: number; readonly stamps: readonly Stamp[] } | undefined {
    const at = this.events.findIndex((event) => event.kind === 'echo' && event.token === token)
    const event = this.events[at]
    return event?.kind === 'echo' ? { at, stamps: event.stamps } : undefined
  }

  onMessage(message: Message): void {
    const { stamp, after } = message
    const stood = this.#positions.get(stamp.partition)
    // A double may come at any time; what is lost or swapped shows in a message that is new.
    const isDouble = stood !== undefined && isAtOrAfter(stood, stamp)
    if (!(after < stamp.sequence)) {
      this.disorder.push(
        `partition ${stamp.partition}: message ${stamp.sequence} says it comes after ${after}`,
      )
    }
    if (stood !== undefined && stood.epoch === stamp.epoch && !isDouble && after !== stood.sequence) {
      this.disorder.push(
        `partition ${stamp.partition}: message ${stamp.sequence} comes after ${after}, but ${stood.sequence} was heard last`,
      )
    }
    this.events.push({ kind: 'message', message })
    this.#told.add(nameOf(stamp))
    this.#goTo(stamp)
    this.#hear(message)
  }

  onEcho(token: string, stamps: readonly Stamp[]): void {
    this.events.push({ kind: 'echo', token, stamps })
  }

  onGap(partition: number | undefined, stamps: readonly Stamp[], _reason: string): void {
    this.events.push({ kind: 'gap', partition, stamps })
    this.#gaps.push(...stamps)
    for (const stamp of stamps) this.#goTo(stamp)
  }

  onFailure(error: unknown): void {
    this.events.push({ kind: 'failure', error })
  }

  #goTo(stamp: Stamp): void {
    const stood = this.#positions.get(stamp.partition)
    if (stood === undefined || isAtOrAfter(stamp, stood)) this.#positions.set(stamp.partition, stamp)
  }
}

function nameOf({ partition, epoch, sequence }: Stamp): string {
  return `${partition}/${epoch}/${sequence}`
}

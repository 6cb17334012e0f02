// What is under way, in the order in which it began, without keys. A `Set` would keep what has left (key-table.ts says
// why); here a link that was taken out points to nothing.

/** A place in a chain. */
export interface Link<T> {
  readonly value: T
  before: Link<T> | undefined
  after: Link<T> | undefined
}

/** Values in the order in which they came, each of which can be taken out at once. */
export class Chain<T> {
  #first: Link<T> | undefined
  #last: Link<T> | undefined

  /** The one that came first of those that are there. */
  get first(): Link<T> | undefined {
    return this.#first
  }

  add(value: T): Link<T> {
    const link: Link<T> = { value, before: this.#last, after: undefined }
    if (this.#last === undefined) this.#first = link
    else this.#last.after = link
    this.#last = link
    return link
  }

  /** Takes a link out; a second time this does nothing. */
  remove(link: Link<T>): void {
    const { after, before } = link
    if (before !== undefined) before.after = after
    else if (this.#first === link) this.#first = after
    if (after !== undefined) after.before = before
    else if (this.#last === link) this.#last = before
    link.before = link.after = undefined
  }

  /** Those that are there now. */
  values(): T[] {
    const all: T[] = []
    for (let link = this.#first; link !== undefined; link = link.after) all.push(link.value)
    return all
  }
}
